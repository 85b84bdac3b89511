"""The floors of ARCHITECTURE.md: imports only go down, and each library stays in its room."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "syncstore"
MODULES = sorted(PACKAGE.rglob("*.py"))

# What each floor may import of the package; a module of the top level is a floor of its own.
MAY_SEE: dict[str, set[str]] = {
    "errors": {"model"},  # one floor with it
    "model": {"errors"},
    "wire": {"model", "errors"},
    "reduce": {"model", "errors"},
    "store": {"model", "errors"},
    "net": {"model", "errors"},
    "later": set(),
    "room_sending": {"later", "store", "model", "errors"},
    "room": {"later", "room_sending", "store", "model", "errors"},
    "reads": {"later", "room", "room_sending", "store", "model", "errors"},
    "writing": {"wire", "reduce", "store", "model", "errors"},
    "encryption": {"store", "errors"},
    "walking": {"later", "reads", "writing", "store", "model", "errors"},
    "sending": {"walking", "later", "store", "model"},
    "following": {"sending", "later", "store", "model"},
    "crypto": {"following", "later", "writing", "store", "model", "errors"},
    "searching": {"crypto", "later", "store", "model"},
    "ingest": {"searching", "later", "reads", "writing", "store", "model", "errors"},
    "__init__": {"encryption", "ingest", "reads", "room", "net", "sync", "model", "errors"},
    "sync": {"", "ingest", "reads", "room", "net", "model", "errors"},
    "aio": {"ingest", "room", "sync", "net", "model"},
    "adapters": {"", "ingest", "reads", "room", "sync", "net", "model", "errors"},
    "cli": {"", "encryption", "sync", "ingest", "reads", "room", "wire", "reduce", "store", "net", "model", "errors"},
    "__main__": {"cli"},
}
ROOMS: dict[str, tuple[str, ...]] = {
    "sqlalchemy": ("store",),
    "alembic": ("store/upgrade.py",),
    "requests": ("net",),
    "urllib3": ("net",),
    "msgspec": ("wire", "reduce", "model", "store/room.py", "room.py", "sync/verify.py", "cli/logins.py"),
    "pydantic": ("model",),
    "typer": ("cli",),
    "rich": ("cli",),
    "platformdirs": ("cli",),
    "mautrix": ("adapters/mautrix",),
    "nio": ("adapters/nio.py", "adapters/nio_file.py", "adapters/nio_rooms.py", "adapters/nio_asking.py"),
    "aiohttp": ("adapters",),
    "keyring": ("net/tokens.py", "cli/passphrase.py"),
    "sqlite3": ("store", "reads.py", "room.py", "cli/sql.py"),
}


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _floor(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_only_go_down(path: Path) -> None:
    floor = _floor(path)
    seen = {_seen(name) for name in _imports(path) if name.split(".")[0] == "syncstore"}
    assert seen - {floor} <= MAY_SEE[floor]


def _seen(name: str) -> str:
    """The floor that an import names; "" for the package's own face."""
    second = name.split(".")[1]
    return second if second in MAY_SEE else ""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_each_library_stays_in_its_room(path: Path) -> None:
    where = path.relative_to(PACKAGE).as_posix()
    for library in {name.split(".")[0] for name in _imports(path)} & ROOMS.keys():
        assert any(where == room or where.startswith(room + "/") for room in ROOMS[library]), library


def test_modules_stay_small() -> None:
    lines = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    del lines["schema.py"]  # a list of tables
    assert {name: count for name, count in lines.items() if count > 320} == {}


def test_nothing_names_a_registry_or_a_folder_of_one_machine() -> None:
    hosts = ["pypi" + ".org", "pythonhosted" + ".org", "crates" + ".io", "npmjs" + ".", "deb.debian" + ".org"]
    folders = ["/wo" + "rk/", "/ro" + "ot/"]
    files = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True, cwd=ROOT).stdout.split("\n")
    found = [
        f"{name}: {word}"
        for name in filter(None, files)
        for word in hosts + folders
        if word.encode() in (ROOT / name).read_bytes()
    ]
    assert not found

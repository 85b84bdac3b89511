"""An installed package can create and upgrade a store: the wheel carries the migrations, the types and the command."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_carries_what_an_installed_package_needs(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        entry_points = next(name for name in names if name.endswith("entry_points.txt"))
        assert b"syncstore = syncstore.cli.main:main" in archive.read(entry_points)
    migrations = {f"syncstore/_migrations/versions/{path.name}" for path in (ROOT / "alembic/versions").glob("*.py")}
    assert migrations
    assert migrations | {"syncstore/py.typed", "syncstore/_migrations/env.py", "syncstore/cli/main.py"} <= names
    assert not [name for name in names if name.startswith(("tests/", "alembic/", "examples/"))]

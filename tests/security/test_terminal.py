"""Text of servers never steers a terminal: in no command, on no way out, in no error."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from syncstore import SyncStore, errors
from syncstore.cli import show
from syncstore.cli.app import app
from syncstore.cli.progress import Progress
from syncstore.model.records import Applied
from syncstore.store.views import VIEWS
from syncstore.sync import Status
from tests.cli.conftest import Done, Run, on_terminal
from tests.cli.fake import TOKEN, FakeServer

from .poison import FORBIDDEN, MESSAGE, POISON, ROOM, body

COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
# How each command is called on the poisoned store. One that is missing here fails the first test.
READS: dict[str, list[list[str]]] = {
    "rooms": [[]],
    "invites": [[]],
    "state": [[ROOM], [ROOM, POISON], [ROOM, "--at", MESSAGE], [ROOM, POISON, POISON, "--at", MESSAGE]],
    "members": [[ROOM]],
    "timeline": [[ROOM], [ROOM, "--limit", "3"], [ROOM, "--around", MESSAGE], [ROOM, "--before", MESSAGE]],
    "event": [[MESSAGE]],
    "search": [["own"], ["new", "--room", ROOM]],
    "gaps": [[], [ROOM]],
    "outbox": [[], [ROOM]],
    "sql": [[f"select * from {view}"] for view in VIEWS],
    "info": [[]],
    "check": [[]],
    "consumers": [[]],
    "accounts": [[]],
}
_REFUSALS = [
    ["timeline", f"!none{POISON}"],
    ["timeline", ROOM, "--around", f"$none{POISON}"],
    ["event", f"$none{POISON}"],
    ["state", ROOM, "--at", POISON],
    ["search", "own", "--room", POISON],
    ["search", "\x1b\u202e"],
    ["forget", POISON],
    ["consumers", "--forget", POISON],
    ["sql", f"select '{POISON}"],
    ["sql", f'select "{POISON}" from none'],
    ["sql", "select 1", "-p", POISON, "x"],
    ["sql", "select 1", "--attach", f"{POISON}=none"],
    ["replay", f"none{POISON}"],
    ["backup", f"none{POISON}/none"],
    ["sync", "--homeserver", f"http://{POISON}"],
    ["login", f"bob{POISON}"],
    ["login", f"@bob:{POISON}"],
    ["backfill", ROOM, "--limit", POISON],
    [POISON],
    [f"--{POISON}"],
    ["rooms", f"--{POISON}"],
    ["rooms", POISON],
]


def _clean(done: Done) -> None:
    assert not FORBIDDEN.search(done.out + done.err), done


def _listed() -> Iterator[list[str]]:
    for name, calls in READS.items():
        yield from ([name, *words] for words in calls)


def test_p28_every_command_is_here() -> None:
    served = {"sync", "backfill", "verify", "login", "logout"}  # below, with a server
    acting = {
        "forget",
        "replay",
        "backup",
        "compact",
        "prune",
        "encrypt",
        "decrypt",
        "rekey",
    }  # one line of our own words
    acting |= {"recover"}  # names and counts of our own tables
    acting |= {"send", "retry", "cancel"}
    acting |= {"watch"}  # below: it does not end by itself
    assert READS.keys() | served | acting == COMMANDS.keys()
    listing = {name for name, one in COMMANDS.items() if any("--json" in option.opts for option in one.params)}
    assert listing == READS.keys() | {"verify", "recover", "watch"}


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_p28_what_is_watched_is_not_raw(
    poisoned: Path, run: Run, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("syncstore.cli.watch.sleep", interrupted)
    done = run("watch", "--since", "0", *words)
    assert done.code == 0 and done.out.count("[red]x[/red]") > 3
    _clean(done)


@pytest.mark.parametrize("person", [False, True])
def test_p28_no_listing_is_raw(poisoned: Path, run: Run, monkeypatch: pytest.MonkeyPatch, person: bool) -> None:
    monkeypatch.setattr(show, "on_terminal", lambda: person)
    _harm(poisoned)
    said = ""
    for words in _listed():
        done = run(*words)
        assert done.code == (1 if words[0] == "check" else 0), done
        _clean(done)
        said += done.out
        if words[0] == "sql" and person:
            _clean(run(*words, "--csv"))
    assert said.count(r"\x1b[2J") > 100 and said.count("[red]x[/red]") > 50, "the poison was really there"


def test_p28_json_is_ascii_and_whole(poisoned: Path, run: Run) -> None:
    _harm(poisoned)
    held = 0
    for words in _listed():
        out = run(*words, "--json").out
        assert out.isascii() and not FORBIDDEN.search(out)
        held += _strings(json.loads(out), "\x1b[2J\x1b]0;own\x07")
    assert held > 100


def _strings(value: Any, part: str) -> int:
    if isinstance(value, dict):
        return sum(_strings(one, part) for one in value.values())
    if isinstance(value, list):
        return sum(_strings(one, part) for one in value)
    return int(isinstance(value, str) and part in value)


def _harm(path: Path) -> None:
    """Make `check` name a room."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE room SET display_name = 'x'")
        raw.commit()


@pytest.mark.parametrize("words", _REFUSALS, ids=lambda words: str(words)[:30])
def test_p28_no_refusal_is_raw(poisoned: Path, run: Run, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCSTORE_ACCESS_TOKEN", TOKEN)
    monkeypatch.setenv("SYNCSTORE_TRACE", "1")
    done = run(*words)
    assert done.code in (1, 2) and done.err
    _clean(done)


def test_p28_every_error_of_the_library_is_one_clean_line(poisoned: Path) -> None:
    with SyncStore.open(poisoned) as store, pytest.raises(errors.NotFoundError) as caught:
        store.room(f"!none{POISON}")
    assert "\n" not in str(caught.value) and not FORBIDDEN.search(str(caught.value))


class _Evil(FakeServer):
    """Knows one thing to say, in every place of a Matrix error."""

    def answer(self, path: str, token: str | None, asked: Any) -> tuple[int, bytes]:
        ask = path.rsplit("/", 1)[1]
        if ask in self.refused:
            return 403, json.dumps({"errcode": POISON, "error": POISON}).encode()
        return super().answer(path, token, asked)

    refused: tuple[str, ...] = ()


@pytest.fixture
def evil() -> Iterator[_Evil]:
    server = _Evil(body("first"), body("second"), body("third"), body("fourth"))
    server.user_id = "@me:x.org"
    yield server
    server.close()


def test_p28_what_a_server_answers_is_not_raw(
    path: Path, run: Run, evil: _Evil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCSTORE_ACCESS_TOKEN", TOKEN)
    at = ("--homeserver", evil.url)
    said = []
    for refused in ("whoami", "filter", "sync"):
        evil.refused = (refused,)
        said.append(run("sync", *at))
    evil.refused = ()
    assert run("sync", *at).code == 0
    evil.pages = [json.dumps({"start": "x", "end": POISON, "chunk": []}).encode()] * 9
    said += [run("backfill"), run("backfill", ROOM, "--event", f"$far{POISON}")]
    evil.refused = ("messages",)
    said += [run("backfill", ROOM), run("backfill", ROOM, "--event", f"$far{POISON}"), run("verify", "--json")]
    said += [run("verify", ROOM)]
    evil.refused = ("logout",)
    said.append(run("logout"))
    for done in said:
        _clean(done)
    assert sum(r"\x1b[2J" in done.out + done.err for done in said) > 5


def test_p28_a_login_is_not_raw(
    path: Path, run: Run, evil: _Evil, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def login() -> Done:
        monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse\n"))
        return run("login", "@me:x.org", "--homeserver", evil.url, "--token-file", str(tmp_path / "token"))

    evil.refused = ("login",)
    done = login()
    assert r"\x1b[2J" in done.err
    _clean(done)
    evil.refused, evil.user_id = (), f"@me{POISON}:x.org"
    _clean(login())
    evil.user_id, evil.device_id = "@me:x.org", POISON
    done = login()
    assert done.code == 0 and r"\x1b[2J" in done.out
    _clean(done)
    for words in ([], ["--json"]):
        done = run("accounts", *words)
        assert "own" in done.out
        _clean(done)


def test_p28_progress_is_not_raw(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    progress = Progress()
    progress.on_status(Status("waiting", seconds=1.0, error=f"GET /x: 500 {POISON}"))
    progress.on_batch(Applied(1, False, 1, 1, 1, 0, 0))
    done = Done(0, *capsys.readouterr())
    assert "waiting 1 s" in done.err and "batch 1" in done.err
    _clean(done)


def test_p28_a_real_terminal_gets_nothing_raw(poisoned: Path) -> None:
    seen = on_terminal("-s", str(poisoned), "timeline", ROOM)
    ours = seen.replace("\r\n", "\n")
    for style in ("\x1b[1m", "\x1b[2m", "\x1b[0m"):
        ours = ours.replace(style, "")
    assert not FORBIDDEN.search(ours) and r"\x1b[2J" in ours


def test_p28_right_to_left_text_stays_in_its_column(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By UAX 9 a mark of left-to-right on both sides keeps numbers and cells beside such a text where they are."""
    monkeypatch.setattr(show, "on_terminal", lambda: True)
    show.table(
        ("name", "count", "name"), [("\u05e9\u05dc\u05d5\u05dd", 5, "\u0645\u0631\u062d\u0628\u0627 7"), ("a", 1, "b")]
    )
    show.line(("\u05e9\u05dc", "dim"), ("\u05d5\u05dd", ""))
    out = capsys.readouterr().out
    mark = "\u200e"
    assert f"{mark}\u05e9\u05dc\u05d5\u05dd{mark}" in out and f"{mark}\u0645\u0631\u062d\u0628\u0627 7{mark}" in out
    assert f"{mark}\u05e9\u05dc{mark}  {mark}\u05d5\u05dd{mark}" in out
    assert out.count(mark) == 8, "no mark where none is needed"


def test_p28_titles_are_not_raw(poisoned: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for person in (False, True):
        monkeypatch.setattr(show, "on_terminal", lambda person=person: person)
        done = run("sql", f'select 1 as "{POISON}"')
        assert done.code == 0
        _clean(done)

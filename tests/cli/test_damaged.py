"""Every command on a damaged file: it ends, with an exit code of ours and one line, whatever the damage."""

from __future__ import annotations

import io
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.main import get_command

from syncstore.cli.app import app
from syncstore.net.tokens import VARIABLE
from tests.fuzz.judge import watched
from tests.torture import times

from . import bodies
from .conftest import Run

SECTOR = 512
TIMES = times(5, 100)
NOWHERE = ("--homeserver", "http://127.0.0.1:9")  # the port where everything is thrown away; nobody listens
# What each command is given: one that is missing here fails the test.
WORDS: dict[str, tuple[object, ...]] = {
    "login": (bodies.ALICE, *NOWHERE),
    "logout": (),
    "accounts": (),
    "sync": NOWHERE,
    "replay": ("{folder}/body.json",),
    "rooms": (),
    "invites": (),
    "state": (bodies.ROOM,),
    "members": (bodies.ROOM,),
    "timeline": (bodies.ROOM,),
    "event": ("$m1",),
    "search": ("hello",),
    "gaps": (),
    "send": (bodies.ROOM, "hello"),
    "outbox": (),
    "consumers": (),
    "retry": ("t1",),
    "cancel": ("t1",),
    "backfill": NOWHERE,
    "verify": NOWHERE,
    "forget": (bodies.ROOM,),
    "watch": ("--since", 0),
    "sql": ("select * from events",),
    "check": (),
    "info": (),
    "backup": ("{folder}/copy.db",),
    "compact": (),
    "prune": ("--keep", 1),
    "recover": ("{store}", "{folder}/new.db"),
    "encrypt": (),
    "decrypt": (),
    "rekey": (),
}
Damage = Callable[[bytearray, random.Random], None]


def flipped(data: bytearray, chance: random.Random) -> None:
    """A few bytes, anywhere."""
    for _ in range(chance.randrange(1, 20)):
        data[chance.randrange(len(data))] ^= chance.randrange(1, 256)


def overwritten(data: bytearray, chance: random.Random) -> None:
    """Sectors of another file."""
    at = chance.randrange(len(data) // SECTOR) * SECTOR
    data[at : at + 8 * SECTOR] = chance.randbytes(8 * SECTOR)


def truncated(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


@pytest.fixture
def lonely(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server, which is not asked again, and a reader of `watch` who goes away at once."""

    def gone(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv(VARIABLE, "token")
    # Made once, not for each run: that is most of what a command costs.
    made = get_command(app)
    monkeypatch.setattr("typer.main.get_command", lambda _: made)
    monkeypatch.setattr("syncstore.net.retry.Retry.wait", lambda *_: None)
    monkeypatch.setattr("syncstore.cli.watch.sleep", gone)


@pytest.mark.usefixtures("lonely")
@pytest.mark.parametrize("damage", [flipped, overwritten, truncated])
def test_p25_no_command_shows_a_traceback_on_a_damaged_file(
    damage: Damage, store: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(WORDS) == {command.callback.__name__ for command in app.registered_commands if command.callback}
    whole, there = store.read_bytes(), set(tmp_path.iterdir())
    (tmp_path / "body.json").write_bytes(bodies.quiet("s3"))
    codes: Counter[int] = Counter()
    for number in range(TIMES):
        data = bytearray(whole)
        damage(data, random.Random(number))
        for name, words in WORDS.items():
            store.write_bytes(data)
            monkeypatch.setattr("sys.stdin", io.StringIO("secret\n" * (number % 2)))
            with watched():
                done = run(name, *(str(word).format(folder=tmp_path, store=store) for word in words))
            told = (number, name, done)
            assert done.code in (0, 1, 2) and "Traceback" not in done.out + done.err, told
            assert done.code != 1 or (done.err.startswith("syncstore: ") and done.err.count("\n") == 1), told
            assert "unexpected" not in done.err, told
            codes[done.code] += 1
            for left in set(tmp_path.iterdir()) - there - {tmp_path / "body.json"}:
                left.unlink()
    assert codes[0] and codes[1]

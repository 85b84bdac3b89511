"""One fixed history that a store is led through: synced, then back-filled, the same way however often it is cut off."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from syncstore import Syncer, SyncStore
from syncstore.net import Answer
from tests.account import forms
from tests.account.answer import sync
from tests.account.events import ME, OTHERS
from tests.account.server import Account
from tests.encrypted import module
from tests.sync.fake import Modelled, answer

# Columns that tell of the clock or of the process, not of the account.
CLOCKS = {"received_at", "updated_at", "created_at", "fetch_ms", "apply_ms", "until", "holder", "attempted_at"}
TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
PAGE = 4


class World(Modelled):
    """A server whose every answer to one request is the same: each token has one response, the history is over."""

    def __init__(self, seed: int, syncs: int = 25, *, away: bool = True) -> None:
        """away: now and then we are not in a room."""
        account = Account()
        super().__init__(account)
        draw = random.Random(seed)
        rooms = [account.create("10"), account.create("11")]
        for room_id in rooms[: 1 if away else 2]:
            account.move(room_id, "join")
        self.bodies: dict[str | None, bytes] = {}
        self.to_device: dict[str, list[str]] = {}  # contents that are told under this next_batch
        token: str | None = None
        for _ in range(syncs):
            said = sync(account, token, 3)
            self.bodies[token] = json.dumps(forms.state_after(said)).encode()
            token = str(said["next_batch"])
            self.to_device[token] = [json.dumps(one["content"]) for one in said["to_device"]]
            for _ in range(draw.randrange(2, 12)):
                _happen(account, draw, draw.choice(rooms), away)
            account.type(rooms[0], [OTHERS[0]])  # each answer brings something, and a token of its own
        self.last = token

    def sync(self, **asked: Any) -> Answer:
        since = asked["since"]
        return answer(self.bodies[since] if since != self.last else json.dumps({"next_batch": since}).encode())

    def upload_filter(self, user_id: str, definition: Mapping[str, Any]) -> str:
        return "f1"


def _happen(account: Account, draw: random.Random, room_id: str, away: bool) -> None:
    """One thing, mostly messages; where we are not, mostly our coming back."""
    name = draw.choice(["send"] * 12 + ["state", "redact", "edit", "other", "kick", "device", "device", "receipt"])
    if account.membership(room_id) != "join":
        account.move(room_id, draw.choice(["join", "invite", "leave"]))
    elif name == "send":
        account.send(room_id, draw.choice([*OTHERS, ME]))
    elif name == "state":
        account.set_state(room_id, draw.choice(["m.room.name", "m.room.topic"]))
    elif name == "redact":
        account.redact(room_id, draw.randrange(5))
    elif name == "edit":
        account.edit(room_id, draw.randrange(5))
    elif name == "other":
        account.move_other(room_id, OTHERS[1], draw.choice(["join", "leave"]))
    elif name == "kick" and away:
        account.move(room_id, "leave", by_me=False)
    elif name == "device":
        account.send_to_device()
    elif name == "receipt":
        account.receipt(room_id, ME, None)


def open_store(path: Path) -> SyncStore:
    return SyncStore.open(path, user_id=ME, device_id="DEVICE")


def sync_all(store: SyncStore, world: World) -> None:
    """Sync until there is no more."""
    syncer = Syncer(world.face(), store)
    while store.token != world.last:
        syncer.run_once()


def fill_all(store: SyncStore, world: World) -> None:
    """Fill every gap, page by page."""
    Syncer(world.face(), store).backfill_all(10_000, PAGE)


def run(path: Path, world: World) -> None:
    """All of it, from wherever the file stands, to the end."""
    with open_store(path) as store:
        sync_all(store, world)
        fill_all(store, world)


def dump(path: Path) -> list[str]:
    """Every row of every table but for the clock; nothing for a file that holds no tables yet."""
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as db:
        return list(_rows(db))


def _rows(db: sqlite3.Connection) -> Iterator[str]:
    db.execute("BEGIN")
    for (table,) in db.execute(TABLES).fetchall():
        if table == "lease":
            continue  # who holds something just now
        found = db.execute(f"SELECT * FROM {table}")
        names = [column[0] for column in found.description]
        kept = [at for at, name in enumerate(names) if name not in CLOCKS]
        yield from sorted(f"{table}: " + repr([(names[at], row[at]) for at in kept]) for row in found)


def unlike(expected: list[str], found: list[str]) -> str:
    """The rows in which two dumps differ, for a message."""
    ours, theirs = set(expected), set(found)
    lines = [f"- {one}" for one in expected if one not in theirs] + [f"+ {one}" for one in found if one not in ours]
    return "\n".join(lines[:20]) or "only the order differs"


def states_of(path: Path, world: World) -> list[list[str]]:
    """What stands in the file after each commit of an undisturbed run; nothing, before the first."""
    states: list[list[str]] = [[]]
    connect = module().connect

    class Noting(module().Connection):  # type: ignore[misc]
        def commit(self) -> None:
            wrote = self.in_transaction
            super().commit()
            with mock.patch.object(module(), "connect", connect):
                if wrote and (now := dump(path)) != states[-1]:
                    states.append(now)

    with patched(Noting):
        run(path, world)
    return states


@contextmanager
def patched(factory: type[sqlite3.Connection]) -> Iterator[None]:
    """The library's connections made inside are of this class."""
    connect = module().connect

    def connected(*arguments: Any, **named: Any) -> sqlite3.Connection:
        made: sqlite3.Connection = connect(*arguments, factory=factory, **named)
        return made

    with mock.patch.object(module(), "connect", connected):
        yield

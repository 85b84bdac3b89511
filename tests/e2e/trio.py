"""Three clients of one account, each with its own device and store, compared with the server key by key."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from examples.lab import Event, login
from syncstore import Homeserver, Syncer, SyncStore

from .stage import Key, Stage

_LIMIT = 10
_TURNS = 5
_AFTER = {"use_state_after": "true", "org.matrix.msc4222.use_state_after": "true"}


def _filter(*, lazy: bool, redundant: bool, include_leave: bool) -> Event:
    members = {"lazy_load_members": lazy, "include_redundant_members": redundant}
    room = {"timeline": {"limit": _LIMIT, **members}, "state": members, "include_leave": include_leave}
    return {"room": room}


class Client:
    """One device of alice's with one store: `sync` asks with the stored token and applies the answer."""

    def __init__(self, name: str, base_url: str, path: Path, *, after: bool, lazy: bool, redundant: bool) -> None:
        self.name = name
        self.lazy = lazy
        self.after = after
        self.path = path
        self.device = login(base_url, "alice", f"{name}-1".upper())
        self.store = SyncStore.open(path, user_id=self.device.user_id, device_id=self.device.device_id)
        self._redundant = redundant
        self._before: str | None = None  # the token that the last sync started from

    @property
    def token(self) -> str | None:
        """The store's token: nobody else keeps one."""
        token: str | None = self.rows("select next_batch from account")[0][0]
        return token

    def ask(self, since: str | None, *, include_leave: bool = False) -> bytes:
        """Return one response, without applying it."""
        wanted = _filter(lazy=self.lazy, redundant=self._redundant, include_leave=include_leave)
        return self.device.sync(since, filter=wanted, **(_AFTER if self.after else {}))

    def sync(self) -> None:
        """Sync until the server has no more: what it has just confirmed may take it a moment to show."""
        self._before = self.token
        for _ in range(_TURNS):
            since = self.token
            self._turn()
            if self.token == since:
                return

    def _turn(self) -> None:
        """One turn of a sync loop: the library's own for the default client, by hand for the two classic ones."""
        if self.after:
            self.syncer().run_once()
        else:
            since = self.token
            self.store.apply(self.ask(since), since=since)

    def told_again(self, room: str) -> str:
        """What the server says of a room when it is asked again for what the last sync should have brought."""
        rooms = json.loads(self.ask(self._before)).get("rooms", {})
        entries = {section: entries[room] for section, entries in rooms.items() if room in entries}
        return f"{self.name} {room}: since {self._before}, now {self.token}, the server says {entries}"

    def syncer(self) -> Syncer:
        """The library's loop over this device and store."""
        server = Homeserver(self.device.base_url, access_token=self.device.access_token)
        return Syncer(server, self.store, filter=_filter(lazy=True, redundant=True, include_leave=False))

    def snapshot(self) -> None:
        """Sync from nothing over the store as it is, the way a client does that lost trust in its token."""
        body = self.ask(None, include_leave=True)
        self.store.apply(body, since=None, held=self.token)

    def change_device(self, base_url: str) -> None:
        """Log in again and take the old file along."""
        self.device = login(base_url, "alice", f"{self.name}-2".upper())
        self.store.rebind(self.device.device_id)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Read the documented views the way anybody can: with sqlite3 alone."""
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as db:
            return db.execute(query, values).fetchall()

    def pile(self, room: str) -> dict[Key, tuple[str, object]]:
        """Return the stored state, {(type, state_key): (event_id, content)}."""
        view = "current_state" if self.membership(room) == "join" else "archived_state"
        found = self.rows(f"select type, state_key, event_id, content from {view} where room_id = ?", room)
        return {(type, key): (event_id, json.loads(content)) for type, key, event_id, content in found}

    def membership(self, room: str) -> str:
        """Return the stored membership; "leave" for a room that the store never heard of."""
        found = self.rows("select membership from rooms where room_id = ?", room)
        return str(found[0][0]) if found else "leave"

    def members_synced(self, room: str) -> bool:
        found = self.rows("select members_synced from rooms where room_id = ?", room)
        return bool(found and found[0][0])


class Trio:
    """The three ways of asking that differ in what the server leaves out. A context manager."""

    def __init__(self, stage: Stage, directory: Path) -> None:
        self.stage = stage
        where = stage.base_url
        self.default = Client("default", where, directory / "default.db", after=True, lazy=True, redundant=True)
        self.full = Client("full", where, directory / "full.db", after=False, lazy=False, redundant=False)
        self.lazy = Client("lazy", where, directory / "lazy.db", after=False, lazy=True, redundant=False)

    def __iter__(self) -> Iterator[Client]:
        return iter((self.default, self.full, self.lazy))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self:
            client.store.close()

    def sync(self) -> None:
        for client in self:
            client.sync()

    def differences(self, rooms: list[str]) -> list[str]:
        """Return one line for everything in which a store and the server disagree."""
        found: list[str] = []
        for room in rooms:
            if room in self.stage.forgotten:
                continue
            membership, state = self.stage.membership(room), self.stage.state(room)
            for client in self:
                lines = list(_compare(client, self.stage, room, membership, state))
                found += [f"{client.name} {room}: {line}" for line in lines]
        return found

    def told_again(self, rooms: list[str]) -> list[str]:
        """One line a client and room, for a failure's message."""
        return [client.told_again(room) for room in rooms for client in self]


def _compare(client: Client, stage: Stage, room: str, membership: str, state: dict[Key, Event] | None) -> Iterator[str]:
    if client.membership(room) != membership:
        yield f"membership is {client.membership(room)}, server says {membership}"
    if state is None:
        return
    pile, server = client.pile(room), state
    for key in sorted(pile.keys() | server.keys()):
        if (room, key) in stage.excused and not client.after:
            continue
        event, stored = server.get(key), pile.get(key)
        if stored is None:
            if not _unloaded(client, room, key, event):
                yield f"{key} is missing"
        elif event is None:
            yield f"{key} is stored as {stored}, server has none"
        elif stored[0] != event["event_id"]:
            yield f"{key} is {stored}, server has {event['event_id']} {event['content']}"
        elif stored[1] != event["content"] and (room, key) not in stage.unpruned:
            yield f"{key} has content {stored[1]}, server has {event['content']}"


def _unloaded(client: Client, room: str, key: Key, event: Event | None) -> bool:
    """Under lazy loading members come late; a list that says it is complete has all who are joined or invited."""
    if not client.lazy or key[0] != "m.room.member" or event is None:
        return False
    return not client.members_synced(room) or event["content"]["membership"] not in ("join", "invite")


def uncovered(client: Client, stage: Stage, room: str) -> list[str]:
    """Return a line for each run of events that the store lacks without saying so by a gap."""
    stored = {row[0] for row in client.rows("select event_id from timeline where room_id = ?", room)}
    edges = {row[0] for row in client.rows("select oldest_after from gaps where room_id = ?", room)}
    lines: list[str] = []
    missing: list[str] = []
    for event_id in stage.history(room):
        if event_id not in stored:
            missing.append(event_id)
            continue
        if missing and event_id not in edges:
            lines.append(f"{client.name} {room}: {len(missing)} events before {event_id} missing, no gap")
        missing = []
    if missing:
        lines.append(f"{client.name} {room}: the newest {len(missing)} events are missing")
    return lines

"""A client that sleeps and back-fills, the rooms that go on meanwhile, and the judge: what the server itself shows.

The judge asks with the lab's plain verbs only; syncstore has no part in what it says.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from examples import lab
from syncstore import Event, Gap, Homeserver, Syncer, SyncStore

ENOUGH = 2000  # pages: more than any history here has, so what is left open after them would stay so for ever
LIMIT = 5  # events of a timeline: more than that while asleep make a gap
_LAZY = {"lazy_load_members": True, "include_redundant_members": True}
_SECRET = b"lab"  # the lab's registration_shared_secret


class Scene:
    """A room of `owner`'s; `log` holds the ids of what was sent through here, in the order of arrival."""

    def __init__(self, owner: lab.User, *guests: lab.User, **options: object) -> None:
        self.owner = owner
        self.id = owner.create_room(None, **{"preset": "public_chat", **options})
        self.log: list[str] = []
        for guest in guests:
            guest.join(self.id)

    def say(self, count: int = 1, who: lab.User | None = None) -> str:
        """Send messages; returns the id of the last."""
        for _ in range(count):
            self.log.append((who or self.owner).send(self.id, f"message {len(self.log)}"))
        return self.log[-1]

    def edit(self, event_id: str, body: str) -> str:
        """Replace the text of a message of the owner's."""
        new = {"msgtype": "m.text", "body": body}
        relation = {"rel_type": "m.replace", "event_id": event_id}
        self.log.append(self.owner.send(self.id, {**new, "m.new_content": new, "m.relates_to": relation}))
        return self.log[-1]

    def redact(self, event_id: str) -> None:
        self.log.append(self.owner.redact(self.id, event_id))

    def topic(self, topic: str) -> str:
        self.log.append(self.owner.send_state(self.id, "m.room.topic", {"topic": topic}))
        return self.log[-1]

    def late(self, parent: str, **where: object) -> str:
        """Let an event arrive that was sent right after `parent`, so that it stands there in the room's graph."""
        content = {"topic": "late"} if "state_key" in where else {"msgtype": "m.text", "body": "late"}
        kind = "m.room.topic" if "state_key" in where else "m.room.message"
        self.log.append(self.owner.fork(self.id, kind, content, prev_event_ids=[parent], **where))
        return self.log[-1]


class Sleeper:
    """One store of one person's, brought up to date only when it is told to. A context manager.

    `limit`: events of a timeline at most.
    """

    def __init__(self, user: lab.User, path: Path, *, limit: int = LIMIT) -> None:
        self.user = user
        self._filter = {"room": {"timeline": {"limit": limit, **_LAZY}, "state": _LAZY}}
        self.store = SyncStore.open(path, user_id=user.user_id, device_id=user.device_id)
        self.server = Homeserver(user.base_url, access_token=user.access_token)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.close()
        self.store.close()

    def copy(self, path: Path) -> Sleeper:
        """Another store that has slept through the same."""
        self.store.backup(path)
        return Sleeper(self.user, path)

    def wake(self) -> None:
        """One turn of the sync loop."""
        Syncer(self.server, self.store, filter=self._filter).run_once()

    def fill(self, limit: int = 100, pages: int = ENOUGH) -> int:
        """Back-fill whatever is open; returns events added."""
        return Syncer(self.server, self.store).backfill_all(budget=pages, limit=limit)

    def items(self, room_id: str) -> list[Event | Gap]:
        """The whole stored timeline, oldest first, read page by page."""
        found: list[Event | Gap] = []
        before: str | None = None
        while True:
            page = self.store.room(room_id).timeline(limit=50, before=before)
            found += page.items
            if page.older is None:
                return found[::-1]
            before = page.older

    def timeline(self, room_id: str) -> list[Event]:
        return [item for item in self.items(room_id) if isinstance(item, Event)]

    def ids(self, room_id: str) -> list[str]:
        return [event.event_id for event in self.timeline(room_id)]

    def places(self, room_id: str) -> dict[str, tuple[int | None, int | None]]:
        return {event.event_id: (event.segment, event.position) for event in self.timeline(room_id)}

    def gaps(self, room_id: str) -> list[Gap]:
        return [gap for gap in self.store.gaps() if gap.room_id == room_id]

    def tops(self) -> dict[int, str]:
        """The next_batch of each response, by the number of its batch, as the documented view tells."""
        with closing(sqlite3.connect(f"file:{self.store.path}?mode=ro", uri=True)) as db:
            return dict(db.execute("SELECT batch, next_batch FROM batches").fetchall())


# -- the judge ---------------------------------------------------------------------------------------------------------


def history(user: lab.User, room_id: str, **bounds: str) -> list[lab.Event]:
    """All that /messages shows to `user`, oldest first. `bounds`: from, to.

    In pages so large that one is enough: with `to`, the server may end a walk of several before late events.
    """
    found: list[lab.Event] = []
    while True:
        page = user.messages(room_id, limit="1000", **bounds)
        found += page["chunk"]
        if "end" not in page:
            return found[::-1]
        bounds["from"] = page["end"]


def history_ids(user: lab.User, room_id: str, **bounds: str) -> list[str]:
    return [event["event_id"] for event in history(user, room_id, **bounds)]


def unannounced(sleeper: Sleeper, room_id: str) -> list[str]:
    """The events that the store lacks and that lie in none of its gaps: what it has lost without saying so.

    A gap reaches from its newer end to `since`. Where the response did not continue from what was known, its newer end
    is the response's own next_batch: the server had listed by topology.
    """
    hidden = set(history_ids(sleeper.user, room_id)) - set(sleeper.ids(room_id))
    tops = sleeper.tops()
    for gap in sleeper.gaps(room_id):
        newer = gap.prev_batch if gap.kind == "limited" else tops[gap.opened_by]
        assert newer is not None
        older = {} if gap.since is None else {"to": gap.since}
        hidden -= set(history_ids(sleeper.user, room_id, **{"from": newer}, **older))
    return sorted(hidden)


def misplaced_gaps(sleeper: Sleeper, room_id: str) -> list[str]:
    """A line for each run of missing events that does not lie between the neighbours of one gap.

    Only for rooms without a fork: there /messages and the stored timeline are in the same order.
    """
    stored = set(sleeper.ids(room_id))
    between = {(gap.newest_before, gap.oldest_after) for gap in sleeper.gaps(room_id)}
    return [
        f"between {older} and {newer}"
        for older, newer in _holes(history_ids(sleeper.user, room_id), stored)
        if (older, newer) not in between
    ]


def _holes(shown: list[str], stored: set[str]) -> Iterator[tuple[str | None, str | None]]:
    """The stored neighbours of each run of events that are not stored."""
    older: str | None = None
    hole = False
    for event_id in [*shown, None]:
        if event_id is not None and event_id not in stored:
            hole = True
            continue
        if hole:
            yield older, event_id
        older, hole = event_id, False


def differences(sleeper: Sleeper, room_id: str) -> list[str]:
    """A line for everything in which a store that was back-filled and /messages disagree.

    /messages shows no event twice and hides some that a sync delivered after an absence: what the store has beyond it
    must have come with a sync.
    """
    shown = {event["event_id"]: event for event in history(sleeper.user, room_id)}
    stored = sleeper.timeline(room_id)
    count = Counter(event.event_id for event in stored)
    lines = [f"{event_id} is missing" for event_id in shown if event_id not in count]
    lines += [f"{event_id} stands there {times} times" for event_id, times in count.items() if times > 1]
    for event in stored:
        if event.event_id in shown:
            lines += _changed(event, shown[event.event_id])
        elif event.source != "timeline":
            lines.append(f"{event.event_id} came from {event.source}, /messages does not show it")
    lines += [f"gap {gap.id} ({gap.kind}) is {gap.status}: {gap.reason}" for gap in sleeper.gaps(room_id)]
    return lines + sleeper.store.check()


def _changed(stored: Event, shown: lab.Event) -> Iterator[str]:
    mine = stored.json()
    for key in ("type", "sender", "content", "state_key", "origin_server_ts"):
        if mine.get(key) != shown.get(key):
            yield f"{stored.event_id} has {key} {mine.get(key)}, the server says {shown.get(key)}"


def disorder(sleeper: Sleeper, scene: Scene) -> list[str]:
    """A line for each segment whose live events are not in the order of arrival, or whose others are not in that of
    /messages."""
    shown = history_ids(sleeper.user, scene.id)
    lines: list[str] = []
    for segment, events in _segments(sleeper.timeline(scene.id)).items():
        live = [event.event_id for event in events if (event.position or 0) >= 0]
        filled = [event.event_id for event in events if (event.position or 0) < 0]
        lines += [f"segment {segment}, live: {live}"] * (not _in_order(live, scene.log))
        lines += [f"segment {segment}, back-filled: {filled}"] * (not _in_order(filled, shown))
    return lines


def _segments(events: list[Event]) -> dict[int, list[Event]]:
    found: dict[int, list[Event]] = {}
    for event in events:
        assert event.segment is not None
        found.setdefault(event.segment, []).append(event)
    return found


def _in_order(ids: list[str], order: list[str]) -> bool:
    rank = {event_id: number for number, event_id in enumerate(order)}
    ranks = [rank[event_id] for event_id in ids if event_id in rank]
    return ranks == sorted(ranks)


# -- the administrator -------------------------------------------------------------------------------------------------


class Admin:
    """An administrator of the lab's server, made with its shared secret."""

    def __init__(self, base_url: str, name: str) -> None:
        self._url = f"{base_url}/_synapse/admin/v1"
        self._token: str | None = None
        nonce = self._ask("/register")["nonce"]
        parts = b"\0".join((nonce.encode(), name.encode(), name.encode(), b"admin"))
        wanted = {"nonce": nonce, "username": name, "password": name, "admin": True}
        mac = hmac.new(_SECRET, parts, hashlib.sha1).hexdigest()
        self._token = self._ask("/register", {**wanted, "mac": mac})["access_token"]

    def purge(self, room_id: str, up_to: str) -> None:
        """Delete a room's history before an event, and return once it is gone."""
        wanted = {"delete_local_events": True, "purge_up_to_event_id": up_to}
        number = self._ask(f"/purge_history/{quote(room_id, safe='')}", wanted)["purge_id"]
        until = time.monotonic() + 30
        while (status := self._ask(f"/purge_history_status/{number}")["status"]) == "active":
            assert time.monotonic() < until, "the purge does not end"
            time.sleep(0.05)
        assert status == "complete"

    def delete(self, room_id: str) -> None:
        """Throw everybody out of a room and purge it, so that no sync tells of it."""
        self._ask(f"/rooms/{quote(room_id, safe='')}", {"purge": True, "force_purge": True}, method="DELETE")

    def _ask(self, path: str, content: lab.Event | None = None, method: str | None = None) -> Any:
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self._url + path, data=body, method=method)
        if self._token is not None:
            request.add_header("Authorization", f"Bearer {self._token}")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

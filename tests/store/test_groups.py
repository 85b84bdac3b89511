"""Rooms of one response are looked up and written together: a bounded number, and as if each were alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from syncstore import SyncStore
from syncstore.reduce import batch as reducing
from syncstore.reduce.room import reduce_room
from syncstore.store import apply
from syncstore.store.entry import write_room
from tests.store.bodies import (
    ANN,
    BOB,
    ME,
    OTHER,
    ROOM,
    Responses,
    create,
    event,
    member,
    message,
    redaction,
    stripped,
    topic,
    wrapped,
)
from tests.store.conftest import Feed, Sql

ROOMS = (ROOM, OTHER, "!third:example.org")
TABLES = ("event", "room", "room_state", "replaced_state", "gap", "undecrypted", "waiting_redaction", "touched")


def test_p01_rooms_without_events_are_not_held_together(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first sync may bring thousands of invites, and a response receipts for all rooms."""
    alive = most = 0

    def reduced(*given: Any) -> Any:
        nonlocal alive, most
        alive += 1
        most = max(most, alive)
        return reduce_room(*given)

    def written(*given: Any) -> int:
        nonlocal alive
        alive -= 1
        return write_room(*given)

    monkeypatch.setattr(reducing, "reduce_room", reduced)
    monkeypatch.setattr(apply, "write_room", written)
    body = feed.next
    receipts = {f"${at}": {"m.read": {f"@{at}:example.org": {"ts": 1}}} for at in range(20)}
    for number in range(200):
        body.invite(f"!in{number}:example.org", *[stripped(f"org.x{at}", {"text": "x" * 50}) for at in range(10)])
        body.join(f"!r{number}:example.org", ephemeral=wrapped([{"type": "m.receipt", "content": receipts}]))
    feed.take(body)
    assert (alive, most < 10) == (0, True)
    small = feed.next
    for number in range(400):
        small.join(f"!r{number}:example.org", told=False, unread_notifications={"notification_count": 1} | receipts)
    assert len(small.done()) > 1 << 16
    most = 0
    feed.take(small)
    assert (alive, most) == (0, 64)


def responses() -> list[bytes]:
    """Of several rooms each: known events, redactions before and after their targets, state that points at events."""
    server = Responses()
    first, second, third = server.next(), server.next(), server.next()
    for number, room in enumerate(ROOMS):
        secret = event(f"$secret{number}", "m.room.encrypted", {"session_id": "s"})
        said = [message("$a"), topic("$t", f"topic {number}"), redaction("$r", "$later"), secret]
        first.join(room, *said, state=[create(), member("$me", ME, "join"), member("$ann", ANN, "join", "Ann")])
        again = [message("$a"), secret, topic("$t2", "new", unsigned={"prev_content": {"topic": f"topic {number}"}})]
        edit = message("$e", unsigned={"m.relations": {"m.replace": message("$edit")}})
        second.join(room, *again, message("$later"), edit, redaction("$r2", "$t"), state=[member("$bob", BOB, "join")])
        third.join(room, redaction("$r3", "$edit"), topic("$t2", "new"), limited=number == 1, prev_batch="p")
    second.leave(ROOM, message("$b"), member("$out", ME, "leave"), state=[member("$bob", BOB, "join")])
    return [one.done() for one in (first, second, third)]


def test_p01_written_together_or_one_by_one_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for size in (1, 64):
        monkeypatch.setattr(apply, "_GROUP", size)
        path = tmp_path / f"{size}.db"
        with SyncStore.open(path, user_id=ME) as store:
            for body in responses():
                store.apply(body)
            assert store.check() == []
        with closing(sqlite3.connect(path)) as db:
            found.append({table: db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in TABLES})
    assert all(found[0].values())
    assert found[0] == found[1]


def test_p08_copies_of_one_event_in_two_sections_differ(feed: Feed, sql: Sql) -> None:
    """The copy that came first is stored: the pile says what that one says."""
    whole = member("$m", ANN, "join", "Ann")
    left = feed.next.leave(ROOM, whole | {"content": {}}, after=True)
    feed.take(left.join(ROOM, state=[create(), whole], after=True))
    assert sql("SELECT event_id, membership FROM members") == [("$m", None)]
    assert feed.store.check() == []

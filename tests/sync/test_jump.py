"""Going to an event or a day that is not stored: what is asked for, and when nothing needs to be (promise 21)."""

from __future__ import annotations

import json

import pytest

from syncstore import Syncer, SyncStore
from syncstore.errors import NotFoundError, ServerError
from syncstore.model.records import Event
from tests.store.bodies import OTHER, ROOM, Body, message
from tests.sync.fake import Scripted


@pytest.fixture
def syncer(server: Scripted, store: SyncStore) -> Syncer:
    """Over events $a, a hole, $y and $z."""
    store.apply(Body("s1").join(ROOM, message("$a"), prev_batch=None).done())
    store.apply(Body("s2").join(ROOM, message("$y"), message("$z"), limited=True, prev_batch="p2").done())
    return Syncer(server.face(), store)


def context(event_id: str, **more: object) -> bytes:
    return json.dumps({"event": message(event_id), "start": "c1", "end": "c2", **more}).encode()


def ids(store: SyncStore) -> list[str]:
    return [item.event_id if isinstance(item, Event) else "|" for item in store.room(ROOM).timeline().items]


def test_p21_a_jump_asks_for_the_context(server: Scripted, syncer: Syncer, store: SyncStore) -> None:
    server.will("context", context("$m", events_before=[message("$l")], events_after=[message("$n")]))
    found = syncer.jump(ROOM, "$m", limit=7)
    assert (found.event_id, found.source) == ("$m", "context")
    assert server.asked("context") == [{"room_id": ROOM, "event_id": "$m", "limit": 7}]
    assert ids(store) == ["$z", "$y", "|", "$n", "$m", "$l", "|", "$a"]


def test_p21_where_nothing_is_missing_nothing_is_asked(server: Scripted, syncer: Syncer, store: SyncStore) -> None:
    assert syncer.jump(ROOM, "$z", limit=1).event_id == "$z"
    assert server.calls == []
    server.will("context", context("$z"))
    syncer.jump(ROOM, "$z", limit=10)
    assert len(server.calls) == 1


def test_p21_a_day_is_an_event(server: Scripted, syncer: Syncer, store: SyncStore) -> None:
    server.will("event_at", b"$m")
    server.will("context", context("$m"))
    assert syncer.jump_to_date(ROOM, 5000).event_id == "$m"
    assert server.asked("event_at") == [{"room_id": ROOM, "ts": 5000, "dir": "f"}]


def test_p21_a_day_after_the_last_event_is_the_last_event(server: Scripted, syncer: Syncer) -> None:
    server.will("event_at", ServerError("nothing", status=404), b"$z")
    assert syncer.jump_to_date(ROOM, 5000, limit=1).event_id == "$z"
    assert [asked["dir"] for asked in server.asked("event_at")] == ["f", "b"]
    server.will("event_at", ServerError("no", status=403))
    with pytest.raises(ServerError):
        syncer.jump_to_date(ROOM, 5000)


def test_p21_what_the_server_does_not_have_is_the_caller_s(server: Scripted, syncer: Syncer, store: SyncStore) -> None:
    server.will("context", ServerError("no such event", status=404))
    before = ids(store)
    with pytest.raises(ServerError):
        syncer.jump(ROOM, "$nothing")
    with pytest.raises(NotFoundError):
        syncer.jump(OTHER, "$m")
    server.will("context", context("$bad", event=message("$bad") | {"type": 5}))
    with pytest.raises(NotFoundError, match="quarantine"):
        syncer.jump(ROOM, "$bad")
    assert ids(store) == before


def test_p14_an_island_is_walked_without_an_older_end(server: Scripted, syncer: Syncer, store: SyncStore) -> None:
    server.will("context", context("$m"))
    syncer.jump(ROOM, "$m")
    server.will("messages", json.dumps({"start": "c1", "chunk": [message("$l"), message("$a")], "end": "c0"}).encode())
    island = store.room(ROOM).gaps()[1]
    assert syncer.backfill(island).closed
    assert server.asked("messages")[0]["to"] is None
    assert ids(store) == ["$z", "$y", "|", "$m", "$l", "$a"]


def test_p14_a_gap_that_went_with_its_island_is_closed(server: Scripted, syncer: Syncer, store: SyncStore) -> None:
    server.will("context", context("$m"))
    syncer.jump(ROOM, "$m")
    gap, island = store.room(ROOM).gaps()
    server.will("messages", json.dumps({"start": "p2", "chunk": [message("$m")], "end": "q"}).encode())
    syncer.backfill(gap)
    assert syncer.backfill(island).closed
    assert store.apply_page(island, "c1", b'{"chunk": []}').discarded
    assert len(server.asked("messages")) == 1

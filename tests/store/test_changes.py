"""The change feed and its durable consumers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from syncstore import Change, SyncStore
from syncstore.errors import StaleBatchError
from tests.store.bodies import ANN, ME, OTHER, ROOM, Body, create, member, message, page, redaction, stripped, topic
from tests.store.conftest import Feed, Sql


@pytest.fixture
def room(feed: Feed) -> Feed:
    feed.take(feed.next.join(ROOM, message("$a"), state=[create(), member("$me", ME, "join")]))
    return feed


def told(store: SyncStore, since: int) -> set[tuple[Any, ...]]:
    """What changed, without the bookkeeping that every batch brings."""
    kept = (one for one in store.changes(since) if one.kind not in ("room", "membership"))
    return {(one.kind, one.op, one.type, one.key, one.event_id, one.origin) for one in kept}


def test_p33_each_commit_tells_what_it_changed(room: Feed) -> None:
    store, seen = room.store, room.store.last_change
    room.take(room.next.join(ROOM, message("$b"), topic("$t", "one"), limited=True, prev_batch="p1"))
    (gap,) = [gap for gap in store.gaps() if gap.kind == "limited"]
    assert told(store, seen) == {
        ("event", "add", "m.room.message", None, "$b", "live"),
        ("event", "add", "m.room.topic", "", "$t", "live"),
        ("state", "change", "m.room.topic", "", "$t", None),
        ("gap", "add", None, str(gap.id), None, None),
    }
    seen = store.last_change
    store.apply_page(gap, "p1", page(message("$y"), end="s1"))
    assert told(store, seen) == {
        ("event", "add", "m.room.message", None, "$y", "backfill"),
        ("gap", "remove", None, str(gap.id), None, None),
    }
    seen = store.last_change
    room.take(room.next.join(ROOM, redaction("$r", "$b")).data("m.direct", {}))
    assert told(store, seen) == {
        ("event", "add", "m.room.redaction", None, "$r", "live"),
        ("event", "change", "m.room.message", None, "$b", None),
        ("account_data", "change", "m.direct", None, None, None),
    }
    seen = store.last_change
    sent = store.room(ROOM).send_text("mine")
    assert told(store, seen) == {("outbox", "add", None, sent.transaction_id, None, None)}
    seen = store.last_change
    room.take(room.next.invite(OTHER, stripped("m.room.name", {"name": "x"})))
    assert ("invite_state", "change", None, None, None, None) in told(store, seen)


def test_p33_a_new_pile_is_told_as_a_whole_and_restated_keys_singly(room: Feed) -> None:
    store = room.store
    assert ("state", "add", None, None, None, None) in told(store, 0)
    room.take(room.next.join(ROOM, topic("$t", "one")))
    seen = store.last_change
    room.snapshot(room.next.join(ROOM, state=[create(), member("$me", ME, "join")]))
    assert ("state", "remove", "m.room.topic", "", None, None) in told(store, seen)


def test_p33_a_name_that_is_derived_last_is_told(room: Feed) -> None:
    """The room's own row was written before, and had not changed."""
    store = room.store
    room.take(room.next.join(ROOM, topic("$t", "one")))
    seen = store.last_change
    room.take(room.next.join(ROOM, state=[topic("$t2", "two")], told=False))
    assert store.room(ROOM).topic == "two"
    assert "room" in {one.kind for one in store.changes(seen)}


def test_p33_a_cursor_gets_every_change_once(room: Feed) -> None:
    """Read in pieces or at once, by whatever process, it is the same."""
    store = room.store
    for number in range(20):
        room.take(room.next.join(ROOM, *(message(f"${number}.{at}") for at in range(5))))
    whole, pieces, seen = store.changes(0), [], 0
    while some := store.changes(seen, 3):
        pieces += some
        seen = some[-1].seq
    assert pieces == whole
    assert len({(one.seq, one.event_id) for one in whole if one.kind == "event"}) == 101
    with SyncStore.open(store.path, read_only=True) as other:
        assert other.changes(0) == whole


def test_p33_what_is_rolled_back_is_not_told(room: Feed) -> None:
    seen = room.store.changes(0)
    with pytest.raises(StaleBatchError):
        room.store.apply(Body("s9").join(ROOM, message("$b")).done(), since="s7")
    assert room.store.changes(0) == seen


def test_p33_subscribers_hear_of_every_commit_once_and_in_order(room: Feed, path: Path) -> None:
    heard: list[Change] = []
    done, broken = threading.Event(), []

    def follow(changes: list[Change]) -> None:
        heard.extend(changes)
        if any(one.event_id == "$19" for one in changes):
            done.set()

    def fail(changes: list[Change]) -> None:
        broken.append(changes)
        raise ValueError("mine")

    since = room.store.last_change
    room.store.subscribe(fail)
    end = room.store.subscribe(follow)
    with SyncStore.open(path) as other:
        for number in range(20):
            by = room.store if number % 2 else other
            by.apply(room.next.join(ROOM, message(f"${number}")).done())
    assert done.wait(10)
    assert heard == room.store.changes(since)
    assert [change for changes in broken for change in changes] == heard
    end()
    room.take(room.next.join(ROOM, message("$late")))
    room.store.close()
    assert not any(one.event_id == "$late" for one in heard)
    assert any(one.event_id == "$late" for changes in broken for one in changes)


def test_p33_forgetting_a_room_tells_no_id(room: Feed) -> None:
    seen = room.store.last_change
    room.store.forget(ROOM)
    assert [(one.kind, one.op, one.room_id, one.key) for one in room.store.changes(seen)] == [
        ("room", "remove", None, None)
    ]


# -- notes that are dropped --------------------------------------------------------------------------------------------


@pytest.fixture
def aged(room: Feed) -> Feed:
    """A store whose batches came a millisecond after each other, long before what they tell of."""
    for number in range(8):
        room.take(room.next.join(ROOM, message(f"${number}.a"), message(f"${number}.b"), topic(f"$t{number}", "x")))
    with room.store._connections.write() as cursor:
        cursor.execute("UPDATE batch SET received_at = id")
    return room


def test_p33_who_has_not_read_what_is_dropped_is_told_so_and_nobody_else(aged: Feed, sql: Sql) -> None:
    store = aged.store
    whole = store.changes(0)
    mark = max(one.seq for one in whole if one.batch < 5)
    dropped = store.prune(before=5)
    assert (dropped.events, dropped.notes) == (0, mark)
    for since in range(store.last_change + 1):
        found = store.changes(since)
        if since < mark:
            told, *found = found
            assert told == Change(mark, 4, "dropped", None, None, None, None, "remove", None)
        assert found == [one for one in whole if one.seq > max(since, mark)]
    assert sql("SELECT count(*) FROM touched") == [(store.last_change - mark + 1,)]
    assert store.prune(before=5).notes == 0
    assert store.prune(before=6).notes > 1  # the older mark goes too
    assert [one.kind for one in store.changes(0)].count("dropped") == 1
    assert store.check() == []


def test_p33_numbers_go_on_when_all_notes_are_dropped(aged: Feed) -> None:
    store, newest = aged.store, aged.store.last_change
    assert store.prune(before=50).notes == newest == store.last_change
    assert [(one.seq, one.kind) for one in store.changes(0)] == [(newest, "dropped")]
    assert store.changes(newest) == []
    aged.take(aged.next.join(ROOM, message("$new")))
    assert [one.event_id for one in store.changes(newest) if one.kind == "event"] == ["$new"]


def test_p33_only_a_time_for_the_whole_store_drops_notes(aged: Feed) -> None:
    before = aged.store.changes(0)
    assert aged.store.prune(ROOM, before=5).notes == aged.store.prune(keep=1000).notes == 0
    assert aged.store.changes(0) == before


def test_p33_a_clock_that_was_set_back_drops_no_note_too_many(aged: Feed) -> None:
    """The third commit says that it came late: what followed it is younger, whatever its clock said."""
    with aged.store._connections.write() as cursor:
        cursor.execute("UPDATE batch SET received_at = 50 WHERE id = 3")
    aged.store.prune(before=5)
    assert {one.batch for one in aged.store.changes(0) if one.kind != "dropped"} == set(range(3, 10))


def test_p33_a_subscriber_that_was_too_slow_is_told_what_it_missed(aged: Feed) -> None:
    store, heard, busy, go_on = aged.store, list[Change](), threading.Event(), threading.Event()

    def follow(changes: list[Change]) -> None:
        heard.extend(changes)
        busy.set()
        assert go_on.wait(10)

    store.subscribe(follow)
    aged.take(aged.next.join(ROOM, message("$heard")))
    assert busy.wait(10)
    aged.take(aged.next.join(ROOM, message("$missed")))
    with store._connections.write() as cursor:
        cursor.execute("UPDATE batch SET received_at = 0")
    store.prune(before=5)
    aged.take(aged.next.join(ROOM, message("$after")))
    go_on.set()
    store.close()
    assert [one.event_id or one.kind for one in heard if one.kind in ("event", "dropped")] == [
        "$heard",
        "dropped",
        "$after",
    ]


def test_p33_what_a_consumer_still_needs_is_not_dropped(aged: Feed) -> None:
    store = aged.store
    assert ids(store) == ids(store, "gone") == []
    aged.take(aged.next.join(ROOM, message("$b"), message("$c")))
    assert ids(store, limit=1) == [("$b", "live")]
    aged.take(aged.next.join(ROOM, message("$d")))
    with store._connections.write() as cursor:
        cursor.execute("UPDATE batch SET received_at = 0")
    store.prune(before=5)
    assert ids(store) == [("$c", "live"), ("$d", "live")]
    store.prune(before=5)
    assert ids(store, "gone") == [("$b", "live"), ("$c", "live"), ("$d", "live")]
    aged.take(aged.next.data("m.direct", {}))
    assert ids(store) == ids(store, "gone") == []
    aged.take(aged.next.join(ROOM, message("$e")))
    assert ids(store) == [("$e", "live")]
    with store._connections.write() as cursor:
        cursor.execute("UPDATE batch SET received_at = 0")
    held = len(store.changes(0))
    store.forget_consumer("gone")
    store.prune(before=5)
    assert len(store.changes(0)) < held
    assert ids(store) == []


def test_p33_who_follows_a_file_that_was_recovered_reads_all_anew(aged: Feed, path: Path) -> None:
    seen = aged.store.last_change
    aged.store.close()
    new = path.with_name("new.db")
    SyncStore.recover(path, new)
    with SyncStore.open(new) as store:
        assert "dropped" in {one.kind for one in store.changes(seen)}


# -- consumers ---------------------------------------------------------------------------------------------------------


def ids(store: SyncStore, name: str = "bot", limit: int = 100) -> list[tuple[str, str]]:
    with store.consume(name, limit=limit) as arrivals:
        return [(one.event.event_id, one.origin) for one in arrivals]


def test_p34_a_consumer_gets_each_event_once_with_its_origin(room: Feed) -> None:
    store = room.store
    assert ids(store) == []  # a new name begins now
    room.take(room.next.join(ROOM, message("$b"), topic("$t", "x"), limited=True, prev_batch="p1"))
    (gap,) = [gap for gap in store.gaps() if gap.kind == "limited"]
    store.apply_page(gap, "p1", page(message("$y"), end="s1"))
    assert ids(store, limit=1) == [("$b", "live")]
    assert ids(store) == [("$t", "live"), ("$y", "backfill")]
    assert ids(store) == []
    room.snapshot(room.next.join(ROOM, message("$z"), limited=True))
    assert ids(store) == [("$z", "initial")]


def test_p34_what_follows_our_own_join_is_live_and_what_was_before_is_not(room: Feed) -> None:
    assert ids(room.store) == []
    joined = member("$joined", ME, "join")
    room.take(room.next.join(OTHER, message("$before"), joined, message("$after"), state=[create()]))
    assert ids(room.store) == [("$before", "initial"), ("$joined", "initial"), ("$after", "live")]
    room.take(room.next.leave(OTHER, message("$c"), member("$left", ME, "leave")))
    assert ids(room.store) == [("$c", "live"), ("$left", "live")]
    room.take(room.next.join(OTHER, message("$away"), member("$again", ME, "join"), message("$d")))
    assert ids(room.store) == [("$away", "initial"), ("$again", "initial"), ("$d", "live")]


def test_p34_an_exception_acknowledges_nothing(room: Feed) -> None:
    assert ids(room.store) == []
    room.take(room.next.join(ROOM, message("$b")))
    with pytest.raises(KeyError), room.store.consume("bot"):
        raise KeyError
    assert ids(room.store) == [("$b", "live")]


def test_p34_names_do_not_disturb_each_other(room: Feed) -> None:
    assert ids(room.store, "one") == ids(room.store, "two") == []
    room.take(room.next.join(ROOM, message("$b")))
    assert ids(room.store, "one") == ids(room.store, "two") == [("$b", "live")]


def test_p34_two_of_one_name_never_hold_the_same_event(room: Feed, path: Path) -> None:
    assert ids(room.store) == []
    room.take(room.next.join(ROOM, message("$b")))
    with SyncStore.open(path) as other, room.store.consume("bot") as held:
        assert len(held) == 1
        assert ids(other) == []
    assert ids(room.store) == []


def test_p34_a_killed_consumer_gets_its_events_again(room: Feed, path: Path) -> None:
    assert ids(room.store) == []
    room.take(room.next.join(ROOM, message("$b")))
    script = (
        "import os, sys; from syncstore import SyncStore; store = SyncStore.open(sys.argv[1]);"
        "held = store.consume('bot'); arrivals = held.__enter__(); os.kill(os.getpid(), 9 if arrivals else 0)"
    )
    killed = subprocess.run([sys.executable, "-c", script, os.fspath(path)], check=False)
    assert killed.returncode == -9
    assert ids(room.store) == [("$b", "live")]


def test_p34_what_took_too_long_and_was_done_by_another_is_an_error(room: Feed, sql: Sql) -> None:
    assert ids(room.store) == []
    room.take(room.next.join(ROOM, message("$b")))
    with (
        pytest.raises(StaleBatchError, match="took too long"),
        room.store.consume("bot"),
        room.store._connections.write() as cursor,
    ):
        cursor.execute("UPDATE consumer SET last_row = 0, seq = seq + 1")


def test_p34_a_redacted_event_comes_stripped_and_a_forgotten_one_not(room: Feed) -> None:
    assert ids(room.store) == []
    room.take(room.next.join(ROOM, message("$b", "secret")))
    room.take(room.next.join(ROOM, redaction("$r", "$b", sender=ANN)))
    with room.store.consume("bot") as arrivals:
        assert arrivals[0].event.content == {}
    room.take(room.next.join(ROOM, message("$c")))
    room.store.forget(ROOM)
    assert ids(room.store) == []


def test_p34_consumers_tell_where_they_are_and_what_waits(room: Feed, path: Path) -> None:
    store = room.store
    assert ids(store, "old") == []
    begun = store.last_change
    room.take(room.next.join(ROOM, message("$b"), message("$c"), topic("$t", "x")))
    room.take(room.next.data("m.direct", {}))
    assert ids(store, "new") == []
    assert ids(store, "old", limit=2) == [("$b", "live"), ("$c", "live")]
    with SyncStore.open(path, read_only=True) as reader:
        found = {one.name: (one.stream, one.waiting) for one in reader.consumers()}
    assert found == {"old": ("events", 1), "new": ("events", 0)}
    new, old = store.consumers()
    assert old.seq is not None and begun < old.seq < store.last_change == new.seq
    assert 0 <= new.updated_ts <= old.updated_ts


def test_p34_a_forgotten_consumer_that_asks_again_begins_now(room: Feed) -> None:
    store = room.store
    assert ids(store) == ids(store, "other") == []
    room.take(room.next.join(ROOM, message("$b")))
    store.forget_consumer("bot")
    assert [one.name for one in store.consumers()] == ["other"]
    assert ids(store) == []
    assert ids(store, "other") == [("$b", "live")]


def test_p34_a_consumer_that_is_forgotten_while_it_works_is_told(room: Feed) -> None:
    assert ids(room.store) == []
    room.take(room.next.join(ROOM, message("$b")))
    with pytest.raises(StaleBatchError, match="or forgot it"), room.store.consume("bot"):
        room.store.forget_consumer("bot")
    assert room.store.consumers() == []

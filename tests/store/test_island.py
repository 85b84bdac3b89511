"""Islands: where the events around a jump go, how they move, and how walks join them (promise 21)."""

from __future__ import annotations

import json

import pytest

from syncstore import SyncStore
from syncstore.errors import NotFoundError, StoreError, WireError
from syncstore.model.records import Event, Gap
from tests.store.bodies import OTHER, ROOM, Body, Json, message, page, redaction
from tests.store.conftest import Feed, Sql

HISTORY = 60


def said(number: int) -> Json:
    return message(f"${number}", f"text {number}", origin_server_ts=number * 1000)


class Line:
    """A server with one straight history of events 0, 1, 2 …; the token t7 stands between event 6 and event 7."""

    def __init__(self, store: SyncStore) -> None:
        self.store = store
        self.feed = Feed(store)

    def sync(self, first: int, last: int, *, limited: bool = True) -> None:
        """Events first to last, after which the store sleeps."""
        events = [said(number) for number in range(first, last + 1)]
        self.feed.take(Body(f"t{last + 1}").join(ROOM, *events, limited=limited, prev_batch=f"t{first}"))

    def jump(self, number: int, around: int = 1) -> None:
        low, high = max(0, number - around), min(HISTORY - 1, number + around)
        body = {
            "event": said(number),
            "events_before": [said(one) for one in range(number - 1, low - 1, -1)],
            "events_after": [said(one) for one in range(number + 1, high + 1)],
            "start": f"t{low}",
            "end": f"t{high + 1}",
        }
        self.store.apply_context(ROOM, json.dumps(body).encode())

    def fill(self, gap: Gap, limit: int = 4, *, deaf: bool = False) -> bool:
        """One page of a gap; False once it is closed."""
        with self.store.lease_gap(gap, 60) as row:
            if row is None or row.status == "closed":
                return False
            assert row.walk is not None
            token, again = row.walk, row.ended_at is not None
            end = 0 if row.since is None or deaf else int(row.since[1:])
        start = int(token[1:])
        found = [said(number) for number in range(start - 1, max(end, start - limit - again) - 1, -1)]
        body = page(*found, end=f"t{start - len(found)}" if found else None)
        self.store.apply_page(gap, token, body, again=again)
        return True

    def fill_all(self, limit: int = 4) -> None:
        for _ in range(100):
            gaps = self.store.gaps()
            if not gaps:
                return
            self.fill(gaps[0], limit)
        raise AssertionError("still gaps after a hundred pages")


@pytest.fixture
def line(store: SyncStore) -> Line:
    """Events 0 to 2 from the beginning, a hole, 30 to 32, a hole, 57 to 59."""
    made = Line(store)
    made.feed.take(Body("t3").join(ROOM, said(0), said(1), said(2), prev_batch=None))
    made.sync(30, 32)
    made.sync(57, 59)
    return made


def shown(store: SyncStore) -> list[str]:
    """The timeline from old to new: runs of events as 0-2, gaps as |."""
    runs: list[str] = []
    last: int | None = None
    for item in reversed(store.room(ROOM).timeline(1000).items):
        if isinstance(item, Gap):
            runs.append("|")
            last = None
        else:
            number = int(item.event_id[1:])
            if last is not None and number == last + 1:
                runs[-1] = f"{runs[-1].split('-')[0]}-{number}"
            else:
                runs.append(str(number))
            last = number
    return runs


def whole(store: SyncStore) -> None:
    assert [int(item.event_id[1:]) for item in reversed(_events(store))] == list(range(HISTORY))
    assert (store.gaps(), store.check()) == ([], [])


def _events(store: SyncStore) -> list[Event]:
    return [item for item in store.room(ROOM).timeline(1000).items if isinstance(item, Event)]


def test_p21_a_jump_makes_an_island_with_a_gap_on_each_side(line: Line, store: SyncStore) -> None:
    line.jump(45)
    assert shown(store) == ["0-2", "|", "30-32", "|", "44-46", "|", "57-59"]
    newest, island, _ = store.room(ROOM).gaps()
    assert (island.kind, island.prev_batch, island.since, island.status) == ("island", "t44", None, "open")
    assert (island.newest_before, island.oldest_after) == ("$32", "$44")
    assert (newest.newest_before, newest.oldest_after) == ("$46", "$57")
    around = store.room(ROOM).timeline(5, around="$45")
    assert [item.event_id if not isinstance(item, Gap) else "|" for item in around.items] == [
        *["$57", "|", "$46", "$45", "$44", "|", "$32"]
    ]


def test_p21_the_gap_is_chosen_by_the_clock(line: Line, store: SyncStore) -> None:
    line.jump(10)
    line.jump(50)
    line.jump(40)
    assert shown(store) == ["0-2", "|", "9-11", "|", "30-32", "|", "39-41", "|", "49-51", "|", "57-59"]


@pytest.mark.parametrize("limit", [1, 3, 4, 7, 50])
@pytest.mark.parametrize("jumps", [[45], [10, 50, 40], [40, 50, 10], [31, 56], [3, 29, 33], [1, 58]])
def test_p21_walks_from_above_take_the_islands_in(
    line: Line, store: SyncStore, sql: Sql, limit: int, jumps: list[int]
) -> None:
    for number in jumps:
        line.jump(number)
    line.fill_all(limit)
    whole(store)
    assert sql("SELECT count(*) FROM gap WHERE kind = 'island' AND status <> 'closed'") == [(0,)]


def test_p21_what_an_island_holds_is_not_fetched_again(line: Line, store: SyncStore, sql: Sql) -> None:
    line.jump(45, around=9)  # 36 to 54
    gap = store.gaps()[0]
    line.fill(gap, 4)  # 53 to 56: reaches the island
    assert sql("SELECT walk FROM gap WHERE id = ?", gap.id) == [("t36",)]
    assert shown(store) == ["0-2", "|", "30-32", "|", "36-59"]


@pytest.mark.parametrize("limit", [1, 3, 50])
def test_p21_an_island_walks_to_the_stored_timeline(line: Line, store: SyncStore, limit: int) -> None:
    line.jump(40)
    island = store.room(ROOM).gaps()[1]
    while line.fill(island, limit):
        pass
    assert shown(store)[:4] == ["0-2", "|", "30-41", "|"]
    line.fill_all()
    whole(store)


@pytest.mark.parametrize("limit", [1, 4, 50])
@pytest.mark.parametrize(("number", "clock"), [(45, 5), (10, 50)])
def test_p21_an_island_in_the_wrong_gap_moves_to_the_right_one(
    line: Line, store: SyncStore, number: int, clock: int, limit: int
) -> None:
    """The clock of its sender is wrong; its own walk shows where it belongs, or the walks from above do."""
    body = {"event": said(number) | {"origin_server_ts": clock * 1000}, "start": f"t{number}"}
    store.apply_context(ROOM, json.dumps(body).encode())
    wrong = ["0-2", "|", "30-32", "|", "57-59"]
    wrong[2 if clock == 5 else 4 : 2 if clock == 5 else 4] = [str(number), "|"]
    assert shown(store) == wrong
    island = next(gap for gap in store.gaps() if gap.kind == "island")
    for _ in range(limit):
        line.fill(island, 50)
    line.fill_all(limit)
    whole(store)


@pytest.mark.parametrize(("number", "clock"), [(45, 5), (10, 50)])
def test_p21_its_own_walk_takes_an_island_to_its_gap(line: Line, store: SyncStore, number: int, clock: int) -> None:
    body = {"event": said(number) | {"origin_server_ts": clock * 1000}, "start": f"t{number}"}
    store.apply_context(ROOM, json.dumps(body).encode())
    island = next(gap for gap in store.gaps() if gap.kind == "island")
    while line.fill(island, 5):
        pass
    assert shown(store) == (
        ["0-2", "|", "30-45", "|", "57-59"] if number == 45 else ["0-10", "|", "30-32", "|", "57-59"]
    )


@pytest.mark.parametrize(("number", "clock"), [(45, 5), (10, 50)])
def test_p21_a_gap_that_closes_without_its_island_gives_it_away(
    line: Line, store: SyncStore, number: int, clock: int
) -> None:
    body = {"event": said(number) | {"origin_server_ts": clock * 1000}, "start": f"t{number}"}
    store.apply_context(ROOM, json.dumps(body).encode())
    gaps = [gap for gap in store.gaps() if gap.kind == "limited"]
    guessed = next(gap for gap in gaps if (gap.segment >> 20 == 2) == (clock == 5))
    while line.fill(guessed):
        pass
    assert shown(store) == (["0-32", "|", "45", "|", "57-59"] if number == 45 else ["0-2", "|", "10", "|", "30-59"])


def test_p21_jumping_from_the_top_of_an_island_goes_on_to_newer_events(line: Line, store: SyncStore) -> None:
    line.jump(40)
    line.jump(41, around=2)
    line.jump(43, around=1)
    assert shown(store) == ["0-2", "|", "30-32", "|", "39-44", "|", "57-59"]
    line.jump(44, around=20)
    assert shown(store) == ["0-2", "|", "24-38", "|", "39-56", "|", "57-59"]
    line.fill_all()
    whole(store)


def test_p21_a_jump_beside_the_timeline_grows_it(line: Line, store: SyncStore) -> None:
    line.jump(34, around=2)
    line.jump(55, around=2)
    assert shown(store) == ["0-2", "|", "30-36", "|", "53-59"]


def test_p21_where_a_gap_was_closed_nothing_grows(line: Line, store: SyncStore) -> None:
    """The server shows an event between two that are proven to follow each other: only it knows where that belongs."""
    lower = store.gaps()[-1]
    while line.fill(lower):
        pass
    assert shown(store) == ["0-32", "|", "57-59"]
    hidden = {"event": message("$hidden"), "events_before": [said(2)], "events_after": [said(3)]}
    store.apply_context(ROOM, json.dumps(hidden).encode())
    found = store.room(ROOM).event("$hidden")
    assert found is not None and found.segment is None


def test_p21_two_islands_that_touch_are_one_when_walked(line: Line, store: SyncStore) -> None:
    line.jump(50)
    line.jump(46)
    upper = store.room(ROOM).gaps()[1]
    line.fill(upper, 3)
    assert shown(store) == ["0-2", "|", "30-32", "|", "45-51", "|", "57-59"]
    assert upper.oldest_after == "$49"


def test_p21_under_an_island_the_beginning_may_be_reached(store: SyncStore) -> None:
    line = Line(store)
    line.sync(57, 59)
    line.jump(5, around=3)
    island = store.room(ROOM).gaps()[1]
    while line.fill(island):
        pass
    assert shown(store) == ["0-8", "|", "57-59"]
    line.fill_all()
    whole(store)


def test_p21_places_of_the_timeline_never_move(line: Line, store: SyncStore, sql: Sql) -> None:
    places = "SELECT event_id, segment, position FROM timeline WHERE source = 'timeline' ORDER BY event_id"
    before = sql(places)
    for number in (45, 40, 10, 50):
        line.jump(number)
    line.fill_all()
    assert sql(places) == before


def test_p21_a_gap_opened_later_passes_through_an_island(line: Line, store: SyncStore, sql: Sql) -> None:
    """A server that ignores `to` may send late events from within the island: none may be skipped."""
    line.jump(45, around=5)
    line.feed.take(Body("t71").join(ROOM, said(70), limited=True, prev_batch="t57"))
    gap = store.gaps()[0]
    line.fill(gap, 10, deaf=True)  # 47 to 56
    assert sql("SELECT walk FROM gap WHERE id = ?", gap.id) == [("t47",)]
    assert shown(store)[2:6] == ["30-32", "|", "40-46", "|"]


def test_p21_what_a_sync_brings_leaves_its_island(line: Line, store: SyncStore) -> None:
    """A sender's clock put an event of tomorrow into a gap of yesterday; the sync that brings it knows better."""
    wrong = {"origin_server_ts": 45000}
    body = {"event": said(61) | wrong, "events_before": [said(60) | wrong], "start": "t60"}
    store.apply_context(ROOM, json.dumps(body).encode())
    assert shown(store) == ["0-2", "|", "30-32", "|", "60-61", "|", "57-59"]
    line.sync(60, 62, limited=False)
    assert shown(store) == ["0-2", "|", "30-32", "|", "57-62"]
    assert [gap.kind for gap in store.gaps()] == ["limited", "limited"]


def test_p21_what_is_newer_than_all_waits_for_its_sync(line: Line, store: SyncStore) -> None:
    line.jump(60, around=0)
    found = store.room(ROOM).event("$60")
    assert found is not None and found.segment is None
    line.sync(60, 61, limited=False)
    assert shown(store)[-1] == "57-61"


def test_p21_what_no_gap_can_hold_has_no_place(store: SyncStore) -> None:
    feed = Feed(store)
    feed.take(feed.next.join(ROOM, said(1), said(3), prev_batch=None))
    Line(store).jump(2)
    Line(store).jump(40)
    room = store.room(ROOM)
    assert [event.event_id for event in room.timeline().items if not isinstance(event, Gap)] == ["$3", "$1"]
    found = room.event("$2"), room.event("$40")
    assert [(one.source, one.segment) for one in found if one] == [("context", None)] * 2


def test_p21_a_redaction_in_a_context_strips(line: Line, store: SyncStore) -> None:
    body = {"event": redaction("$r", "$31"), "start": "t44"}
    store.apply_context(ROOM, json.dumps(body).encode())
    found = store.room(ROOM).event("$31")
    assert found is not None and (found.content, found.redacted_by) == ({}, "$r")


def test_p21_a_context_without_a_token_is_renewed_from_below(line: Line, store: SyncStore) -> None:
    store.apply_context(ROOM, json.dumps({"event": said(45)}).encode())
    island = store.room(ROOM).gaps()[1]
    assert (island.prev_batch, island.status, island.oldest_after) == (None, "open", "$45")


def test_p21_too_many_islands_are_refused_and_nothing_is_written(line: Line, store: SyncStore) -> None:
    """Each halves the room under the one before; the message says what to do."""
    with pytest.raises(StoreError, match="back-fill it"):
        for number in range(25):
            seq = store.seq
            one = message(f"$i{number}", origin_server_ts=45000 - number)
            store.apply_context(ROOM, json.dumps({"event": one, "start": "t45"}).encode())
    assert (store.seq, store.check()) == (seq, [])
    assert number > 15


def test_contexts_that_are_none_are_refused(line: Line, store: SyncStore) -> None:
    for body in ({}, {"event": said(1), "events_after": {}}, {"event": said(1), "start": 5}):
        with pytest.raises(WireError):
            store.apply_context(ROOM, json.dumps(body).encode())
    with pytest.raises(NotFoundError):
        store.apply_context(OTHER, json.dumps({"event": said(1)}).encode())

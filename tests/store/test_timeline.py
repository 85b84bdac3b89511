"""Places: given once, never changed, never reused; and the pages that a reader sees (promise 11)."""

from __future__ import annotations

import pytest

from syncstore.errors import NotFoundError
from syncstore.model.records import Gap
from syncstore.room import Room
from tests.store.bodies import ROOM, create, message, page, topic
from tests.store.conftest import Feed, Sql

PLACES = "SELECT event_id, segment, position FROM timeline ORDER BY segment, position"
SPACING = 1 << 20


def ids(sql: Sql) -> list[str]:
    return [row[0] for row in sql(PLACES)]


def walk(sql: Sql, gap: Gap) -> str:
    """The token that the next page is asked from."""
    return str(sql("SELECT walk FROM gap WHERE id = ?", gap.id)[0][0])


def test_p11_live_events_append_and_back_fill_prepends(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, message("$a"), message("$b"), limited=True))
    gap = feed.store.gaps()[0]
    feed.store.apply_page(gap, walk(sql, gap), page(message("$y"), message("$x"), end="q"))
    feed.take(feed.next.join(ROOM, message("$c")))
    feed.store.apply_page(gap, "q", page(message("$w")))
    assert sql(PLACES) == [
        ("$w", SPACING, -3),
        ("$x", SPACING, -2),
        ("$y", SPACING, -1),
        ("$a", SPACING, 0),
        ("$b", SPACING, 1),
        ("$c", SPACING, 2),
    ]


def test_p11_a_place_once_given_never_changes(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, message("$a"), message("$b"), message("$c"), prev_batch=None))
    before = sql(PLACES)
    feed.take(feed.next.join(ROOM, message("$c"), message("$a")))
    feed.take(feed.next.join(ROOM, message("$b"), message("$c"), message("$a"), limited=True))
    feed.snapshot(feed.next.join(ROOM, message("$c"), message("$b"), limited=True))
    gap = feed.store.gaps()[0]
    feed.store.apply_page(gap, walk(sql, gap), page(message("$a"), message("$c"), end="q"))
    assert sql(PLACES) == before


def test_p11_an_empty_segment_fills_from_both_sides(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, limited=True, prev_batch="p1"))
    gap = feed.store.gaps()[0]
    feed.store.apply_page(gap, walk(sql, gap), page(message("$b"), message("$a"), end="q"))
    feed.take(feed.next.join(ROOM, message("$c")))
    feed.store.apply_page(gap, "q", page(message("$x")))
    assert ids(sql) == ["$x", "$a", "$b", "$c"]


def test_p11_an_event_has_one_place_however_often_it_is_listed(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, message("$a"), message("$a"), message("$b"), message("$a"), limited=True))
    gap = feed.store.gaps()[0]
    feed.store.apply_page(gap, walk(sql, gap), page(message("$z"), message("$z"), message("$b"), end="q"))
    assert ids(sql) == ["$z", "$a", "$b"]


def test_p11_events_of_a_state_block_have_no_place_until_a_timeline_gives_one(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, message("$a"), state=[create(), topic("$t", "T")]))
    assert ids(sql) == ["$a"]
    assert sql("SELECT source FROM events WHERE event_id = '$t'") == [("state",)]
    feed.take(feed.next.join(ROOM, topic("$t", "T", unsigned={"transaction_id": "x"})))
    assert ids(sql) == ["$a", "$t"]
    assert sql("SELECT source, transaction_id FROM events WHERE event_id = '$t'") == [("timeline", "x")]


def test_p11_what_is_forgotten_and_comes_again_is_new(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, message("$a"), message("$b")))
    feed.store.forget(ROOM)
    feed.take(feed.next.join(ROOM, message("$b")))
    assert sql(PLACES) == [("$b", SPACING, 0)]


def read_back(room: Room, limit: int) -> list[list[str]]:
    """All pages from the newest to the oldest, gaps as #number."""
    pages, cursor = [], None
    while True:
        one = room.timeline(limit, before=cursor)
        pages.append([f"#{item.segment // SPACING}" if isinstance(item, Gap) else item.event_id for item in one.items])
        cursor = one.older
        if cursor is None:
            return pages


@pytest.fixture
def room(feed: Feed) -> Room:
    """Three segments, a gap before each, the second without an event."""
    feed.take(feed.next.join(ROOM, message("$a"), message("$b"), limited=True))
    feed.take(feed.next.join(ROOM, limited=True))
    feed.take(feed.next.join(ROOM, message("$c"), message("$d"), limited=True))
    return feed.store.room(ROOM)


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_pages_show_every_event_and_every_gap_once(room: Room, limit: int) -> None:
    pages = read_back(room, limit)
    assert [item for one in pages for item in one] == ["$d", "$c", "#3", "#2", "$b", "$a", "#1"]
    assert all(sum(item[0] == "$" for item in one) <= limit for one in pages)


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_forward_show_the_same(room: Room, limit: int) -> None:
    page = room.timeline(limit)
    while page.older is not None:
        page = room.timeline(limit, before=page.older)
    seen = list(page.items)
    while page.newer is not None:
        page = room.timeline(limit, after=page.newer)
        seen = [*page.items, *seen]
    assert [f"#{item.segment // SPACING}" if isinstance(item, Gap) else item.event_id for item in seen] == [
        item for one in read_back(room, 50) for item in one
    ]


def test_a_page_asked_for_badly_is_refused(room: Room) -> None:
    for limit in (0, -1):
        with pytest.raises(ValueError, match="limit"):
            room.timeline(limit)
    for side in ("before", "after", "around"):
        with pytest.raises(NotFoundError, match=r"\$nowhere has no place"):
            room.timeline(50, **{side: "$nowhere"})
    with pytest.raises(ValueError, match="not more than one"):
        room.timeline(before="$a", around="$b")


@pytest.mark.parametrize(
    ("limit", "event_id", "shown"),
    [
        (1, "$b", ["$b"]),
        (2, "$b", ["$c", "#3", "#2", "$b"]),
        (3, "$b", ["$c", "#3", "#2", "$b", "$a", "#1"]),
        (3, "$c", ["$d", "$c", "#3", "#2", "$b"]),
        (1, "$c", ["$c", "#3", "#2"]),
        (4, "$d", ["$d", "$c", "#3", "#2", "$b", "$a", "#1"]),
        (50, "$a", ["$d", "$c", "#3", "#2", "$b", "$a", "#1"]),
    ],
)
def test_a_page_around_an_event(room: Room, limit: int, event_id: str, shown: list[str]) -> None:
    found = room.timeline(limit, around=event_id)
    assert [f"#{item.segment // SPACING}" if isinstance(item, Gap) else item.event_id for item in found.items] == shown
    ids = [item for item in shown if item[0] == "$"]
    assert found.older == (None if ids[-1] == "$a" else ids[-1])
    assert found.newer == (None if ids[0] == "$d" else ids[0])


def test_a_room_without_events_has_its_gap(feed: Feed) -> None:
    feed.take(feed.next.join(ROOM, limited=True))
    one = feed.store.room(ROOM).timeline()
    assert [type(item) for item in one.items] == [Gap]
    assert (one.older, one.newer) == (None, None)

"""The state rules of the three forms, as steps."""

from __future__ import annotations

import pytest

from syncstore.model.batch import RoomEntry, RoomEvent, Section, StateAsOf
from syncstore.model.changes import BEFORE_TIMELINE
from syncstore.reduce.room import reduce_room

ME = "@me:hs"


def event(name: str, type: str = "m.room.topic", key: str | None = "", **body: object) -> RoomEvent:
    nothing = (None,) * 8
    return RoomEvent(f"${name}", type, "@ann:hs", 1, "{}", None, 0, key, *nothing, False, body)


def steps(
    as_of: StateAsOf, state: list[RoomEvent], timeline: list[RoomEvent], section: Section = "join"
) -> list[tuple[str, int]]:
    entry = RoomEntry("!r:hs", section, state, as_of, True, timeline)
    return [(step.event_id, step.at) for step in reduce_room(entry, ME).steps]


A, B, C = (event(name) for name in "abc")
SAID = event("said", "m.room.message", None)


def test_classic_applies_the_block_and_then_the_timeline() -> None:
    assert steps("start", [A], [B, SAID, C]) == [("$a", BEFORE_TIMELINE), ("$b", 0), ("$c", 2)]


def test_classic_gives_an_event_in_both_its_place_in_the_timeline() -> None:
    assert steps("start", [B], [A, B]) == [("$a", 0), ("$b", 1)]


@pytest.mark.parametrize("as_of", ["after", "2015"])
def test_a_block_as_of_the_end_has_the_last_word(as_of: StateAsOf) -> None:
    assert steps(as_of, [B], [A, B, C]) == [("$a", 0), ("$b", 1)]


def test_state_after_never_applies_a_timeline_that_the_block_does_not_name() -> None:
    assert steps("after", [], [A, B]) == []
    assert steps("after", [C], [A, B]) == [("$c", BEFORE_TIMELINE)]


def test_2015_applies_a_timeline_that_the_block_does_not_name() -> None:
    assert steps("2015", [], [A, B]) == [("$a", 0), ("$b", 1)]
    assert steps("2015", [C], [A, B]) == [("$c", BEFORE_TIMELINE), ("$a", 0), ("$b", 1)]


@pytest.mark.parametrize("as_of", ["start", "after", "2015"])
def test_p08_our_own_leave_counts_in_every_form(as_of: StateAsOf) -> None:
    left = event("left", "m.room.member", ME, membership="leave")
    other = event("other", "m.room.member", "@ann:hs", membership="leave")
    assert ("$left", 1) in steps(as_of, [], [other, left], "leave")
    assert (("$other", 0) in steps(as_of, [], [other, left], "leave")) is (as_of != "after")


@pytest.mark.parametrize(("membership", "told"), [("ban", "ban"), ("leave", "leave"), ("join", "leave")])
def test_p08_a_left_room_is_banned_if_our_newest_member_event_says_so(membership: str, told: str) -> None:
    own = event("own", "m.room.member", ME, membership=membership)
    entry = RoomEntry("!r:hs", "leave", [], "after", True, [own])
    assert reduce_room(entry, ME).membership == told
    assert reduce_room(RoomEntry("!r:hs", "leave"), ME).membership is None


def test_an_event_listed_twice_is_one() -> None:
    entry = RoomEntry("!r:hs", "join", [], "start", True, [A, B, A])
    changes = reduce_room(entry, ME)
    assert changes.timeline is not None
    assert [one.event_id for one in changes.timeline.events] == ["$a", "$b"]
    assert [(step.event_id, step.at) for step in changes.steps] == [("$a", 0), ("$b", 1)]


@pytest.mark.parametrize(
    ("as_of", "state", "timeline", "restates"),
    [("start", 1, 0, True), ("start", 0, 1, True), ("after", 0, 1, False), ("after", 1, 0, True), ("2015", 0, 1, True)],
)
def test_p09_create_restates(as_of: StateAsOf, state: int, timeline: int, restates: bool) -> None:
    create = event("create", "m.room.create")
    entry = RoomEntry("!r:hs", "join", [create] * state, as_of, True, [create] * timeline)
    assert reduce_room(entry, ME).restates is restates


def test_reducing_twice_gives_the_same_and_changes_nothing() -> None:
    entry = RoomEntry("!r:hs", "join", [A], "start", True, [B, SAID, B])
    before = repr(entry)
    assert reduce_room(entry, ME) == reduce_room(entry, ME)
    assert repr(entry) == before

"""What is asked for every day costs the same however much is stored (promise 30). Counted, not timed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from syncstore import SyncStore
from tests.store.bodies import ANN, ME, Json, create, member, message, name, page
from tests.store.conftest import Feed
from tests.store.work import Steps, counted

ROOMS = 20
Costs = dict[str, int]


def room_id(number: int) -> str:
    return f"!room{number}:example.org"


def _grow(feed: Feed, events: int) -> None:
    """As many rooms as ever, with so many events in all; the last part of each comes with a gap before it."""
    each = events // ROOMS
    for part in range(2):
        body = feed.next
        for number in range(ROOMS):
            first = part * each // 2
            said = [message(f"${at}", f"text {at}") for at in range(first, first + each // 2)]
            known = [create(), name("$name", "Room"), member("$me", ME, "join"), member("$ann", ANN, "join", "Ann")]
            body.join(room_id(number), *said, state=known if part == 0 else [], limited=True, prev_batch=f"p{part}")
        feed.take(body)


def _costs(path: Path, steps: Steps, events: int) -> Costs:
    with SyncStore.open(path, user_id=ME) as store:
        feed = Feed(store)
        _grow(feed, events)
        first = store.room(room_id(0))
        gap = first.gaps()[0]

        def fill() -> None:
            with store.lease_gap(gap, 60) as row:
                assert row is not None and row.walk is not None
                store.apply_page(gap, row.walk, page(*[message(f"$old{at}") for at in range(10)], end="p9"))

        body = feed.next
        for number in range(2):
            body.join(room_id(number), *[message(f"$new{at}") for at in range(5)])
        asked: dict[str, Callable[[], object]] = {
            "batch": lambda: feed.take(body),
            "page of back-fill": fill,
            "timeline": lambda: first.timeline(50),
            "timeline in the middle": lambda: first.timeline(50, around=f"${events // ROOMS // 4}"),
            "state": lambda: first.state("m.room.name"),
            "member": lambda: first.member(ANN),
            "event": lambda: first.event("$7"),
            "state of old": lambda: first.state_at("$7", "m.room.name"),
            "gaps of a room": first.gaps,
            "gap": lambda: store.gap(gap.id),
            "gaps": store.gaps,
            "rooms": store.rooms,
            "account data": lambda: store.account_data("m.direct"),
        }
        return {what: steps.of(work) for what, work in asked.items()}


def test_p30_ten_times_the_events_cost_no_more_work(tmp_path: Path) -> None:
    with counted() as steps:
        few, many = (_costs(tmp_path / f"{events}.db", steps, events) for events in (4_000, 40_000))
    assert min(few.values()) > 0
    assert {what: (cost, many[what]) for what, cost in few.items() if many[what] > 1.2 * cost} == {}


@pytest.mark.parametrize("named", [True, False])
def test_p30_a_member_change_costs_the_same_in_a_large_room(tmp_path: Path, named: bool) -> None:
    with counted() as steps:
        few, many = (_member_change(tmp_path / f"{count}.db", steps, count, named) for count in (100, 10_000))
    assert 0 < many <= 1.2 * few


def _member_change(path: Path, steps: Steps, count: int, named: bool) -> int:
    members: list[Json] = [member(f"${at}", f"@user{at:05}:example.org", "join", f"User {at}") for at in range(count)]
    state = [create(), member("$me", ME, "join"), *members, *([name("$name", "Crowd")] if named else [])]
    with SyncStore.open(path, user_id=ME) as store:
        feed = Feed(store)
        feed.take(feed.next.join(room_id(0), message("$m"), state=state))
        changes = [member(f"$new{at}", f"@user{at:05}:example.org", "join", "Renamed") for at in range(50, 53)]
        body = feed.next.join(room_id(0), *changes)
        return steps.of(lambda: feed.take(body))


def test_p28_a_key_that_changed_often_is_pruned_in_proportion(tmp_path: Path) -> None:
    """Whoever changes their name ten thousand times must not lock the store for others."""
    with counted() as steps:
        few, many = (_pruning(tmp_path / f"{count}.db", steps, count) for count in (200, 2000))
    assert 0 < many <= 12 * few


def _pruning(path: Path, steps: Steps, changes: int) -> int:
    renamed = [member(f"${at}", ANN, "join", f"Ann {at}") for at in range(changes)]
    with SyncStore.open(path, user_id=ME) as store:
        feed = Feed(store)
        feed.take(feed.next.join(room_id(0), message("$m"), state=[create(), member("$me", ME, "join")]))
        for first in range(0, changes, changes // 10):
            feed.take(feed.next.join(room_id(0), *renamed[first : first + changes // 10]))
        return steps.of(lambda: store.prune(keep=changes // 2))

"""One event is changed, in whatever way: everything else of the response is stored as if it had been good."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Counted
from tests.fuzz import seeds
from tests.fuzz.judge import World
from tests.fuzz.odd import STEPS, Step, mutate
from tests.fuzz.tree import Obj, copy, dump, find, parse
from tests.property.profile import effort
from tests.torture import times

LISTS = [
    ("rooms", "*", "*", "timeline", "events"),
    ("rooms", "*", "*", "state", "events"),
    ("rooms", "*", "*", "state_after", "events"),
    ("rooms", "*", "*", "event_map"),
]
ELSEWHERE = ("account_data", "presence", "to_device", "device_lists", "receipts", "typing", "invite_state")
EVENTS = "SELECT room_id, event_id, type, sender, state_key, source FROM events"


@pytest.fixture
def world(tmp_path: Path, counted: Counted) -> Iterator[World]:
    with World(tmp_path) as made:
        yield made
        for verdict, number in made.seen.items():
            counted(number, f"bodies with one changed event {verdict}")


def holders(tree: Any) -> list[list[Any]]:
    """The lists, or maps, that hold events; a 2015 body is changed in its event_map."""
    found = [holder for path in LISTS for holder in find(tree, *path) if holder]
    return [one for one in found if isinstance(one, Obj) or not isinstance(one[0], str)]


def events(world: World) -> set[tuple[Any, ...]]:
    with closing(sqlite3.connect(world.path)) as db:
        return set(db.execute(EVENTS).fetchall())


def changed_ids(holder: list[Any], at: int, before: Any) -> set[str]:
    """Ids that the changed event has, had, or might have by either of two equal keys."""
    ids = {holder[at][0]} if isinstance(holder, Obj) else set()
    for one in (before, holder[at]):
        if isinstance(one, Obj):
            ids |= {value for key, value in one if key == "event_id" and isinstance(value, str)}
    return ids


def test_p05_all_other_events_are_stored(world: World) -> None:
    bodies = seeds.sync_bodies()
    whole: dict[int, tuple[set[tuple[Any, ...]], list[Any]]] = {}

    def good(number: int) -> tuple[set[tuple[Any, ...]], list[Any]]:
        """What the store holds after the body as it was."""
        if number not in whole:
            world.sync(dump(parse(bodies[number])))
            whole[number] = events(world), [_comparable(world, view) for view in ELSEWHERE]
        return whole[number]

    @effort(times(300, 12_000))
    @given(st.integers(0, len(bodies) - 1), st.integers(0, 999), st.lists(STEPS, min_size=1, max_size=4))
    def one(number: int, which: int, steps: list[Step]) -> None:
        stored, beside = good(number)
        tree = parse(bodies[number])
        places = [(holder, at) for holder in holders(tree) for at in range(len(holder))]
        holder, at = places[which % len(places)]
        before = copy(holder[at])
        # The event alone is below this root: a step may put anything in its place, but touches nothing else.
        root = [holder[at][1] if isinstance(holder, Obj) else holder[at]]
        for step in steps:
            mutate(root, step)
        root = root[:1] or [None]
        if isinstance(holder, Obj):
            holder[at][1] = root[0]
        else:
            holder[at] = root[0]
        verdict = world.sync(dump(tree))
        assert verdict != "refused", "one event blocked a whole response"
        assert world.store.token == json.loads(bodies[number])["next_batch"]
        concerned = changed_ids(holder, at, before)
        missing = {row for row in stored - events(world) if row[1] not in concerned}
        assert not missing, "other events were lost, or changed"
        assert [_comparable(world, view) for view in ELSEWHERE] == beside

    one()
    assert world.seen["quarantined"] and world.seen["applied"]


def _comparable(world: World, view: str) -> list[tuple[Any, ...]]:
    """The rows of a view without what counts commits and rows, or tells the time."""
    with closing(sqlite3.connect(world.path)) as db:
        cursor = db.execute(f"SELECT * FROM {view}")
        names = [column[0] for column in cursor.description]
        keep = [at for at, name in enumerate(names) if name not in ("id", "batch", "last_active_ts")]
        return sorted((tuple(row[at] for at in keep) for row in cursor), key=repr)

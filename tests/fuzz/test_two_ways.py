"""The quick way to read a room entry gives what the exact way gives, whatever was sent (promise 5)."""

from __future__ import annotations

from collections import Counter
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from syncstore.errors import WireError
from syncstore.model.batch import RoomEntry
from syncstore.wire import parse, room
from syncstore.wire.entry import quick_entry
from tests.conftest import Counted
from tests.fuzz import seeds
from tests.fuzz.odd import STEPS, Step
from tests.fuzz.test_bodies import CUTS, Cut, cut, mutated
from tests.property.profile import effort
from tests.torture import times


def entries(body: bytes) -> list[RoomEntry] | str:
    try:
        return list(parse(body).rooms)
    except WireError as error:
        return str(error)


def test_p05_both_ways_read_the_same(counted: Counted) -> None:
    seen: Counter[bool] = Counter()

    def noted(*arguments: object) -> RoomEntry | None:
        found = quick_entry(*arguments)  # type: ignore[arg-type]
        seen[found is not None] += 1
        return found

    @effort(times(600, 40_000))
    @given(st.sampled_from(seeds.sync_bodies()), st.lists(STEPS, max_size=3), st.lists(CUTS, max_size=1))
    def one(body: bytes, steps: list[Step], cuts: list[Cut]) -> None:
        sent = cut(mutated(body, steps), cuts)
        with patch.object(room, "quick_entry", noted):
            quick = entries(sent)
        with patch.object(room, "quick_entry", lambda *arguments: None):
            assert quick == entries(sent)

    one()
    assert seen[True] and seen[False], "one of the ways was never taken"
    counted(seen[True], "room entries read the quick way")
    counted(seen[False], "room entries read part by part")

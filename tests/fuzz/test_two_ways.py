"""The quick ways to read rooms give what the exact way gives, whatever was sent (promise 5)."""

from __future__ import annotations

from collections import Counter
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from syncstore.errors import WireError
from syncstore.model.batch import RoomEntry
from syncstore.wire import cuts as cuts_module
from syncstore.wire import parse, room, sync
from syncstore.wire.cuts import Cuts
from syncstore.wire.entry import quick_entry, quick_rooms
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


def test_p05_all_ways_read_the_same(counted: Counted) -> None:
    seen: Counter[str] = Counter()

    def noted(*arguments: object) -> RoomEntry | None:
        found = quick_entry(*arguments)  # type: ignore[arg-type]
        seen["part by part" if found is None else "the quick way"] += 1
        return found

    def together(*arguments: object) -> object:
        found = quick_rooms(*arguments)  # type: ignore[arg-type]
        seen["together" if found else "one by one"] += 1
        return found

    @effort(times(600, 40_000))
    @given(st.sampled_from(seeds.sync_bodies()), st.lists(STEPS, max_size=3), st.lists(CUTS, max_size=1))
    def one(body: bytes, steps: list[Step], cuts: list[Cut]) -> None:
        sent = cut(mutated(body, steps), cuts)
        with patch.object(sync, "quick_rooms", together):
            whole = entries(sent)
        with patch.object(sync, "quick_rooms", _never):
            with patch.object(room, "quick_entry", noted):
                assert whole == entries(sent)
            with patch.object(room, "quick_entry", _never):
                assert whole == entries(sent)
        dense = sent.replace(b', "', b',"').replace(b'": ', b'":')
        whole = entries(dense)
        with patch.object(sync, "_LARGE", 0), patch.object(cuts_module, "_WORTH", 2):
            assert whole == entries(dense)
            seen["in pieces"] += len(Cuts(dense).rest) < len(dense)

    one()
    assert len(+seen) == 5, f"one of the ways was never taken: {seen}"
    counted(seen["the quick way"], "room entries read the quick way")
    counted(seen["part by part"], "room entries read part by part")


def _never(*arguments: object) -> None:
    return None

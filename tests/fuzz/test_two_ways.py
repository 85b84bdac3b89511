"""The quick ways to read rooms give what the exact way gives, whatever was sent (promise 5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from unittest.mock import patch

from hypothesis import example, given
from hypothesis import strategies as st

from syncstore.errors import WireError
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

# Each of one room, or of all rooms of a response: where the reader finds it.
WAYS: dict[str, tuple[object, Callable[..., object]]] = {
    "quick_entry": (room, quick_entry),
    "quick_rooms": (sync, quick_rooms),
}
ESCAPED = b"""{"next_batch": "s", "rooms": {"join": {"!a:x": {"st\\u0061te_after": {"events": []}}, "!b:x": {}}}}"""


def read(body: bytes) -> object:
    """The form and the rooms."""
    try:
        batch = parse(body)
    except WireError as error:
        return str(error)
    return batch.form, list(batch.rooms)


def read_by(body: bytes, **ways: Callable[..., object]) -> object:
    """The same by these of the quick ways, and by no other."""
    with ExitStack() as patches:
        for name, (module, _) in WAYS.items():
            patches.enter_context(patch.object(module, name, ways.get(name, lambda *arguments: None)))
        return read(body)


def test_p05_all_ways_read_the_same(counted: Counted) -> None:
    seen: Counter[tuple[str, bool]] = Counter()

    def noted(name: str) -> Callable[..., object]:
        def way(*arguments: object) -> object:
            found = WAYS[name][1](*arguments)
            seen[name, found is not None] += 1
            return found

        return way

    @effort(times(600, 20_000))
    @example(ESCAPED, [], [])
    @given(st.sampled_from(seeds.sync_bodies()), st.lists(STEPS, max_size=3), st.lists(CUTS, max_size=1))
    def one(body: bytes, steps: list[Step], cuts: list[Cut]) -> None:
        sent = cut(mutated(body, steps), cuts) if steps or cuts else body
        exact = read_by(sent)
        for name in WAYS:
            assert read_by(sent, **{name: noted(name)}) == exact, name
        dense = sent.replace(b', "', b',"').replace(b'": ', b'":')
        exact = read_by(dense)
        with patch.object(sync, "_LARGE", 0), patch.object(cuts_module, "_WORTH", 2):
            assert read_by(dense) == exact
            seen["cuts", len(Cuts(dense).rest) < len(dense)] += 1

    one()
    assert all(seen[name, taken] for name in (*WAYS, "cuts") for taken in (True, False)), (
        "one of the ways was never taken"
    )
    counted(seen["quick_entry", True], "room entries read the quick way")
    counted(seen["quick_entry", False], "room entries read part by part")
    counted(seen["quick_rooms", True], "responses whose rooms were read at once")

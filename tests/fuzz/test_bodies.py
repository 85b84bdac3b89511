"""Bodies mutated by structure and byte by byte: applied, set aside or refused, and never anything else (promise 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Counted
from tests.fuzz import seeds
from tests.fuzz.judge import World
from tests.fuzz.odd import STEPS, Step, mutate
from tests.fuzz.tree import dump, parse
from tests.property.profile import effort
from tests.torture import times

# (where, how many bytes are taken away, what is put there instead)
Cut = tuple[int, int, bytes]
CUTS: st.SearchStrategy[Cut] = st.tuples(
    st.integers(0, 1 << 16),
    st.sampled_from([0, 1, 1, 2, 7, 100, 1 << 16]),
    st.one_of(
        st.binary(max_size=4),
        st.sampled_from([b'"', b"\\", b"\\u", b"\\ud800", b"{", b"}", b"[", b"]", b",", b":", b"\0", b"1e999"]),
    ),
)


@pytest.fixture
def world(tmp_path: Path, counted: Counted) -> Iterator[World]:
    with World(tmp_path) as made:
        yield made
        for verdict, number in made.seen.items():
            counted(number, f"fuzzed bodies {verdict}")


def mutated(body: bytes, steps: list[Step]) -> bytes:
    root = [parse(body)]
    for step in steps:
        mutate(root, step)
    return dump(root[0]) if root else b""


def cut(body: bytes, cuts: list[Cut]) -> bytes:
    for at, length, put in cuts:
        at %= len(body) + 1
        body = body[:at] + put + body[at + length :]
    return body


def test_p05_any_change_of_structure_is_survived(world: World) -> None:
    @effort(times(600, 25_000))
    @given(st.sampled_from(seeds.sync_bodies()), st.lists(STEPS, min_size=1, max_size=6))
    def one(body: bytes, steps: list[Step]) -> None:
        world.sync(mutated(body, steps))

    one()
    assert set(world.seen) == {"applied", "quarantined", "refused"}


def test_p05_any_change_of_bytes_is_survived(world: World) -> None:
    @effort(times(400, 20_000))
    @given(st.sampled_from(seeds.sync_bodies()), st.lists(CUTS, min_size=1, max_size=4))
    def one(body: bytes, cuts: list[Cut]) -> None:
        world.sync(cut(body, cuts))

    one()
    assert world.seen["refused"] and world.seen["applied"] + world.seen["quarantined"]


Feed = Callable[[World, bytes], str]


def _messages(world: World, body: bytes) -> str:
    def act(store: object) -> None:
        gap = next(gap for gap in world.store.gaps() if gap.room_id == seeds.room())
        assert gap.prev_batch is not None
        world.store.apply_page(gap, gap.prev_batch, body)

    return world.try_(act)


def _state(world: World, body: bytes) -> str:
    def act(store: object) -> None:
        world.store.state_drift(seeds.room(), body)
        token = world.store.token
        assert token is not None
        world.store.restate(seeds.room(), body, asked_under=token)

    return world.try_(act)


FEEDS: dict[str, Feed] = {
    "messages": _messages,
    "context": lambda world, body: world.try_(lambda store: store.apply_context(seeds.room(), body)),
    "members": lambda world, body: world.try_(
        lambda store: store.apply_members(seeds.room(), body, asked_at=store.seq)
    ),
    "state": _state,
    "drift": lambda world, body: world.try_(lambda store: store.message_drift(seeds.room(), body)),
    "copies": lambda world, body: world.try_(lambda store: store.apply_copies(seeds.room(), body)),
}


@pytest.mark.parametrize("kind", FEEDS)
def test_p05_any_page_is_survived(world: World, kind: str) -> None:
    body = seeds.page_bodies()["messages" if kind in ("drift", "copies") else kind]
    feed = FEEDS[kind]

    @effort(times(120, 2500))
    @given(st.one_of(st.lists(STEPS, max_size=6), st.lists(CUTS, min_size=1, max_size=3)))
    def one(changes: list[Step] | list[Cut]) -> None:
        steps = [change for change in changes if len(change) == 4]
        cuts = [change for change in changes if len(change) == 3]
        feed(world, cut(mutated(body, steps), cuts))

    feed(world, body)
    assert world.seen == {"applied": 1}, "the page was good before it was changed"
    one()
    assert world.seen["applied"] > 1

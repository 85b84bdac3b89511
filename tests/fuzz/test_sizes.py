"""Bodies that are large in one way each: read in a time that grows as they do, or refused, never a trap."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from syncstore import SyncStore
from tests.conftest import Counted
from tests.fuzz.judge import World
from tests.store.bodies import ME, Body, create, event, member, message, redaction, state, topic
from tests.torture import times

Make = Callable[[int], bytes]


@pytest.fixture
def world(tmp_path: Path, counted: Counted) -> Iterator[World]:
    with World(tmp_path) as made:
        yield made
        for verdict, number in made.seen.items():
            counted(number, f"large bodies {verdict}")


def one_room(*timeline: Any, **options: Any) -> bytes:
    return Body("s_large").join("!large:x", *timeline, **options).done()


def related(kind: str, n: int) -> bytes:
    """All relate to the first."""
    relation = {"rel_type": kind, "event_id": "$0", "key": "+"}
    content = {"body": "x", "msgtype": "m.text", "m.new_content": {"body": "y"}, "m.relates_to": relation}
    type_ = "m.reaction" if kind == "m.annotation" else "m.room.message"
    return one_room(message("$0"), *(event(f"${at}", type_, content) for at in range(1, n)))


def chain(n: int) -> bytes:
    """Each relates to the one before; the first to the last."""
    relations = [{"rel_type": "m.thread", "event_id": f"${(at - 1) % n}"} for at in range(n)]
    return one_room(*(message(f"${at}") | {"content": {"m.relates_to": one}} for at, one in enumerate(relations)))


def rooms(n: int, entry: bytes) -> bytes:
    inside = b",".join(b'"!r%d:x":%s' % (at, entry) for at in range(n))
    return b'{"next_batch":"s_rooms","rooms":{"join":{%s}}}' % inside


def loop_of_rooms(n: int, type_: str, content: Callable[[str], Any], key: Callable[[str], str]) -> bytes:
    """Each room names the next one, the last the first."""
    body = Body("s_loop")
    for at in range(n):
        other = f"!r{(at + 1) % n}:x"
        body.join(f"!r{at}:x", state=[create(), state("$link", type_, content(other), key(other))])
    return body.done()


def same_name(n: int) -> bytes:
    return one_room(state=[member(f"$m{at}", f"@u{at}:x", "join", "Ann") for at in range(n)])


def receipts(n: int) -> bytes:
    users = {f"@u{at}:x": {"ts": at} for at in range(n)}
    return one_room(ephemeral={"events": [{"type": "m.receipt", "content": {"$0": {"m.read": users}}}]})


def to_device(n: int) -> bytes:
    body = Body("s_to_device")
    for at in range(n):
        body.to_device({"n": at})
    return body.done()


def spaces(n: int) -> bytes:
    return loop_of_rooms(n, "m.space.child", lambda _: {"via": ["x"]}, lambda other: other)


def upgrades(n: int) -> bytes:
    return loop_of_rooms(n, "m.room.tombstone", lambda other: {"replacement_room": other}, lambda _: "")


def marked(put: bytes, mark: bytes = b'"MARK"') -> bytes:
    """A message whose body is this text."""
    return one_room(message("$0", "MARK")).replace(mark, put)


def users(n: int) -> list[str]:
    return [f"@u{at}:x" for at in range(n)]


# What grows: how much of it the shorter body has, and how it is made.
GROWING: dict[str, tuple[int, Make]] = {
    "events": (2000, lambda n: one_room(*(message(f"${at}") for at in range(n)))),
    "edits of one": (1000, lambda n: related("m.replace", n)),
    "reactions to one": (1000, lambda n: related("m.annotation", n)),
    "replies in one thread": (1000, lambda n: related("m.thread", n)),
    "a ring of threads": (1000, chain),
    "redactions of one": (1000, lambda n: one_room(message("$0"), *(redaction(f"$r{at}", "$0") for at in range(n)))),
    "redactions of nothing": (1000, lambda n: one_room(*(redaction(f"$r{at}", f"$gone{at}") for at in range(n)))),
    "changes of one key": (1000, lambda n: one_room(*(topic(f"$t{at}", "x") for at in range(n)))),
    "members of one name": (1000, same_name),
    "heroes": (2000, lambda n: one_room(message("$0"), summary={"m.heroes": users(n)})),
    "rooms of nothing": (500, lambda n: rooms(n, b"{}")),
    "a ring of spaces": (200, spaces),
    "a ring of upgrades": (200, upgrades),
    "bad events": (1000, lambda n: one_room(*(message(f"$b{at}", sender=7) for at in range(n)))),
    "receipts": (1000, receipts),
    "device lists": (2000, lambda n: Body("s_d").key("device_lists", {"changed": users(n)}).done()),
    "to-device messages": (500, to_device),
    "unknown keys": (1000, lambda n: json.dumps({"next_batch": "s_k"} | {f"k{at}": at for at in range(n)}).encode()),
    "keys of one event": (2000, lambda n: one_room(message("$0") | {f"k{at}": at for at in range(n)})),
    "one key again and again": (2000, lambda n: marked(b"0" + b',"body":1' * n)),
    "lone surrogates": (2000, lambda n: one_room(message("$0", "\ud800" * n))),
    "bytes that are no text": (2000, lambda n: marked(b"\xff " * n, b"MARK")),
    "nesting": (20_000, lambda n: marked(b"[" * n + b"]" * n)),
    "unclosed nesting": (20_000, lambda n: b'{"next_batch":"s","a":' + b"[" * n),
    "digits": (20_000, lambda n: marked(b"9" * n)),
    "backslashes": (20_000, lambda n: one_room(message("$0", "\\" * n))),
    "quotes that never end": (20_000, lambda n: b'{"next_batch":"s","a":"' + b"\\\\" * n),
    "marks of our own": (2000, lambda n: one_room(message("$0", "".join(f"~{at}~" for at in range(n)) + "\ud800"))),
}


@pytest.mark.parametrize("name", GROWING)
def test_p05_four_times_as_much_takes_about_four_times_as_long(world: World, name: str) -> None:
    n, make = GROWING[name]
    n *= times(1, 10)
    took = []
    for body in (make(n), make(4 * n)):
        best = 1e9
        for _ in range(2):
            started = time.process_time()
            world.sync(body)
            best = min(best, time.process_time() - started)
        took.append(best)
    # 16 would be quadratic; what costs less than a tenth of a second in all is no trap.
    assert took[1] < 0.1 or took[1] < 9 * took[0], f"{took[0]:.3f} s for {n}, {took[1]:.3f} s for four times as many"


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a string", lambda: one_room(message("$big", "x" * times(4_000_000, 100_000_000)), message("$after"))),
        ("many rooms", lambda: rooms(times(20_000, 1_000_000), b"{}")),
        ("many events", lambda: one_room(*(message(f"${at}") for at in range(times(20_000, 1_000_000))))),
    ],
)
def test_p05_size_alone_refuses_nothing(tmp_path: Path, counted: Counted, name: str, make: Callable[[], bytes]) -> None:
    body = make()
    with SyncStore.open(tmp_path / "me.db", user_id=ME) as store:
        started = time.process_time()
        applied = store.apply(body)
        seconds = time.process_time() - started
        assert (applied.quarantined, store.check()) == (0, [])
        assert seconds < 60 + len(body) / 100_000
        if name == "a string":
            assert store.room("!large:x").event("$after") is not None
    counted(len(body) // 1000, f"kilobytes in one body: {name}")

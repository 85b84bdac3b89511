"""Relations in any order of arrival, by sync or by page, redacted before or after: the model's answer (promise 20)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from syncstore import SyncStore
from syncstore.room import Room
from tests.store.bodies import ANN, BOB, ROOM, Body, Json, create, event, message, page, redaction

from .drive import open_store
from .profile import effort

_TARGETS = ["$m0", "$m1", "$m2"]
_TARGET = st.sampled_from(_TARGETS)
_SENDER = st.sampled_from([ANN, BOB])
# What happens: (kind, target, sender, number); the number is a time, or which key.
HAPPENINGS = st.lists(
    st.tuples(st.sampled_from(["edit", "react", "reply", "thread"]), _TARGET, _SENDER, st.integers(0, 2)),
    max_size=12,
)


def made(happenings: list[tuple[str, str, str, int]], struck: set[int]) -> list[Json]:
    """The events: three messages of ann's and bob's, what relates to them, and redactions of some of the latter."""
    events = [message(id, sender=ANN if id != "$m2" else BOB) for id in _TARGETS]
    for at, (kind, target, sender, number) in enumerate(happenings):
        events.append(_event(f"$x{at}", kind, target, sender, number))
        if at in struck:
            events.append(redaction(f"$r{at}", f"$x{at}"))
    return events


def _event(id: str, kind: str, target: str, sender: str, number: int) -> Json:
    text: Json = {"msgtype": "m.text", "body": id}
    relation: Json = {"rel_type": f"m.{kind}", "event_id": target}
    if kind == "edit":
        content = text | {"m.new_content": text, "m.relates_to": relation | {"rel_type": "m.replace"}}
    elif kind == "react":
        relation |= {"rel_type": "m.annotation", "key": str(number)}
        return event(id, "m.reaction", {"m.relates_to": relation}, sender=sender)
    elif kind == "reply":
        content = text | {"m.relates_to": {"m.in_reply_to": {"event_id": target}}}
    else:
        content = text | {"m.relates_to": relation | {"m.in_reply_to": {"event_id": target}, "is_falling_back": True}}
    return event(id, "m.room.message", content, sender=sender, origin_server_ts=5000 + number)


def expected(happenings: list[tuple[str, str, str, int]], struck: set[int], target: str) -> Json:
    """The model: what is left of everything that names one message."""
    author = ANN if target != "$m2" else BOB
    left = [
        (f"$x{at}", kind, sender, number)
        for at, (kind, of, sender, number) in enumerate(happenings)
        if of == target and at not in struck
    ]
    edits = [(number, id) for id, kind, sender, number in left if kind == "edit" and sender == author]
    keys = {(str(number), sender) for _, kind, sender, number in left if kind == "react"}
    return {
        "edited_by": max(edits)[1] if edits else None,
        "reactions": keys,
        "replies": {id for id, kind, *_ in left if kind == "reply"},
        "thread": {id for id, kind, *_ in left if kind == "thread"},
    }


def found(room: Room, target: str) -> Json:
    one = room.event(target)
    threads = {thread.thread_id: thread.count for thread in room.threads()}
    in_thread = {event.event_id for event in room.relations(target, "m.thread")}
    assert threads.get(target, 0) == len(in_thread)
    return {
        "edited_by": one.edited_by if one else None,
        "reactions": {(reaction.key, sender) for reaction in room.reactions(target) for sender in reaction.senders},
        "replies": {event.event_id for event in room.replies(target)},
        "thread": in_thread,
    }


@effort(60)
@given(HAPPENINGS, st.sets(st.integers(0, 11)), st.data())
def test_p20_relations_do_not_depend_on_the_order_of_arrival(
    happenings: list[tuple[str, str, str, int]], struck: set[int], data: Any
) -> None:
    events = data.draw(st.permutations(made(happenings, struck)))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(events)), max_size=5)))
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "a.db") as store:
        store.apply(Body("s0").join(ROOM, state=[create()], limited=True, prev_batch="p").done())
        for number, (low, high) in enumerate(zip([0, *cuts], [*cuts, len(events)], strict=True)):
            _deliver(store, events[low:high], number)
        room = store.room(ROOM)
        for target in _TARGETS:
            assert found(room, target) == expected(happenings, struck, target)
        assert store.check() == []


def _deliver(store: SyncStore, events: list[Json], number: int) -> None:
    """By a sync, or by a page of the room's first gap."""
    if number % 2:
        store.apply(Body(f"s{number}").join(ROOM, *events).done(), since=store.token)
        return
    gap = store.gaps()[-1]
    with store.lease_gap(gap, 60) as row:
        assert row is not None and row.walk is not None
        token = row.walk
    store.apply_page(gap, token, page(*reversed(events), end=f"q{number}"))

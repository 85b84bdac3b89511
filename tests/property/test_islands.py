"""Jumps anywhere, at any time, between sleeps and pages: nothing is lost or doubled, and in the end all is joined."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from syncstore import Syncer, SyncStore
from syncstore.model.records import Event
from syncstore.net import Answer
from tests.account.events import Json
from tests.account.pages import Ending
from tests.account.server import Account
from tests.sync.fake import Modelled, answer

from .drive import open_store
from .profile import effort

Step = tuple[str, int, int]
# Events of three kinds, sleeps that end with a small or a large timeline, jumps to any event, pages of any gap.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 8), st.just(0)),
        st.tuples(st.just("late"), st.just(1), st.just(0)),
        st.tuples(st.just("sync"), st.sampled_from([1, 3, 20]), st.just(0)),
        st.tuples(st.just("jump"), st.integers(0, 60), st.sampled_from([1, 3, 8])),
        st.tuples(st.just("jump"), st.integers(0, 60), st.sampled_from([1, 3, 8])),
        st.tuples(st.just("fill"), st.integers(0, 5), st.sampled_from([1, 3, 10])),
    ),
    min_size=4,
    max_size=40,
)


class Reaching(Modelled):
    """The model with GET /context, in the room's own order, as /messages has it."""

    def context(self, room_id: str, event_id: str, **asked: Any) -> Answer:
        log = sorted(self.account.rooms[room_id]["log"], key=lambda item: (item["depth"], item["at"]))
        at = next(at for at, item in enumerate(log) if item["event"]["event_id"] == event_id)
        half = asked["limit"] // 2
        run = log[max(0, at - half) : at + half + 1]
        copies = {item["event"]["event_id"]: self.account.copy(room_id, item["event"]["event_id"]) for item in run}
        ids = list(copies)
        here = ids.index(event_id)
        body: Json = {
            "event": copies[event_id],
            "events_before": [copies[one] for one in reversed(ids[:here])],
            "events_after": [copies[one] for one in ids[here + 1 :]],
            "start": f"d{run[0]['depth']}_{run[0]['at']}",
            "end": f"d{run[-1]['depth']}_{run[-1]['at'] + 1}",
        }
        return answer(json.dumps(body).encode())


@effort(60)
@given(STEPS, st.sampled_from(["bounded", "deaf", "same"]), st.sampled_from([2, 5, 50]))
def test_p21_jumps_lose_nothing_and_double_nothing(steps: list[Step], ending: Ending, limit: int) -> None:
    account = Account({"rejoin": "full"})
    room_id = account.create()
    account.move(room_id, "join")
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "a.db") as store:
        syncer = Syncer(Reaching(account, ending).face(), store)
        for before in (0, 15, 15):
            _take(account, room_id, syncer, ("send", before, 0))
            syncer.run_once()
        fixed: dict[str, tuple[int, int]] = {}
        made = False
        if ending == "deaf":  # there a gap closes by overlap, which late events may lie beyond (promise 14)
            steps = [step for step in steps if step[0] != "late"]
        for step in steps:
            _take(account, room_id, syncer, step)
            made |= any(gap.kind == "island" for gap in store.gaps())
            fixed = _nothing_fixed_moved(store, room_id, fixed)
            _nothing_is_lost(account, store, room_id)
        note(f"islands: {made}")
        syncer.run_once()
        syncer.backfill_all(2000, limit)
        _nothing_fixed_moved(store, room_id, fixed)
        placed = [one.event_id for one in _events(store, room_id)]
        assert sorted(placed) == sorted(item["event"]["event_id"] for item in account.rooms[room_id]["log"])
        assert (store.gaps(), store.check()) == ([], [])
        # A server that ignores the older end runs on into older gaps, and its order is lost there.
        if ending != "deaf" and not any(step[0] == "late" for step in steps):
            assert placed == [item["event"]["event_id"] for item in account.rooms[room_id]["log"]]


def _take(account: Account, room_id: str, syncer: Syncer, step: Step) -> None:
    name, number, size = step
    if name == "send":
        for _ in range(number):
            account.send(room_id)
    elif name == "late":
        account.send(room_id, late=True)
    elif name == "sync":
        syncer.server.limit = number  # type: ignore[attr-defined]
        syncer.run_once()
    elif name == "jump":
        log = account.rooms[room_id]["log"]
        syncer.jump(room_id, log[number % len(log)]["event"]["event_id"], size)
    elif gaps := syncer.store.gaps():
        syncer.backfill(gaps[number % len(gaps)], size)


def _events(store: SyncStore, room_id: str) -> list[Event]:
    """The timeline, oldest first."""
    return [item for item in reversed(store.room(room_id).timeline(1000).items) if isinstance(item, Event)]


def _nothing_fixed_moved(
    store: SyncStore, room_id: str, fixed: Mapping[str, tuple[int, int]]
) -> dict[str, tuple[int, int]]:
    """Only what an island holds may move; everything else stays where it was. Nothing stands twice."""
    islands = {gap.segment for gap in store.gaps() if gap.kind == "island"}
    events = _events(store, room_id)
    places = {one.event_id: (one.segment or 0, one.position or 0) for one in events}
    assert len(places) == len(events) == len(set(places.values()))
    moved = {one for one, place in fixed.items() if places.get(one) != place}
    assert not moved, f"moved: {moved}"
    live = [one for one in events if one.source == "timeline" and one.segment not in islands]
    return {one.event_id: places[one.event_id] for one in live}


def _nothing_is_lost(account: Account, store: SyncStore, room_id: str) -> None:
    """What the last sync knew of and the timeline lacks, a gap hides."""
    token = store.token
    assert token is not None
    moment = int(token[1:].split("_")[0])
    known = {item["event"]["event_id"] for item in account.rooms[room_id]["log"] if item["at"] <= moment}
    missing = known - {one.event_id for one in _events(store, room_id)}
    assert not missing or store.room(room_id).gaps(), f"no gap for {missing}"

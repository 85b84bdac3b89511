"""What a key held when an event was sent: every answer that claims to know is the model's (promise 23)."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from syncstore import Syncer
from syncstore.model.records import Event
from syncstore.room import Room
from tests.account.events import Key
from tests.account.server import MOVES, Account
from tests.sync.fake import Modelled

from .drive import open_store
from .profile import effort
from .script import SYNC_NAMES, Action, histories, new_account, perform

_SYNCS = st.tuples(st.just("sync"), st.sampled_from([1, 2, 4, 50]))


@effort(40)
@given(histories(_SYNCS), st.integers(0, 12), st.sampled_from([2, 5]))
def test_p23_the_past_is_the_model_s(history: list[Action], pages: int, limit: int) -> None:
    """Before, while and after gaps are filled; when none is left, every answer is known."""
    account = new_account()
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "a.db") as store:
        server = Modelled(account)
        syncer = Syncer(server.face(), store)
        for action in history:
            if action[0] in SYNC_NAMES:
                server.limit = action[1]
                syncer.run_once()
            elif action[0] not in ("late", "lost"):  # of a fork this account sees one order, the server another
                perform(account, action)
        _be_everywhere(account)
        syncer.run_once()
        syncer.backfill_all(pages, limit)
        rooms = store.rooms()
        unknown = sum(_compare(account, room) for room in rooms)
        note(f"unknown: {bool(unknown)}")
        syncer.backfill_all(1000, limit)
        for room in store.rooms():
            unknown = _compare(account, room)
            assert unknown == 0 or room.gaps()


def _be_everywhere(account: Account) -> None:
    """Join every room again: to those who left, a server shows nothing of what came later, but the model's pages do."""
    for room_id in account.rooms:
        while (membership := account.membership(room_id)) != "join":
            account.move(room_id, MOVES[membership][0])


def _compare(account: Account, room: Room) -> int:
    """Compare every key at every event; returns how many answers say that a gap lies between."""
    items = {item["event"]["event_id"]: item for item in account.rooms[room.room_id]["log"]}
    unknown = 0
    ids = [item.event_id for item in reversed(room.timeline(1000).items) if isinstance(item, Event)]
    moments = [items[event_id]["at"] for event_id in ids]
    if moments != sorted(moments):
        note("another order")  # a gap's event came first in the timeline after an absence (decision 0001)
        return 0
    note("the server's order")
    for event_id in ids:
        model: dict[Key, str] = account.state(room.room_id, items[event_id]["at"])
        for key, answer in room.state_map_at(event_id).items():
            if answer.known:
                said = answer.event.event_id if answer.event else None
                assert said == model.get(key), (
                    f"{room.room_id} {key} at {event_id}: {said}, the model says {model.get(key)}"
                )
            elif answer.gap is not None:
                unknown += 1
            else:
                assert key[0] == "m.room.member" and not room.members_synced
    return unknown

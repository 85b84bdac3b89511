"""Pruned at random moments and filled again: all is there, and until then a gap says what is missing (promise 26)."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.account.events import Json
from tests.account.readback import places, read

from .faulty import Habits
from .profile import effort
from .script import POLICIES, Action
from .test_backfill import World, _histories

_PAGE: st.SearchStrategy[Action] = st.tuples(st.just("page"), st.integers(0, 3), st.sampled_from([1, 3, 100]))
_PRUNE: st.SearchStrategy[Action] = st.tuples(st.just("prune"), st.integers(1, 6))
_UNTOLD = """
    SELECT 1 FROM gap g JOIN room r ON r.id = g.room
    WHERE r.room_id = ? AND g.status <> 'closed' AND g.walk IS NULL
"""


class Pruning(World):
    """A world whose owner drops history now and then."""

    def do(self, action: Action) -> None:
        if action[0] != "prune":
            super().do(action)
            return
        before = read(self.path)
        kept = self._newest(action[1])
        self.store.prune(keep=action[1])
        after = read(self.path)
        for room_id, room in before["rooms"].items():
            assert after["rooms"][room_id]["state"] == room["state"]
        assert kept <= places(self.path).keys(), "an event that was to be kept is gone"
        self.stood = places(self.path)
        assert self.store.check() == []
        self.look()

    def excused(self, room_id: str) -> set[str]:
        """What lies below an open gap whose token must be renewed: that walk begins at the room's newest end."""
        with closing(sqlite3.connect(self.path)) as db:
            if db.execute(_UNTOLD, (room_id,)).fetchone():
                return {item["event"]["event_id"] for item in self.account.rooms[room_id]["log"]}
        return super().excused(room_id)

    def _newest(self, keep: int) -> set[tuple[str, str]]:
        """The newest so many events of each room."""
        found: set[tuple[str, str]] = set()
        for room_id in {room_id for room_id, _ in self.stood}:
            mine = sorted((place, key) for key, place in self.stood.items() if key[0] == room_id)
            found |= {key for _, key in mine[-keep:]}
        return found


@effort(40)
@given(POLICIES, _histories(st.one_of(_PAGE, _PRUNE, _PRUNE)), st.sampled_from([1, 3, 100]))
def test_p26_what_was_pruned_can_be_filled_again(policy: Json, history: list[Action], limit: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        here = Pruning(Path(folder), policy, Habits(), [])
        try:
            for action in history:
                here.do(action)
            here.finish(limit)
            here.finished()
        finally:
            here.store.close()

"""The inbox: batches, snapshots that repeat, consumers that lag or are forgotten, restarts; each message comes once."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from syncstore import SyncStore
from tests.account.events import ME
from tests.store.bodies import Responses

from .profile import effort

NAMES = ("keys", "dialogue")


class InboxMachine(RuleBasedStateMachine):
    """`sent`: all messages, in order. `newest`: those that a snapshot repeats. `done`: by consumer."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = SyncStore.open(self.folder / "me.db", user_id=ME)
        self.responses = Responses()
        self.sent: list[int] = []
        self.newest: list[int] = []
        self.done: dict[str, set[int]] = {name: set() for name in NAMES}
        for name in NAMES:
            assert self.store.to_device(name) == []

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    @rule(number=st.integers(0, 3))
    def batch(self, number: int) -> None:
        """A sync acknowledges to the server all that came before it."""
        self._deliver([], number, snapshot=False)

    @rule(number=st.integers(0, 2), repeated=st.integers(0, 3))
    def snapshot(self, number: int, repeated: int) -> None:
        """A request without a token acknowledges nothing: the newest messages come again, the oldest of them first."""
        self._deliver(self.newest[:repeated] if repeated < len(self.newest) else self.newest, number, snapshot=True)

    def _deliver(self, again: list[int], number: int, *, snapshot: bool) -> None:
        token, body = self.store.token, self.responses.next()
        fresh = list(range(len(self.sent), len(self.sent) + number))
        for key in [*again, *fresh]:
            body.to_device({"key": key})
        since = None if snapshot else token
        self.store.apply(body.done(), since=since, held=token)
        self.sent += fresh
        if again or fresh:
            self.newest = [*again, *fresh]

    @rule(name=st.sampled_from(NAMES), chosen=st.sets(st.integers(0, 5), max_size=4))
    def acknowledge(self, name: str, chosen: set[int]) -> None:
        """Some of what waits, in no order."""
        waiting = self.store.to_device(name)
        some = [waiting[at] for at in chosen if at < len(waiting)]
        self.store.ack([message.id for message in some], name)
        self.done[name] |= {message.content["key"] for message in some}

    @rule(name=st.sampled_from(NAMES))
    def forget(self, name: str) -> None:
        """What it alone had not done goes; asking again it gets what is left, also what it had done before."""
        self.store.forget_consumer(name)
        (other,) = (one for one in NAMES if one != name)
        self.done[name] = set(self.done[other])

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = SyncStore.open(self.folder / "me.db")

    @invariant()
    def each_gets_what_it_has_not_done_in_order(self) -> None:
        for name in NAMES:
            found = [message.content["key"] for message in self.store.to_device(name)]
            assert found == [key for key in self.sent if key not in self.done[name]]


TestInbox = InboxMachine.TestCase
TestInbox.settings = effort(60, steps=25)

"""A stateful machine: all that can happen to one account and its file, in any order, with the model beside it."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from copy import deepcopy
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.account.events import Json
from tests.account.expect import Expected
from tests.account.readback import check_file, compare, differences, places, read
from tests.account.server import Account

from .crash import die_within
from .drive import FORMS, SHOWS, agree, apply, ask, check_model, open_store
from .profile import effort
from .screen import Screen
from .script import ACTIONS, POLICIES, SYNCS, Action, new_account, perform


class AccountMachine(RuleBasedStateMachine):
    """One account, one store, one wire form for the whole run."""

    account: Account
    form: str
    searches: bool  # whether there is a search index to be kept

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "account.db"
        self.store = open_store(self.path)
        self.expected = Expected()
        self.stood: dict[tuple[str, str], tuple[int, int]] = {}
        self.last: tuple[Json, str | None] | None = None
        self.changed = False
        self.screen = Screen()

    @initialize(policy=POLICIES, form=st.sampled_from(sorted(FORMS)), searches=st.booleans())
    def begin(self, policy: Json, form: str, searches: bool) -> None:
        self.account = new_account(policy)
        self.form = form
        self.searches = searches
        self.expected = Expected(SHOWS[form])

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    # -- what happens on the server

    @rule(actions=st.lists(ACTIONS, min_size=1, max_size=8))
    def happen(self, actions: list[Action]) -> None:
        for action in actions:
            perform(self.account, action)

    # -- what the client does about it

    @rule(action=SYNCS)
    def sync(self, action: Action) -> None:
        """A sync, limited or not; of the whole state; without since over the old store; or one whose answer is lost."""
        held = self.expected.token
        answer = ask(self.account, action, held)
        if action[0] != "unanswered":
            self._take(answer, held)
            check_model(self.expected, self.account)

    @precondition(lambda self: self.last is not None)
    @rule()
    def repeat(self) -> None:
        """The same body once more, as after a lost commit notice."""
        assert self.last is not None
        self._take(*self.last)

    @precondition(lambda self: self.expected.token is not None)
    @rule(action=SYNCS)
    def overtaken(self, action: Action) -> None:
        """Two processes ask with the same since; the answer of the second is stale or known, never taken twice."""
        held = self.expected.token
        mine, other = ask(self.account, action, held), ask(self.account, ("sync", 4), held)
        self._take(other, held)
        self._take(mine, held)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = open_store(self.path)
        self.changed = True

    @rule(action=SYNCS, statements=st.integers(0, 80))
    def crash(self, action: Action, statements: int) -> None:
        """The process dies while it applies a batch: the file holds all of the batch or nothing of it."""
        held = self.expected.token
        answer = ask(self.account, action, held)
        self.store.close()
        died = die_within(statements, lambda: _apply_alone(self.path, answer, held, self.form))
        after = deepcopy(self.expected)
        after.apply(answer, held)
        stored = read(self.path)
        if not died or differences(after.view(), stored) == []:
            self.expected = after
        self.store = open_store(self.path)
        self.changed = True

    def _take(self, answer: Json, held: str | None) -> None:
        said = self.expected.apply(answer, held)
        agree(apply(self.store, answer, held, FORMS[self.form]), said)
        self.last = (answer, held)
        self.changed = True

    # -- what is always so

    @invariant()
    def the_file_is_the_model(self) -> None:
        """Also: the file is sound, nothing redacted is left in it, and no event has moved."""
        if not self.changed:
            return
        self.changed = False
        compare(self.path, self.expected.view(), self.form)
        check_file(self.path, self.expected.gone())
        now = places(self.path)
        moved = {key: (place, now.get(key)) for key, place in self.stood.items() if now.get(key) != place}
        assert not moved, f"events moved: {moved}"
        self.stood = now
        if self.searches:
            self._search()

    def _search(self) -> None:
        """What was indexed is still true, and every message that says something is found."""
        assert self.store.check() == []
        with closing(sqlite3.connect(self.path)) as db:
            said = db.execute("SELECT room_id, event_id FROM messages WHERE body IS NOT NULL").fetchall()
        found = [(one.room_id, one.event_id) for one in self.store.search("secret*", limit=10**6)]
        assert sorted(found) == sorted(said)

    @invariant()
    def who_follows_shows_what_is_there(self) -> None:
        """Also after a crash, and whichever process made the change: nothing is missed, nothing must be read anew."""
        if self.screen.seen == self.store.last_change:
            return
        self.screen.follow(self.store)
        assert self.screen.shown == Screen.fresh(self.store)


def _apply_alone(path: Path, answer: Json, held: str | None, form: str) -> Any:
    with open_store(path) as store:
        return apply(store, answer, held, FORMS[form])


AccountMachine.TestCase.settings = effort(75, steps=25)
TestAccount = AccountMachine.TestCase

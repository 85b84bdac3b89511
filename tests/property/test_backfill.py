"""Random histories, back-filled from bad servers: nothing is lost, nothing comes twice, nothing moves (11 to 14)."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import currently_in_test_context, event, given
from hypothesis import strategies as st

from syncstore import Syncer
from syncstore.errors import RemoteError, WireError
from syncstore.model.records import Gap
from tests.account.events import OTHERS, Json
from tests.account.pages import Ending
from tests.account.readback import places
from tests.account.server import Account

from .crash import die_within
from .drive import open_store
from .faulty import CUT, FAULTS, Faulty, Habits, Refused
from .profile import effort
from .script import POLICIES, Action, new_account, perform

ENDINGS: tuple[Ending, ...] = ("bounded", "deaf", "same")
ROOM = "!room0:example.org"
# Longer than a process may hold a gap.
LEASE = 200.0
AT_MOST = 2000
_WALKS = """
    SELECT r.room_id, g.walk, g.since FROM gap g JOIN room r ON r.id = g.room
    WHERE g.status <> 'closed' AND g.walk IS NOT NULL
"""
_ROW = "SELECT walk, status, attempts FROM gap WHERE id = ?"
_FATES = "SELECT kind, status, reason FROM gap"


def _note(what: str) -> None:
    """For --hypothesis-show-statistics."""
    if currently_in_test_context():
        event(what)


class World:
    """One account, its server, and the file; `skew` is how much later it is than the clock says."""

    def __init__(self, folder: Path, policy: Json, habits: Habits, faults: list[str | None]) -> None:
        self.account: Account = new_account(policy)
        self.server = Faulty(self.account, habits, faults)
        self.path = folder / "account.db"
        self.skew = 0.0
        self.stood: dict[tuple[str, str], tuple[int, int]] = {}
        self.store = open_store(self.path)

    # -- what happens

    def do(self, action: Action) -> None:
        """One action of a script; what must always hold is looked at after those that touch the file."""
        name, *rest = action
        if name == "burst":
            for _ in range(rest[1]):
                self.account.send(list(self.account.rooms)[rest[0]])
            return
        if name not in ("sync", "relogin", "page", "killed", "crossed"):
            perform(self.account, action)
            return
        getattr(self, name)(*rest)
        self.look()

    def sync(self, limit: int) -> None:
        self.server.limit = limit
        try:
            Syncer(self.server.face(), self.store).run_once()
        except (RemoteError, WireError):
            _note("a sync failed")

    def relogin(self, limit: int) -> None:
        """A new login over the old store: the next sync is without a token."""
        self.store.rebind("DEVICE")
        self.sync(limit)

    def page(self, nth: int, limit: int) -> None:
        """One page of the nth gap, also of one that was given up."""
        gaps = self.store.gaps()
        if gaps:
            filled = self._fill(gaps[nth % len(gaps)], limit)
            assert filled in (None, len(places(self.path)) - len(self.stood)), f"{filled} events are said to be new"

    def killed(self, nth: int, limit: int, statements: int) -> bool:
        """The process dies while it fills a gap, if it takes so many statements. Its lease ends by itself."""
        gaps = self.store.gaps()
        if not gaps:
            return False
        gap = gaps[nth % len(gaps)]
        row, stood = self._row(gap), self.stood
        self.store.close()
        died = die_within(statements, lambda: self._fill_alone(gap, limit))
        self.store = open_store(self.path)
        self.skew += LEASE
        # Promise 13: no event without the token's move; a move without its events is found by look().
        assert places(self.path) == stood or self._row(gap) != row, "events of a page are stored, its token is not"
        _note(f"killed: {died}, moved: {self._row(gap) != row}")
        return died

    def restart(self, before: Path) -> None:
        """Go on from an older copy of the file."""
        self.store.close()
        for name in (self.path.name, f"{self.path.name}-wal", f"{self.path.name}-shm"):
            self.path.with_name(name).unlink(missing_ok=True)
        shutil.copy(before, self.path)
        self.store, self.stood = open_store(self.path), {}
        self.look()

    def crossed(self, nth: int, limit: int, others: list[Action], expired: bool) -> None:
        """While a page is under way another process works on the file.

        expired: the page takes longer than the lease, and the other process begins with a page of the same gap.
        """

        gaps = self.store.gaps()
        if not gaps:
            return
        gap = gaps[nth % len(gaps)]
        overtaken: list[object] = []

        def meanwhile() -> None:
            self.skew += LEASE if expired else 0.0
            mine, self.store = self.store, open_store(self.path)
            before = self._row(gap)
            try:
                for action in [("page", nth, limit), *others] if expired else others:
                    self.do(action)
            finally:
                self.store.close()
                self.store = mine
            # Promise 13: one request per gap at a time.
            assert expired or self._row(gap) == before, "two processes filled one gap at the same time"
            if self._row(gap)[:2] != before[:2]:
                overtaken.append((self._row(gap), places(self.path)))

        self.server.meanwhile = meanwhile
        self._fill(gap, limit)
        self.server.meanwhile = None
        assert overtaken in ([], [(self._row(gap), places(self.path))]), "a page was stored with a token of the past"
        _note(f"crossed, overtaken: {overtaken != []}")

    def finish(self, limit: int) -> None:
        """A last sync, and pages until no gap is open. Never more requests than there are pages."""
        for _ in range(len(self.server.faults) + 1):
            if self._moment() < self.account.clock:
                self.sync(3)
        # Each failure may cost a whole turn: two refused tokens, the renewal, a page with `to` and one without.
        asked, bound = self.server.requests, self._pages(limit) + 5 * len(self.server.faults)
        for _ in range(len(self.server.faults) + 1):
            try:
                Syncer(self.server.face(), self.store).backfill_all(budget=bound, limit=limit)
            except (RemoteError, WireError):
                _note("a page failed")
            assert self.server.requests - asked <= bound, "back-fill asks for ever"
            self.look()

    def _moment(self) -> int:
        """The moment that the stored token stands for."""
        return int((self.store.token or "s0_0")[1:].split("_")[0])

    def _pages(self, limit: int) -> int:
        """The most requests that all gaps may need: pages, empty ones, the last one twice, those for refused tokens."""
        hops = self.server.habits.hops + 1
        longest = {room_id: len(room["log"]) for room_id, room in self.account.rooms.items()}
        return sum(hops * (longest[gap.room_id] // limit + 5) + 6 for gap in self.store.gaps())

    def _fill(self, gap: Gap, limit: int) -> int | None:
        """How many events are said to be new; None if the page failed."""
        try:
            return Syncer(self.server.face(), self.store).backfill(gap, limit).events_added
        except (RemoteError, WireError):
            _note("a page failed")
            return None

    def _fill_alone(self, gap: Gap, limit: int) -> None:
        with open_store(self.path) as self.store:
            self._fill(gap, limit)

    def _row(self, gap: Gap) -> tuple[object, ...]:
        """What a page changes of a gap's row."""
        with closing(sqlite3.connect(self.path)) as db:
            found: tuple[object, ...] = db.execute(_ROW, (gap.id,)).fetchone()
        return found

    # -- what must hold

    def look(self) -> None:
        """Promise 11: one place each, which never changes. Promise 12: what is missing lies in a gap."""
        now = places(self.path)
        moved = {key: (place, now.get(key)) for key, place in self.stood.items() if now.get(key) != place}
        assert not moved, f"events moved: {moved}"
        self.stood = now
        walks = self._walks()
        for room_id, lacking in self.missing().items():
            gaps = [self.server.between(room_id, walk, since) for at, walk, since in walks if at == room_id]
            lost = lacking - set().union(*gaps) - self.excused(room_id)
            assert not lost, f"{room_id} lacks {sorted(lost)}, which lie in no gap: {walks}"

    def missing(self) -> dict[str, set[str]]:
        """Of each room that we are in: the events up to the stored token that have no place."""
        moment, found = self._moment(), {}
        for room in self.store.rooms("join"):
            log = self.account.rooms[room.room_id]["log"]
            ids = {item["event"]["event_id"] for item in log if item["at"] <= moment}
            found[room.room_id] = ids - {event_id for room_id, event_id in self.stood if room_id == room.room_id}
        return found

    def excused(self, room_id: str) -> set[str]:
        """What a walk by topology may miss, where some events arrived late (they stand before older ones).

        Of a server that ignores `to` the late events themselves: the proof by overlap may close before them.
        """
        late, newest = [], (0, 0)
        for item in self.account.rooms[room_id]["log"]:
            place = (item["depth"], item["at"])
            late += [place] if place < newest else []
            newest = max(place, newest)
        found = {}
        for item in self.account.rooms[room_id]["log"]:
            found[item["depth"], item["at"]] = item["event"]["event_id"]
        return {found[place] for place in late} if self.server.ending == "deaf" else set()

    def finished(self) -> None:
        """All that the server has is stored with a place, and no gap is left; the file is sound."""
        self.look()
        for room_id, lacking in self.missing().items():
            assert lacking <= self.excused(room_id), f"{room_id} lacks {sorted(lacking)}"
        for room_id, event_id in self.stood:
            assert event_id in {item["event"]["event_id"] for item in self.account.rooms[room_id]["log"]}
        assert [gap for gap in self.store.gaps() if not self._nowhere(gap)] == []
        assert self.store.check() == []

    def _nowhere(self, gap: Gap) -> bool:
        """Given up because the server takes none of its tokens, and no event was stored after it to get one from."""
        return gap.status == "unreachable" and self.server.habits.refuses != "nothing"

    def fates(self) -> set[tuple[str, str, str | None]]:
        """(kind, status, reason) of all gaps that there were."""
        with closing(sqlite3.connect(self.path)) as db:
            return set(db.execute(_FATES).fetchall())

    def _walks(self) -> list[tuple[str, str, str | None]]:
        with closing(sqlite3.connect(self.path)) as db:
            return db.execute(_WALKS).fetchall()


@contextmanager
def world(policy: Json, habits: Habits, faults: list[str | None]) -> Iterator[World]:
    real = time.time
    with tempfile.TemporaryDirectory() as folder:
        made = World(Path(folder), policy, habits, faults)
        with mock.patch("time.time", lambda: real() + made.skew):
            try:
                yield made
            finally:
                made.store.close()


# -- histories

_ROOM = st.sampled_from([0, 0, 0, 1])
_LIMIT = st.sampled_from([1, 2, 3, 7, 100])
_NTH = st.integers(0, 3)
_HAPPENS: st.SearchStrategy[Action] = st.one_of(
    *[st.tuples(st.just("burst"), _ROOM, st.integers(1, 8))] * 4,
    *[st.tuples(st.just("late"), _ROOM)] * 3,
    st.tuples(st.just("redact"), _ROOM, _NTH),
    st.tuples(st.just("other"), _ROOM, st.sampled_from(OTHERS[1:]), st.sampled_from(["join", "leave"])),
    *[st.tuples(st.just("me"), _ROOM, st.integers(0, 3))] * 3,
    st.tuples(st.just("kick"), _ROOM),
)
_SYNC: st.SearchStrategy[Action] = st.one_of(
    *[st.tuples(st.just("sync"), st.sampled_from([1, 2, 4, 50]))] * 4,
    st.tuples(st.just("relogin"), st.sampled_from([1, 4, 50])),
)
_PAGE: st.SearchStrategy[Action] = st.tuples(st.just("page"), _NTH, _LIMIT)
_KILLED: st.SearchStrategy[Action] = st.tuples(st.just("killed"), _NTH, _LIMIT, st.integers(0, 60))
_OTHERS = st.lists(st.one_of(_PAGE, _PAGE, _SYNC, _HAPPENS), min_size=1, max_size=5)
_CROSSED: st.SearchStrategy[Action] = st.tuples(st.just("crossed"), _NTH, _LIMIT, _OTHERS, st.booleans())
_FAULTS = st.lists(st.sampled_from([None, None, CUT, *FAULTS]), max_size=12)


def _habits(ending: Ending) -> st.SearchStrategy[Habits]:
    refuses = st.sampled_from(["nothing", "next_batch", "sync"])
    yes = st.booleans()
    return st.builds(Habits, st.just(ending), st.integers(0, 2), yes, yes, yes, refuses)


def _histories(fills: st.SearchStrategy[Action]) -> st.SearchStrategy[list[Action]]:
    """A first sync, then runs: something happens, a sync, something is filled."""
    run = st.tuples(st.lists(_HAPPENS, max_size=5), _SYNC, st.lists(fills, max_size=3))
    runs = st.lists(run, min_size=3, max_size=10)
    return runs.map(lambda runs: [("sync", 4), *(one for run in runs for one in [*run[0], run[1], *run[2]])])


def _play(policy: Json, habits: Habits, faults: list[str | None], history: list[Action], limit: int) -> None:
    with world(policy, habits, faults) as here:
        for action in history:
            here.do(action)
        here.finish(limit)
        for kind, status, reason in here.fates():
            _note(f"{kind}: {status}, {reason}")
        here.finished()


@pytest.mark.parametrize("ending", ENDINGS)
@effort(50)
@given(st.data(), POLICIES, _FAULTS, _histories(st.one_of(*[_PAGE] * 5, _KILLED)), _LIMIT)
def test_nothing_is_lost(
    ending: Ending, data: st.DataObject, policy: Json, faults: list[str | None], history: list[Action], limit: int
) -> None:
    """Through sleeps, late events, refusals, faults and deaths of the process."""
    _play(policy, data.draw(_habits(ending)), faults, history, limit)


@effort(50)
@given(st.sampled_from(ENDINGS).flatmap(_habits), POLICIES, _histories(st.one_of(_PAGE, _CROSSED, _CROSSED)), _LIMIT)
def test_two_processes_fill_one_file(habits: Habits, policy: Json, history: list[Action], limit: int) -> None:
    """Each page may be crossed by a sync and by pages of another process, also by one for which the lease ran out."""
    _play(policy, habits, [], history, limit)


# -- the same, without chance

POLICY: Json = {"rejoin": "full", "overlap": 0, "newly_limited": True, "prev_batch": "always", "stranger": "full"}
# Gaps of every kind; a late event in each; pages of what is known, of both sides of a gap, of a room that was left.
EVERY_KIND: list[Action] = [
    *[("sync", 4), ("burst", 0, 8), ("late", 0), ("burst", 0, 3), ("sync", 3), ("burst", 0, 9), ("redact", 0, 7)],
    *[("sync", 2), ("page", 0, 3), ("late", 0), ("kick", 0), ("sync", 4), ("burst", 0, 6), ("me", 0, 0), ("sync", 2)],
    *[("page", 0, 1), ("page", 1, 2), ("burst", 0, 5), ("relogin", 3), ("late", 0), ("sync", 2)],
]
PROOFS: dict[Ending, set[str]] = {
    "bounded": {"the server has no more"},
    "same": {"the server has no more"},
    "deaf": {"overlap: a whole page beyond the older end held nothing new", "the beginning of the room was reached"},
}


@pytest.mark.parametrize("expired", [False, True])
def test_a_page_of_the_past_is_discarded(expired: bool) -> None:
    with world(POLICY, Habits(), []) as here:
        for action in EVERY_KIND:
            here.do(action)
        here.do(("crossed", 0, 2, [("page", 0, 2), ("late", 0), ("sync", 1), ("page", 1, 2)], expired))
        here.finish(2)
        here.finished()


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("refuses", ["nothing", "next_batch"])
def test_every_kind_of_gap_and_of_proof(ending: Ending, refuses: Refused) -> None:
    with world(POLICY, Habits(ending, hops=1, repeats=True, loose=True, refuses=refuses), ["down", CUT]) as here:
        for action in EVERY_KIND:
            here.do(action)
        assert {gap.kind for gap in here.store.gaps()} == {"start", "limited", "absence"}
        here.finish(2)
        here.finished()
        assert here.missing()[ROOM] == set()
        assert {reason for _, _, reason in here.fates()} >= PROOFS[ending]


def test_the_older_end_may_be_named() -> None:
    with world(POLICY, Habits(names_to=True), []) as here:
        for action in EVERY_KIND:
            here.do(action)
        here.finish(100)
        here.finished()
        assert ("limited", "closed", "the older end was reached") in here.fates()


def test_a_page_cut_at_any_statement_is_whole_or_absent() -> None:
    """A page for which the token must be renewed first, that brings a redaction and what is known."""
    history: list[Action] = [("sync", 4), ("burst", 0, 4), ("redact", 0, 2), ("burst", 0, 2), ("sync", 2)]
    outcomes = set()
    with world(POLICY, Habits(refuses="sync"), []) as here:
        for action in history:
            here.do(action)
        before = here.path.with_name("before.db")
        here.store.backup(before)
        known = here.stood
        for statements in range(AT_MOST):
            here.restart(before)
            died = here.killed(0, 100, statements)
            here.look()
            outcomes.add(here.stood == known)
            here.finish(100)
            here.finished()
            if not died:
                break
            assert statements < AT_MOST - 1
    assert outcomes == {True, False}


def test_a_room_that_was_left_is_not_covered_by_topology() -> None:
    """A snapshot tells of a room that we left meanwhile. What arrives late afterwards stands before its prev_batch."""
    history: list[Action] = [("sync", 4), ("me", 0, 0), ("relogin", 1), ("late", 0), ("me", 0, 0), ("sync", 1)]
    _play(POLICY, Habits(), [], history, 1)


def test_a_room_that_was_joined_and_left_in_one_gap_is_not_covered_by_topology() -> None:
    """The same without a new login."""
    history: list[Action] = [("sync", 4), ("me", 1, 0), ("burst", 1, 6), ("me", 1, 0), ("sync", 2), ("late", 1)]
    _play(POLICY, Habits(), [], [*history, ("burst", 1, 3), ("me", 1, 0), ("sync", 1)], 1)


KNOWN_ONLY: list[Action] = [("sync", 50), ("burst", 0, 6), ("sync", 50), ("relogin", 1)]


@pytest.mark.parametrize(
    ("habits", "before", "room"),
    [
        (Habits(refuses="next_batch"), KNOWN_ONLY, 0),
        (Habits("deaf", loose=True), [*KNOWN_ONLY, ("page", 0, 1)], 0),
        (Habits(refuses="next_batch"), [("sync", 4), ("burst", 1, 8), ("me", 1, 0), ("sync", 2)], 1),
    ],
    ids=["refused", "loose", "not_empty"],
)
def test_what_back_fill_brought_joins_nothing_on(habits: Habits, before: list[Action], room: int) -> None:
    """A page brings a late event before a sync tells of it. That sync is limited and holds the event: no proof that
    nothing lies between, also if no event but this one stands in the last segment, for a snapshot brought only what was
    known."""
    then: list[Action] = [("burst", room, 4), ("late", room), ("page", 0, 100), ("page", 1, 100), ("sync", 2)]
    _play(POLICY, habits, [], [*before, *then], 100)


def test_a_token_renewed_by_a_late_event_is_no_proof() -> None:
    """The event after the gap arrived late: what the gap lacks stands after it, so that no walk from there meets it.

    Once this holds, World.excused need not speak of refused tokens.
    """
    with world(POLICY, Habits(refuses="sync"), []) as here:
        history: list[Action] = [("sync", 50), ("burst", 0, 4), ("late", 0), ("burst", 0, 1), ("sync", 2)]
        for action in history:
            here.do(action)
        here.finish(100)
        assert here.missing()[ROOM] == set() or here.store.gaps() != [], f"{ROOM} lacks {here.missing()[ROOM]}"

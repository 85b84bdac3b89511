"""What must be true after any body: it was applied or refused, wholly, and everything can be read."""

from __future__ import annotations

import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from syncstore import SyncStore
from syncstore.errors import ContentError, NotFoundError, StaleBatchError, WireError
from syncstore.model.records import Event
from tests.account.events import ME
from tests.fuzz import seeds
from tests.store.bodies import Responses
from tests.store.conftest import disk_bytes_of
from tests.store.rich import second

HANG_SECONDS = 60
REFUSED = (WireError, StaleBatchError, NotFoundError)
VIEWS = "SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY 1"


@contextmanager
def watched() -> Iterator[None]:
    """AssertionError for what takes too long to be anything but a hang."""

    def hung(*_: object) -> None:
        raise AssertionError(f"no end after {HANG_SECONDS} s")

    before = signal.signal(signal.SIGALRM, hung)
    signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class World:
    """One store that is brought back to the same state before each body, and what became of the bodies."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "me.db"
        self.seen: Counter[str] = Counter()
        with SyncStore.open(self.path, user_id=ME, device_id="DEV") as store:
            store.apply(seeds.first())
            store.apply(second(Responses().next()).done())
        # A file, not memory: what is encrypted is copied into what is.
        self._template = sqlite3.connect(shutil.copy(self.path, folder / "template.db"))
        with closing(sqlite3.connect(self.path)) as db:
            self.views = [name for (name,) in db.execute(VIEWS)]
        self.store = SyncStore.open(self.path)

    def __enter__(self) -> World:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.store.close()
        self._template.close()

    def rewind(self) -> None:
        """As it was in the beginning."""
        with closing(sqlite3.connect(self.path)) as db:
            self._template.backup(db)

    def try_(self, act: Callable[[SyncStore], object]) -> str:
        """Give the store one body: "applied", "quarantined" or "refused". AssertionError for anything else."""
        self.rewind()
        before, quarantined = disk_bytes_of(self.path), self._quarantined()
        with watched():
            try:
                act(self.store)
            except REFUSED as error:
                assert str(error).isprintable(), "a refusal that no terminal should see"
                assert len(str(error)) < 2000
                assert disk_bytes_of(self.path) == before, "a body was refused, and something was written"
                verdict = "refused"
            else:
                self.read_all()
                verdict = "quarantined" if self._quarantined() > quarantined else "applied"
        self.seen[verdict] += 1
        return verdict

    def sync(self, body: bytes, joined: list[str] | None = None) -> str:
        """A response to the request that the store would send now; to one without since if `joined` is told."""

        def act(store: SyncStore) -> None:
            token = store.token
            store.apply(body, since=None if joined is not None else token, held=token, joined=joined)

        return self.try_(act)

    def rows(self, view: str) -> list[tuple[Any, ...]]:
        """All rows of a view, asked over a connection of our own."""
        with closing(sqlite3.connect(self.path)) as db:
            return db.execute(f"SELECT * FROM {view}").fetchall()

    def read_all(self) -> None:
        """Everything there is to read; of very many rooms, some."""
        assert self.store.check() == []
        with closing(sqlite3.connect(self.path)) as db:
            for view in self.views:
                db.execute(f"SELECT * FROM {view}").fetchall()
        with self.store.read() as snap:
            snap.spaces()
            for room in snap.rooms()[:30]:
                _read_room(room)

    def _quarantined(self) -> int:
        with closing(sqlite3.connect(self.path)) as db:
            return int(db.execute("SELECT count(*) FROM quarantine").fetchone()[0])


def _read_room(room: Any) -> None:
    page = room.timeline(limit=100)
    for item in page.items:
        if isinstance(item, Event):
            _read_event(room, item)
            page.profile(item)
    for event in room.state_map().values():
        _read_event(room, event)
    for read in (
        *(room.members, room.gaps, room.children, room.parents, room.upgrades, room.direct_users, room.fully_read),
        *(room.invite_state, room.knock_state, room.threads, room.receipts, room.typing, room.record),
    ):
        read()
    for one in (*room.invite_state(), *room.knock_state()):
        assert isinstance(one.content, dict)
    assert room.account_data("m.tag") is None or isinstance(room.account_data("m.tag"), dict)


def _read_event(room: Any, event: Event) -> None:
    assert isinstance(event.json(), dict)
    try:
        event.parsed()
    except ContentError as error:
        assert str(error)
    assert event.edited is None or isinstance(event.edited, dict)
    room.reactions(event.event_id)
    room.replies(event.event_id)

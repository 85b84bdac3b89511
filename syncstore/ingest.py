"""SyncStore, the face of the library: commit(reduce(parse(body))) and the reads."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from syncstore.model.records import Applied, Drift, Event, Gap, Info
from syncstore.reads import Reads, Snapshot
from syncstore.reduce import reduce
from syncstore.store import gap as gaps
from syncstore.store import repair, upkeep
from syncstore.store.apply import Asked, apply_batch
from syncstore.store.check import check
from syncstore.store.connection import Connections
from syncstore.store.file import open_file, path_of
from syncstore.store.island import apply_context
from syncstore.store.lease import lease_gap, release_gap
from syncstore.store.members import apply_members
from syncstore.store.page import PageDone, apply_page
from syncstore.store.prune import Pruned, prune
from syncstore.store.query import account as account_query
from syncstore.store.query import drift
from syncstore.wire import parse, parse_context, parse_members, parse_page, parse_start, parse_state

_POLL_SECONDS = 0.1


class _Stored:
    """The default of `since` and `held`: whatever the store holds."""


STORED: Final = _Stored()


def _said(token: str | _Stored | None) -> str | None:
    return None if isinstance(token, _Stored) else token


class SyncStore(Reads):
    """One Matrix account in one SQLite file. Threads may share one; reads never wait for the writer.

    Every read method of `Snapshot` is here too, each as a snapshot of its own.
    """

    def __init__(self, connections: Connections) -> None:
        """Use `SyncStore.open`."""
        super().__init__(connections.read, self._complete_members)
        self._connections = connections
        self._news = threading.Condition()
        self._unsettled = False  # redacted bytes may still be in the WAL
        with connections.read() as cursor:
            row = cursor.execute("SELECT user_id, device_id, homeserver FROM account").fetchone()
        self.path = connections.path
        self.user_id: str = row[0]
        self.device_id: str | None = row[1]
        self.homeserver: str | None = row[2]

    @classmethod
    def open(
        cls,
        where: str | os.PathLike[str],
        *,
        user_id: str | None = None,
        device_id: str | None = None,
        read_only: bool = False,
        create: bool = True,
    ) -> SyncStore:
        """Open a store, make it if there is none, bring it to today's format.

        where: a path, or a SQLAlchemy URL of a SQLite file. user_id: whose store it is; needed for a new file, compared
        for an old one. device_id: likewise, if given.

        Raises NotFoundError (no file, and create is false), OtherAccountError, NewerFormatError, CorruptStoreError,
        StoreLockedError, StoreFullError, StoreError; the file is then as it was.
        """
        path = path_of(where)
        return cls(open_file(path, user_id=user_id, device_id=device_id, read_only=read_only, create=create))

    # -- writing ---------------------------------------------------------------------------------------------------

    def apply(
        self,
        body: bytes | bytearray | str,
        *,
        since: str | _Stored | None = STORED,
        held: str | _Stored | None = STORED,
        full_state: bool = False,
        fetch_ms: int | None = None,
        joined: Collection[str] | None = None,
    ) -> Applied:
        """Commit one /sync response, in any of its three forms, with its token: all of it or nothing.

        since: the token that the request carried, None for none (a snapshot). held: the token that was stored when it
        was sent; by default `since`. With both left out (a replay) the stored token is taken. fetch_ms: how long the
        answer took, for `batches`. joined: room ids that /joined_rooms confirmed beside a snapshot; they are not taken
        as left though the snapshot lacks them.

        Raises WireError (no JSON object, no next_batch), StaleBatchError (another sync was faster), StoreError kinds.
        """
        raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
        changes = reduce(parse(raw), self.user_id)
        told = not (isinstance(since, _Stored) and isinstance(held, _Stored))
        # Each stands for the other where only one is said.
        carried = held if isinstance(since, _Stored) else since
        before = since if isinstance(held, _Stored) else held
        asked = Asked(_said(carried), _said(before), told, full_state, fetch_ms, joined)
        applied = apply_batch(self._connections, changes, asked)
        self._settle(applied.redacted)
        return applied

    def apply_page(self, gap: Gap, asked: str, body: bytes | bytearray, *, again: bool = False) -> PageDone:
        """Commit an answer of /messages (dir=b, from=asked) into a gap, with the gap's new token.

        again: it was asked for because the leased row had `ended_at`, with a limit longer by one (decision 0013).
        Discarded if the gap no longer holds `asked`. Raises WireError for a body that is no page.
        """
        done = apply_page(self._connections, gap.id, asked, parse_page(body, gap.room_id), again=again)
        self._settle(done.redacted)
        return done

    def apply_context(self, room_id: str, body: bytes | bytearray) -> None:
        """Commit an answer of /context: its events get their places, as an island if they touch nothing stored.

        An event that only a sync can place is stored without. Raises NotFoundError (no such room), WireError, and
        StoreError if the gap around it holds too many islands.
        """
        self._settle(apply_context(self._connections, room_id, parse_context(body, room_id)))

    def apply_members(self, room_id: str, body: bytes | bytearray, *, asked_at: int) -> None:
        """Commit an answer of /members: the room's list is then complete.

        asked_at: `seq` when the request was sent; members set by a later batch stay as they are (promise 10).
        """
        self._settle(apply_members(self._connections, room_id, parse_members(body, room_id), asked_at))

    def forget(self, room_id: str) -> None:
        """Delete a room wholly: events, state, gaps, receipts, account data. NotFoundError if there is none."""
        upkeep.forget(self._connections, room_id)
        self._notify()

    def rebind(self, device_id: str) -> None:
        """Take the file to a new login of the same user.

        The next sync is an initial one over what is stored; to-device inbox and key counts are emptied, all device
        lists count as changed. History, state and gaps stay.
        """
        upkeep.rebind(self._connections, device_id)
        self.device_id = device_id

    def bind(self, homeserver: str, device_id: str | None = None) -> None:
        """Note the homeserver's base URL, and the device if the store knows none yet."""
        upkeep.bind(self._connections, homeserver, device_id)
        self.homeserver, self.device_id = homeserver, self.device_id or device_id

    def prune(self, room_id: str | None = None, *, keep: int | None = None, before: int | None = None) -> Pruned:
        """Drop old history: of one room, or of all. State stays, and so does the newest event of each room.

        keep: how many of the newest events shall stay, 1 or more. before: drop what was sent earlier, in milliseconds
        by the senders' clocks; an event is only dropped with all that stand before it. Exactly one of them. As a rule
        a few events more stay, up to the next place with a token. What was dropped is a gap of kind `start`, and can be
        filled again.

        Raises ValueError (not exactly one, keep below 1), NotFoundError (no such room).
        """
        if (keep is None) == (before is None) or (keep is not None and keep < 1):
            raise ValueError("say what to keep: either keep (1 or more) or before")
        if room_id is not None:
            self.room(room_id)
        pruned = prune(self._connections, room_id, keep=keep, before=before)
        self._notify()
        return pruned

    def compact(self) -> tuple[int, int]:
        """Give free space back to the disk: bytes of the file with its WAL, before and after.

        Bytes that were redacted, pruned or forgotten are then gone from both (promise 16). Needs as much free disk as
        the store has. Raises StoreLockedError while another process reads or writes, StoreFullError.
        """
        return upkeep.compact(self._connections)

    def backup(self, target: str | os.PathLike[str]) -> None:
        """Write a consistent, compact copy to a new file. StoreError if it exists or cannot be written."""
        upkeep.backup(self._connections, Path(target))

    # -- what a fetcher needs --------------------------------------------------------------------------------------

    @property
    def token(self) -> str | None:
        """The token to continue from, read from the file each time (promise 3); None before the first sync."""
        with self._connections.read() as cursor:
            return account_query.token(cursor)

    def filter_id(self, definition: str) -> str | None:
        """The id under which the server keeps this filter (its JSON text), if it was uploaded before."""
        with self._connections.read() as cursor:
            return account_query.filter_id(cursor, definition)

    def keep_filter(self, definition: str, filter_id: str) -> None:
        """Remember the id of an uploaded filter."""
        upkeep.keep_filter(self._connections, definition, filter_id)

    def drop_filter(self, filter_id: str) -> None:
        """Forget a filter's id that the server no longer knows."""
        upkeep.drop_filter(self._connections, filter_id)

    @contextmanager
    def lease_gap(self, gap: Gap, seconds: float) -> Iterator[gaps.GapRow | None]:
        """Hold a gap for one request, across processes; yields None while another one holds it."""
        leased = lease_gap(self._connections, gap.id, seconds)
        if leased is None:
            yield None
            return
        row, until = leased
        try:
            yield row
        finally:
            release_gap(self._connections, gap.id, until)

    def renew_gap(self, gap: Gap, asked: str | None, answer: bytes | bytearray) -> str | None:
        """Give a gap whose token was null or refused the `start` of another answer; None if that holds none."""
        token = parse_start(answer)
        if token is not None:
            gaps.renew_walk(self._connections, gap.id, asked, token)
        return token

    def retry_gap(self, gap: Gap, asked: str | None, token: str) -> None:
        """Let a gap whose token was refused go on from another one, unless it moved meanwhile."""
        gaps.renew_walk(self._connections, gap.id, asked, token)

    def give_up_gap(self, gap: Gap, reason: str) -> None:
        """Mark a gap that cannot be filled, with the reason."""
        gaps.give_up(self._connections, gap.id, reason)
        self._notify()

    # -- what `Syncer.verify` needs ------------------------------------------------------------------------------------

    def state_drift(self, room_id: str, body: bytes | bytearray) -> list[Drift]:
        """What of a room's state is not as an answer of /state says. WireError for a body that is none."""
        with self._connections.read() as cursor:
            return drift.state_drift(cursor, room_id, parse_state(body, room_id))

    def message_drift(self, room_id: str, body: bytes | bytearray) -> list[Drift]:
        """What an answer of /messages (dir=b) has that is neither stored nor in a gap, or was redacted unseen."""
        with self._connections.read() as cursor:
            return drift.message_drift(cursor, room_id, parse_page(body, room_id))

    def restate(self, room_id: str, body: bytes | bytearray, *, asked_under: str) -> bool:
        """Make a room's state an answer of /state, and the room one that we are joined to.

        asked_under: the token stored when it was asked. False, and nothing is written, if a sync was committed since.
        """
        redacted = repair.restate(self._connections, room_id, parse_state(body, room_id), asked_under)
        if redacted is not None:
            self._settle(redacted)
        return redacted is not None

    def mark_left(self, room_id: str) -> None:
        """Archive a room that the server says we are not in."""
        repair.mark_left(self._connections, room_id)
        self._notify()

    def apply_copies(self, room_id: str, body: bytes | bytearray) -> None:
        """Take redactions out of an answer of /messages (dir=b): pruned copies strip what is stored."""
        self._settle(apply_context(self._connections, room_id, parse_page(body, room_id)))

    def walk_again(self, room_id: str) -> None:
        """Open a gap over the whole history of a room in which something is missing that no gap shows."""
        repair.walk_again(self._connections, room_id)
        self._notify()

    # -- reading ---------------------------------------------------------------------------------------------------

    @contextmanager
    def read(self) -> Iterator[Snapshot]:
        """One consistent state of the store for as long as the block lasts."""
        with self._connections.read() as cursor:
            yield Snapshot(cursor)

    def wait(self, seq: int, timeout: float | None = None) -> int | None:
        """Wait until a batch after `seq` is stored, by whatever process: its number, None after `timeout` seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        while (newest := self.seq) <= seq:
            left = _POLL_SECONDS if until is None else min(_POLL_SECONDS, until - time.monotonic())
            if left <= 0:
                return None
            with self._news:
                self._news.wait(left)
        return newest

    def info(self) -> Info:
        """Counts, sizes and ages at a glance."""
        with self._connections.read() as cursor:
            return account_query.info(cursor, self.path)

    def check(self) -> list[str]:
        """What is wrong with the file, a line each: integrity, foreign keys, derived data. Empty if nothing is."""
        with self._connections.read() as cursor:
            return list(check(cursor))

    # -- the end ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the file; redacted bytes still in its WAL leave it now."""
        self._connections.checkpoint()
        self._connections.close()

    def __enter__(self) -> SyncStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _settle(self, redacted: int) -> None:
        """After a commit: wake who waits; get redacted bytes out of the WAL, now or once no reader is in the way."""
        self._unsettled = (bool(redacted) or self._unsettled) and not self._connections.checkpoint()
        self._notify()

    def _complete_members(self, room_id: str, load: Callable[[str], Any]) -> None:
        """Ask for the whole member list, unless the store has it."""
        asked_at = self.seq
        answer = load(room_id)
        self.apply_members(room_id, getattr(answer, "body", answer), asked_at=asked_at)

    def _notify(self) -> None:
        with self._news:
            self._news.notify_all()


__all__ = ["STORED", "Event", "SyncStore"]

"""SyncStore, the face of the library: commit(reduce(parse(body))) and the reads."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from syncstore.later import Later
from syncstore.model.records import Applied, Gap, Info
from syncstore.reads import Snapshot
from syncstore.searching import Searching
from syncstore.store.connection import Connections
from syncstore.store.file import open_file, path_of
from syncstore.store.query import account as account_query

if TYPE_CHECKING:
    from syncstore import writing
    from syncstore.store.page import PageDone
    from syncstore.store.prune import Pruned
    from syncstore.store.recover import Saved
else:
    writing = Later("syncstore.writing")

_POLL_SECONDS = 0.1


class _Stored:
    """The default of `since` and `held`: whatever the store holds."""


STORED: Final = _Stored()


def _said(token: str | _Stored | None) -> str | None:
    return None if isinstance(token, _Stored) else token


class SyncStore(Searching):
    """One Matrix account in one SQLite file. Threads may share one; reads never wait for the writer.

    Every read method of `Snapshot` is here too, each as a snapshot of its own.
    """

    def __init__(self, connections: Connections) -> None:
        """Use `SyncStore.open`."""
        super().__init__(connections)
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
        passphrase: str | None = None,
    ) -> SyncStore:
        """Open a store, make it if there is none, bring it to today's format.

        where: a path, or a SQLAlchemy URL of a SQLite file. user_id: whose store it is; needed for a new file, compared
        for an old one. device_id: likewise, if given. passphrase: of an encrypted store (docs/encryption.md).

        Raises NotFoundError (no file, and create is false), OtherAccountError, NewerFormatError, CorruptStoreError,
        PassphraseError, StoreLockedError, StoreFullError, StoreError; the file is then as it was.
        """
        owner = {"user_id": user_id, "device_id": device_id}
        return cls(open_file(path_of(where), **owner, read_only=read_only, create=create, passphrase=passphrase))

    @staticmethod
    def recover(
        where: str | os.PathLike[str],
        target: str | os.PathLike[str],
        *,
        user_id: str | None = None,
        passphrase: str | None = None,
    ) -> list[Saved]:
        """Write a new store with all that can be read of a damaged one, and tell what was saved, a row per table.

        The damaged file is only read; nobody may have it open. What is missing comes again: the next sync is then an
        initial one over what was saved, and a gap lies over the history of every room that may lack events. user_id:
        whose store it is, in case the file no longer tells. passphrase: of an encrypted store; the new one has it too.

        Raises StoreError (the target exists, nobody knows whose it is), CorruptStoreError (another program's database),
        PassphraseError (another one is needed, or nothing can be decrypted any more).
        """
        from syncstore.store.recover import recover

        return recover(path_of(where), path_of(target), user_id, passphrase)

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
        changes = writing.reduce(writing.parse(raw), self.user_id)
        told = not (isinstance(since, _Stored) and isinstance(held, _Stored))
        # Each stands for the other where only one is said.
        carried = held if isinstance(since, _Stored) else since
        before = since if isinstance(held, _Stored) else held
        asked = writing.Asked(_said(carried), _said(before), told, full_state, fetch_ms, joined)
        applied = writing.apply_batch(self._connections, changes, asked)
        self._settle(applied.redacted)
        return applied

    def apply_page(self, gap: Gap, asked: str, body: bytes | bytearray, *, again: bool = False) -> PageDone:
        """Commit an answer of /messages (dir=b, from=asked) into a gap, with the gap's new token.

        again: it was asked for because the leased row had `ended_at`, with a limit longer by one (decision 0013).
        Discarded if the gap no longer holds `asked`. Raises WireError for a body that is no page.
        """
        done = writing.apply_page(self._connections, gap.id, asked, writing.parse_page(body, gap.room_id), again=again)
        self._settle(done.redacted)
        return done

    def apply_context(self, room_id: str, body: bytes | bytearray) -> None:
        """Commit an answer of /context: its events get their places, as an island if they touch nothing stored.

        An event that only a sync can place is stored without. Raises NotFoundError (no such room), WireError, and
        StoreError if the gap around it holds too many islands.
        """
        self._settle(writing.apply_context(self._connections, room_id, writing.parse_context(body, room_id)))

    def forget(self, room_id: str) -> None:
        """Delete a room wholly: events, state, gaps, receipts, account data. NotFoundError if there is none."""
        writing.forget(self._connections, room_id)
        self._notify()

    def rebind(self, device_id: str) -> None:
        """Take the file to a new login of the same user.

        The next sync is an initial one over what is stored; to-device inbox and key counts are emptied, all device
        lists count as changed. History, state and gaps stay.
        """
        writing.rebind(self._connections, device_id)
        self.device_id = device_id

    def bind(self, homeserver: str, device_id: str | None = None) -> None:
        """Note the homeserver's base URL, and the device if the store knows none yet."""
        writing.bind(self._connections, homeserver, device_id)
        self.homeserver, self.device_id = homeserver, self.device_id or device_id

    def prune(self, room_id: str | None = None, *, keep: int | None = None, before: int | None = None) -> Pruned:
        """Drop old history: of one room, or of all. State stays, and so does the newest event of each room.

        keep: how many of the newest events shall stay, 1 or more. before: drop what was sent earlier, in milliseconds
        by the senders' clocks; an event is only dropped with all that stand before it. Exactly one of them. As a rule
        a few events more stay, up to the next place with a token. What was dropped is a gap of kind `start`, and can be
        filled again. What no consumer was given yet goes too.

        With `before` and without a room the change feed loses what it noted earlier, by our clock, but for what a
        consumer of `consume` still needs. Who follows from a place that is gone is told by a change of kind `dropped`.

        Raises ValueError (not exactly one, keep below 1), NotFoundError (no such room).
        """
        if (keep is None) == (before is None) or (keep is not None and keep < 1):
            raise ValueError("say what to keep: either keep (1 or more) or before")
        if room_id is not None:
            self.room(room_id)
        pruned = writing.prune(self._connections, room_id, keep=keep, before=before)
        self._notify()
        return pruned

    def compact(self) -> tuple[int, int]:
        """Give free space back to the disk: bytes of the file with its WAL, before and after.

        Bytes that were redacted, pruned or forgotten are then gone from both (promise 16), and so is the search index:
        the next search makes it anew. Needs as much free disk as the store has. Raises StoreLockedError while another
        process reads or writes, StoreFullError.
        """
        return writing.compact(self._connections)

    def backup(self, target: str | os.PathLike[str]) -> None:
        """Write a consistent, compact copy to a new file. StoreError if it exists or cannot be written."""
        writing.backup(self._connections, Path(target))

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
        writing.keep_filter(self._connections, definition, filter_id)

    def drop_filter(self, filter_id: str) -> None:
        """Forget a filter's id that the server no longer knows."""
        writing.drop_filter(self._connections, filter_id)

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
        return list(writing.check(self._connections))

    # -- the end ---------------------------------------------------------------------------------------------------

    def __enter__(self) -> SyncStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


__all__ = ["STORED", "SyncStore"]

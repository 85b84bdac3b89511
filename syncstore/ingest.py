"""SyncStore, the face of the library: commit(reduce(parse(body))) and the reads."""

from __future__ import annotations

import os
from collections.abc import Collection
from types import TracebackType
from typing import Final

from syncstore.reduce import reduce
from syncstore.store.apply import Asked, Committed, apply_batch
from syncstore.store.connection import Connections
from syncstore.store.file import open_file, path_of
from syncstore.wire import parse


class _Stored:
    """The default of `since` and `held`: whatever the store holds."""


STORED: Final = _Stored()


class SyncStore:
    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        with connections.read() as cursor:
            self.user_id, self.device_id = cursor.execute("SELECT user_id, device_id FROM own_account").fetchone()

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
        return cls(open_file(path_of(where), user_id=user_id, device_id=device_id, read_only=read_only, create=create))

    def apply(
        self,
        body: bytes | bytearray | str,
        *,
        since: str | None | _Stored = STORED,
        held: str | None | _Stored = STORED,
        full_state: bool = False,
        fetch_ms: int | None = None,
        joined: Collection[str] | None = None,
    ) -> Committed:
        raw = body.encode() if isinstance(body, str) else body
        changes = reduce(parse(raw), self.user_id)
        told = not isinstance(since, _Stored)
        carried = None if isinstance(since, _Stored) else since
        before = carried if isinstance(held, _Stored) else held
        asked = Asked(carried, before, told, full_state, fetch_ms, joined)
        return apply_batch(self._connections, changes, asked)

    def close(self) -> None:
        self._connections.close()

    def __enter__(self) -> SyncStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

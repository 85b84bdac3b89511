"""Where mautrix asks for its token: the store's own, which only a batch moves (promises 1 and 3)."""

from __future__ import annotations

import asyncio
from typing import cast

from mautrix.client import SyncStore as Base
from mautrix.types import SyncToken

from syncstore.ingest import SyncStore


class MautrixSyncStore(Base):
    """The token of a store, for mautrix's loop.

    applied: the token of the batch that `Client` applied last. mautrix puts it right after; meanwhile another process
    may have moved the store on.
    """

    def __init__(self, store: SyncStore) -> None:
        self._store = store
        self.applied: str | None = None

    async def get_next_batch(self) -> SyncToken:
        """The token that the store holds, read from the file; None before the first sync, as mautrix's own say."""
        return cast(SyncToken, await asyncio.to_thread(lambda: self._store.token))

    async def put_next_batch(self, next_batch: SyncToken) -> None:
        """Write nothing: the token was stored with its batch.

        ValueError for a token that came with no batch of this store: the response went to mautrix alone, and would be
        lost if the token moved. mautrix's loop logs it.
        """
        if next_batch not in (self.applied, await self.get_next_batch()):
            raise ValueError(
                f"the token {next_batch!r} has no batch in {self._store.path}:"
                " sync with the Client of syncstore.adapters.mautrix"
            )

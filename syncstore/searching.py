"""Searching what was said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncstore.crypto import Crypto
from syncstore.later import Later
from syncstore.model.records import Event
from syncstore.model.search_words import expression

if TYPE_CHECKING:
    from syncstore.store import search
else:
    search = Later("syncstore.store.search")


class Searching(Crypto):
    """The part of `SyncStore` that searches messages."""

    def search(self, words: str, *, room_id: str | None = None, limit: int = 50) -> list[Event]:
        """Messages with all these words, in any order, as they are now: the newest first, by their senders' clocks.

        words: `"two words"` in quotes stand side by side; `begin*` fits all words that begin so. Neither case nor
        accents count. What a message said before an edit is not found, nor what was redacted; what was decrypted is,
        once it is attached. The first search reads every message that is stored, later ones what came since.

        Raises ValueError (no word with a letter or digit), NotFoundError (no such room), StoreError (a store that is
        open for reading only, and has messages that nobody searched yet), StoreLockedError.
        """
        wanted = expression(words)
        if room_id is not None:
            self.room(room_id)
        return search.search(self._connections, wanted, room_id, limit)

    def close(self) -> None:
        """Close the file; redacted bytes still in its WAL, or in the search index, leave it now."""
        try:
            search.purge(self._connections)
        finally:
            super().close()

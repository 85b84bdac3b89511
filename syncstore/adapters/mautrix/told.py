"""What a request of this client made or learned, until a sync tells it.

After a request is answered, a response that was asked for before may still come, and does not have it; the one after
that does. So it counts until a batch brought another event for its key, or two batches came.
"""

from __future__ import annotations

from typing import Any

Content = dict[str, Any]
Key = tuple[str, str, str]  # room_id, type, state_key

_BATCHES = 2
# A room that was encrypted stays so: until the tables say it, nothing may go out in clear.
_FOR_GOOD = "m.room.encryption"


class Told:
    """State contents by key, each with the newest batch when it was told. Told in one thread, read in any."""

    def __init__(self) -> None:
        self._contents: dict[Key, tuple[Content, int]] = {}

    def add(self, key: Key, content: Content, seq: int) -> None:
        """Note what counts from now on, and forget what no longer does."""
        kept = {one: told for one, told in self._contents.items() if not _past(one, told[1], seq)}
        self._contents = {**kept, key: (content, seq)}

    def get(self, key: Key, held_since: int | None, seq: int) -> Content | None:
        """What counts for a key instead of what the tables hold, if anything does.

        held_since: the batch that brought what they hold, None if they hold nothing. seq: the newest batch.
        """
        found = self._contents.get(key)
        if found is None:
            return None
        content, told = found
        held = held_since is not None and (held_since > told or key[1] == _FOR_GOOD)
        return None if held or _past(key, told, seq) else content

    def keys_of(self, room_id: str, type: str) -> list[str]:
        """The state keys of a room and a type that were told."""
        return [key for room, kind, key in list(self._contents) if (room, kind) == (room_id, type)]


def _past(key: Key, told: int, seq: int) -> bool:
    return key[1] != _FOR_GOOD and seq >= told + _BATCHES

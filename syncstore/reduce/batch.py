"""One response to its changes: what concerns the account at once, the rooms one by one."""

from __future__ import annotations

from collections.abc import Iterator

from syncstore.model.batch import Batch
from syncstore.model.changes import Changes, ContentRow, RoomChanges
from syncstore.reduce.account import direct_rooms, ignored_users, presence_rows, to_device_rows
from syncstore.reduce.ephemeral import content_rows
from syncstore.reduce.room import reduce_room

_SMALL = 1 << 16  # bytes of a response


def reduce(batch: Batch, user_id: str) -> Changes:
    """The changes that one /sync response asks for.

    batch: as parsed; its rooms are consumed as `Changes.rooms` is iterated. user_id: whose account it is.
    """
    changes = Changes(batch.next_batch, batch.form, batch.body_bytes, _rooms(batch, user_id), bad=list(batch.bad))
    # Most responses bring rooms and nothing else.
    if batch.account_data:
        changes.account_data = content_rows(batch.account_data)
        changes.direct = direct_rooms(batch.account_data)
        changes.ignored = ignored_users(batch.account_data)
    if batch.presence:
        changes.presence = presence_rows(batch.presence, changes.bad)
    if batch.to_device:
        changes.to_device = to_device_rows(batch.to_device, changes.bad)
    if batch.device_changed or batch.device_left:
        changed = [(user, "changed") for user in batch.device_changed]
        changes.device_lists = changed + [(user, "left") for user in batch.device_left]
    changes.one_time_keys = batch.one_time_keys
    changes.fallback_keys = batch.fallback_keys
    if batch.unknown:
        changes.unknown = [ContentRow(key, text, 0) for key, text in batch.unknown]
    return changes


def _rooms(batch: Batch, user_id: str) -> Iterator[RoomChanges]:
    """The rooms of a large response one by one, those of a small one at once.

    At once they cost a quarter less to read, for the processor finds its code again; and the file is not locked yet.
    """
    if batch.body_bytes > _SMALL:
        return (reduce_room(entry, user_id) for entry in batch.rooms)
    return iter([reduce_room(entry, user_id) for entry in list(batch.rooms)])

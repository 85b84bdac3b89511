"""One response to its changes: what concerns the account at once, the rooms one by one."""

from __future__ import annotations

from collections.abc import Iterator

from syncstore.model.batch import Batch
from syncstore.model.changes import Changes, ContentRow, RoomChanges
from syncstore.reduce.account import direct_rooms, ignored_users, presence_rows, to_device_rows
from syncstore.reduce.ephemeral import content_rows
from syncstore.reduce.room import reduce_room


def reduce(batch: Batch, user_id: str) -> Changes:
    """The changes that one /sync response asks for.

    batch: as parsed; its rooms are consumed as `Changes.rooms` is iterated. user_id: whose account it is.
    """
    bad = list(batch.bad)
    return Changes(
        next_batch=batch.next_batch,
        form=batch.form,
        body_bytes=batch.body_bytes,
        rooms=_rooms(batch, user_id),
        account_data=content_rows(batch.account_data),
        direct=direct_rooms(batch.account_data),
        ignored=ignored_users(batch.account_data),
        presence=presence_rows(batch.presence, bad),
        to_device=to_device_rows(batch.to_device, bad),
        device_lists=[(user, "changed") for user in batch.device_changed]
        + [(user, "left") for user in batch.device_left],
        one_time_keys=batch.one_time_keys,
        fallback_keys=batch.fallback_keys,
        unknown=[ContentRow(key, text, 0) for key, text in batch.unknown],
        bad=bad,
    )


def _rooms(batch: Batch, user_id: str) -> Iterator[RoomChanges]:
    for entry in batch.rooms:
        yield reduce_room(entry, user_id)

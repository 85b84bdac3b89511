"""What an implementation of end-to-end encryption needs of a store; syncstore itself decrypts nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from syncstore.errors import ContentError
from syncstore.following import Following
from syncstore.later import Later
from syncstore.model.device_records import DeviceKeys, DeviceLists, ToDevice
from syncstore.model.records import Event

if TYPE_CHECKING:
    from syncstore import writing
    from syncstore.store import decryption, inbox
else:
    decryption = Later("syncstore.store.decryption")
    inbox = Later("syncstore.store.inbox")
    writing = Later("syncstore.writing")

_DEFAULT = "default"  # the name of a consumer where there is only one


class Crypto(Following):
    """The part of `SyncStore` that keeps what was sent to our device, and what was decrypted."""

    def to_device(self, consumer: str = _DEFAULT, *, limit: int = 1000) -> list[ToDevice]:
        """Messages to this device that a consumer has not acknowledged, in the order in which they came.

        They stay until `ack`. With several consumers (a key store, a verification dialogue) each gets every message,
        and it goes when all have acknowledged it; asking for the first time makes a consumer known.
        """
        return inbox.to_device(self._connections, consumer, limit)

    def ack(self, ids: Iterable[int], consumer: str = _DEFAULT) -> None:
        """A consumer has handled these messages: it gets them no more, also if a new snapshot repeats them.

        Raises NotFoundError if it never asked for any.
        """
        inbox.acknowledge(self._connections, consumer, ids)
        self._connections.checkpoint()  # keys were in them

    def device_lists(self, consumer: str = _DEFAULT) -> DeviceLists:
        """Whose devices changed since a consumer's last `ack_device_lists`."""
        return inbox.device_lists(self._connections, consumer)

    def ack_device_lists(self, seen: DeviceLists, consumer: str = _DEFAULT) -> None:
        """A consumer has handled these changes; what changed since it asked is told the next time.

        Raises NotFoundError if it never asked for any.
        """
        inbox.acknowledge_lists(self._connections, consumer, seen.batch)

    def device_keys(self) -> DeviceKeys:
        """What the server said last of our own keys; the change feed tells when it says something else."""
        with self._connections.read() as cursor:
            return inbox.device_keys(cursor)

    def attach_decrypted(self, room_id: str, event_id: str, type: str, content: Mapping[str, Any] | str) -> None:
        """Attach what an encrypted event says: it is then read, edited and shown as one that was never encrypted.

        content: an object, or its JSON text, kept as it is. Attached again it takes the place of the former. A
        redaction of the event takes it away for good.

        Raises NotFoundError (no such event), ContentError (no type, no JSON object, not an encrypted event, redacted).
        """
        where = f"event {event_id} in {room_id}"
        text = content if isinstance(content, str) else _json(content, where)
        odd = writing.parse_payload(type, text, where)
        decryption.attach(self._connections, room_id, event_id, type, text, odd)
        self._notify()

    def undecrypted(self, session_id: str | None = None, *, limit: int = 1000) -> list[Event]:
        """Encrypted events that nothing is attached to, the newest first: all, or those of one Megolm session."""
        with self._connections.read() as cursor:
            return decryption.undecrypted(cursor, session_id, limit)


def _json(content: Mapping[str, Any], where: str) -> str:
    try:
        return json.dumps(dict(content), separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ContentError(f"content of {where} is no JSON object: {error}") from None

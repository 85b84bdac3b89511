"""To-device messages for mautrix's OlmMachine: out of the store's inbox, in order, and before what needs their keys.

mautrix runs the handlers of a response side by side: two messages of one sender race for the same ratchet, and an event
is not decrypted whose key comes with it.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from mautrix.client import Client as Base
from mautrix.client.syncer import SyncStream
from mautrix.types import EventType, ToDeviceEvent

from syncstore.adapters.mautrix.feed import finished
from syncstore.ingest import SyncStore
from syncstore.model.device_records import ToDevice

CONSUMER = "mautrix"


class Inbox:
    """Hands a store's to-device messages to the handlers of a client, each until its handlers have run."""

    def __init__(self, client: Base, store: SyncStore) -> None:
        self._client = client
        self._store = store
        self._one_at_a_time = asyncio.Lock()
        self._receiving: asyncio.Task[None] | None = None

    def receive(self) -> asyncio.Task[None]:
        """Begin to hand over all that waits: also what a process that was killed did not come to."""
        self._receiving = asyncio.create_task(self._receive())
        return self._receiving

    async def come_first(self, event: object) -> bool:
        """A middleware of mautrix: an encrypted event waits until the messages that are there are handled."""
        if self._client.crypto_enabled:
            await asyncio.wait([self._receiving or self.receive()])
        return True

    async def end(self) -> None:
        """Wait until nothing is handed over any more: who stops may close the store, and that of the keys."""
        if self._receiving is not None:
            await asyncio.wait([self._receiving])

    async def _receive(self) -> None:
        async with self._one_at_a_time:
            while messages := await asyncio.to_thread(self._store.to_device, CONSUMER):
                begun: list[int] = []
                try:
                    for message in messages:
                        begun.append(message.id)
                        await self._handle(message)
                finally:
                    await finished(self._store.ack, begun, CONSUMER)

    async def _handle(self, message: ToDevice) -> None:
        """Run the handlers to their end, also if this is cancelled: a ratchet that has moved cannot be moved again."""
        raw = {"sender": message.sender, "type": message.type, "content": message.content}
        event: Any = cast(Any, self._client)._try_deserialize(ToDeviceEvent, raw)
        if event is None:
            return
        event.type = event.type.with_class(EventType.Class.TO_DEVICE)
        event.source = SyncStream.TO_DEVICE
        running = self._client.dispatch_manual_event(
            event.type, event, include_global_handlers=True, force_synchronous=True, source=SyncStream.TO_DEVICE
        )
        handled = asyncio.gather(*running)
        try:
            await asyncio.shield(handled)
        except asyncio.CancelledError:
            await asyncio.wait([handled])
            raise

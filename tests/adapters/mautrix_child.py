"""A bot in a process of its own, to be killed: `python -m tests.adapters.mautrix_child URL USER DEVICE TOKEN FILE`.

It answers every message of somebody else that begins with "message", and prints a line for each sync.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from mautrix.client.syncer import InternalEventType
from mautrix.types import DeviceID, EventType, UserID

from syncstore.adapters.mautrix import Client


async def main(url: str, user_id: str, device_id: str, token: str, path: str) -> None:
    client = Client(UserID(user_id), DeviceID(device_id), base_url=url, token=token, syncstore=path)

    async def answer(event: Any) -> None:
        if event.sender != user_id and event.content.body.startswith("message"):
            await client.send_text(event.room_id, f"answer to {event.event_id}")

    async def tell(data: Any) -> None:
        sys.stdout.write("synced\n")
        sys.stdout.flush()

    client.add_event_handler(EventType.ROOM_MESSAGE, answer)
    client.add_event_handler(InternalEventType.SYNC_SUCCESSFUL, tell)
    await client.start(None)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

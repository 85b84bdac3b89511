"""A nio bot in a process of its own, to be killed: HOMESERVER USER DEVICE TOKEN STORE NOTES.

It notes the rooms that it knows before its first request, then each event that a callback is given, a line each.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import nio

from syncstore.adapters.nio import AsyncClient


async def run(homeserver: str, user_id: str, device_id: str, token: str, store: str, notes: str) -> None:
    client = AsyncClient(homeserver, user_id, syncstore=store)
    client.restore_login(user_id, device_id, token)
    with Path(notes).open("a", buffering=1) as file:
        file.write(f"rooms {' '.join(sorted(client.rooms))}\n")
        client.add_event_callback(lambda room, event: file.write(f"event {event.event_id}\n"), nio.RoomMessageText)
        await client.sync_forever(timeout=10_000)


asyncio.run(run(*sys.argv[1:]))

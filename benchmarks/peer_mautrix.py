"""mautrix-python with its state store in SQLite, fed as its own sync loop feeds itself: json.loads, then `handle_sync`.

It keeps, in SQLite, a statement and a commit for each: membership, display name and avatar of every member, power
levels, the create event, and whether a room is encrypted. It drops, once handlers have seen them: messages, reactions,
all other state, what state replaced, receipts, counts, prev_batch and `limited`. The token goes to the sync store that
is its default, in memory: the one in SQLite belongs to its encryption. The only handler is its own, that updates the
store. It does so in background tasks, which are waited for after each batch, as they would end while the next answer is
on its way. Its SQLite has the settings that it chooses itself: WAL, synchronous NORMAL, foreign keys.
"""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

from benchmarks.clock import Times, timed_async
from benchmarks.workload import USER

KEEPS = (
    "keeps members, power levels, create events and encryption in SQLite, a commit for each event, under PRAGMAs of its"
    " own (WAL, synchronous NORMAL, foreign_keys). It drops messages, all other state, history, receipts, counts and"
    " gaps; the token is in memory. No handlers but its own."
)


def run_mautrix(path: Path, workload: list[bytes]) -> Times:
    """Feed a new client with a new file."""
    # It warns of each statement that waited for more than a second.
    logging.getLogger("mau").setLevel(logging.ERROR)
    return asyncio.run(_run(path, workload))


async def _run(path: Path, workload: list[bytes]) -> Times:
    from mautrix.client import Client
    from mautrix.client.state_store import MemorySyncStore
    from mautrix.client.state_store.asyncpg import PgStateStore
    from mautrix.util.async_db import Database

    db = Database.create(f"sqlite:///{path}", upgrade_table=PgStateStore.upgrade_table)
    await db.start()
    tokens = MemorySyncStore()
    client = Client(USER, base_url="http://127.0.0.1", state_store=PgStateStore(db), sync_store=tokens)

    async def apply(body: bytes) -> None:
        data = json.loads(body)
        await tokens.put_next_batch(data["next_batch"])
        await asyncio.gather(*client.handle_sync(data))
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            await task

    times = await timed_async(apply, workload)
    if not await db.fetchval("SELECT count(*) FROM mx_user_profile"):
        raise RuntimeError("mautrix did not take the workload")
    await client.api.session.close()
    await db.stop()
    return times

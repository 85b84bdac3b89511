"""matrix-nio, fed as its own `AsyncClient.sync` feeds itself: json.loads, `SyncResponse.from_dict`, `receive_response`.

It keeps, in memory alone: rooms with their names, topics, members, power levels, receipts and unread counts, and the
token. It drops, once callbacks have seen them: messages, reactions, the contents of state it has no field for, what
state replaced, prev_batch and `limited`; and all the rest when the process ends. Here no callback is registered and no
encryption is on, so that nothing is done beyond that.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from benchmarks.clock import Times, timed_async
from benchmarks.workload import USER

KEEPS = (
    "keeps rooms in memory only: names, members, power levels, receipts, counts, the token. It drops messages, most"
    " contents of state, history and gaps at once, and the rest when the process ends. No callbacks, no encryption."
)


def run_nio(path: Path, workload: list[bytes]) -> Times:
    """Feed a new client. path: unused, for nothing is written."""
    return asyncio.run(_run(workload))


async def _run(workload: list[bytes]) -> Times:
    from nio import AsyncClient, SyncResponse

    client = AsyncClient("http://127.0.0.1", USER)

    async def apply(body: bytes) -> None:
        response = SyncResponse.from_dict(json.loads(body))
        await client.receive_response(response)

    times = await timed_async(apply, workload)
    if client.next_batch != json.loads(workload[-1])["next_batch"]:
        raise RuntimeError("matrix-nio did not take the workload")
    await client.close()
    return times

"""The asyncio face: nothing missing, cancellable at any point, and a loop that goes on."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from benchmarks.workload import USER, Size, bodies
from syncstore import Event, Homeserver, Syncer, SyncStore
from syncstore.aio import AsyncRoom, AsyncSyncer, AsyncSyncStore
from syncstore.room import Room
from syncstore.sync.status import Connection
from syncstore.walking import Walking
from tests.net.fake import Fake, Reply, Seen, answer
from tests.store.bodies import ME, ROOM, Body, create, member, message

# What `Syncer` alone asks of a store, and what has another shape here: `call` stands for a snapshot.
FOR_THE_SYNCER = {name for name in vars(Walking) if not name.startswith("_")} | {
    *("lease", "rooms_to_send", "next_to_send", "mark_sent", "mark_rejected", "mark_failed", "prove"),
    *("filter_id", "keep_filter", "drop_filter", "bind", "apply_page", "apply_context"),
}
OTHERWISE = {"read", "recover", "homeserver", "device_id"}


def public(of: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(of) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("plain", "face", "left"),
    [
        (SyncStore, AsyncSyncStore, FOR_THE_SYNCER | OTHERWISE),
        (Syncer, AsyncSyncer, set()),
        (Room, AsyncRoom, {"record"} | set(Room.__struct_fields__) | {"tags"}),
    ],
)
def test_nothing_is_missing(plain: type, face: type, left: set[str]) -> None:
    assert public(plain) - left <= public(face)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), 60))


@pytest.fixture
def fake() -> Any:
    server = Fake()
    yield server
    server.close()


def first() -> Body:
    return Body("s1").join(ROOM, message("$a"), state=[create(), member("$me", ME, "join")])


def test_a_store_is_read_and_written(tmp_path: Path) -> None:
    async def main() -> None:
        async with await AsyncSyncStore.open(tmp_path / "a.db", user_id=ME) as store:
            heard: list[str] = []
            store.subscribe(lambda changes: heard.extend(one.kind for one in changes))
            await store.apply(first().done())
            assert (await store.token(), await store.seq()) == ("s1", 1)
            (room,) = await store.rooms("join")
            assert room.record.room_id == ROOM
            sent = await room.send_text("one")
            page = await (await store.room(ROOM)).timeline(10)
            assert [item.event_id for item in page.items if isinstance(item, Event)] == [sent.transaction_id, "$a"]
            async with store.consume("bot") as arrivals:
                assert arrivals == []
            await store.apply(Body("s2").join(ROOM, message("$b")).done())
            with pytest.raises(KeyError):
                async with store.consume("bot"):
                    raise KeyError
            async with store.consume("bot") as arrivals:
                assert [one.event.event_id for one in arrivals] == ["$b"]
            assert await store.call(lambda plain: len(plain.room(ROOM).members())) == 1
            while "outbox" not in heard:
                await asyncio.sleep(0.01)

    run(main)


@pytest.mark.parametrize("call", ["run_forever", "run_once"])
def test_a_cancelled_call_ends_at_once_though_the_server_is_silent(tmp_path: Path, fake: Fake, call: str) -> None:
    asked, gone = threading.Event(), threading.Event()

    def silent(seen: Seen) -> Reply:
        if seen.path.endswith("/filter"):
            return answer({"filter_id": "f"})
        asked.set()
        gone.wait(30)
        return answer({"next_batch": "s1"})

    fake.choose(silent)

    async def main() -> None:
        async with await AsyncSyncStore.open(tmp_path / "a.db", user_id=ME) as store:
            syncer = AsyncSyncer(Homeserver(fake.url, access_token="t"), store)
            task = asyncio.create_task(getattr(syncer, call)())
            await asyncio.to_thread(asked.wait, 20)
            began = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert time.monotonic() - began < 5
            assert await store.token() is None
        gone.set()

    run(main)


def test_a_batch_that_came_is_committed_before_a_cancelled_loop_ends(tmp_path: Path, fake: Fake) -> None:
    def reply(seen: Seen) -> Reply:
        if seen.path.endswith("/filter"):
            return answer({"filter_id": "f"})
        return answer(first().json if "since" not in seen.query else {"next_batch": "s2"})

    fake.choose(reply)

    async def main() -> None:
        async with await AsyncSyncStore.open(tmp_path / "a.db", user_id=ME) as store:
            syncer = AsyncSyncer(Homeserver(fake.url, access_token="t"), store)
            task = asyncio.create_task(syncer.run_forever())
            assert await store.wait(0, 20) is not None
            assert syncer.connection == Connection("online")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await store.rooms())[0].record.room_id == ROOM
            assert await store.check() == []

    run(main)


def test_the_loop_goes_on_while_a_large_account_is_stored_for_the_first_time(tmp_path: Path) -> None:
    """Some 7,000 events. Threads take turns every 5 ms: a loop that waited for the whole would stand still for long."""
    body = next(iter(bodies(Size(rooms=40, members=100, messages=70, batches=1))))

    async def main() -> None:
        lags: list[float] = []

        async def beat() -> None:
            while True:
                began = time.perf_counter()
                await asyncio.sleep(0.001)
                lags.append(time.perf_counter() - began)

        async with await AsyncSyncStore.open(tmp_path / "a.db", user_id=USER) as store:
            beating = asyncio.create_task(beat())
            began = time.perf_counter()
            await store.apply(body)
            took = time.perf_counter() - began
            beating.cancel()
        lags.sort()
        # Half of the beats are in time, and the worst is a small part of the whole, on a busy machine too.
        assert len(lags) > 10
        assert lags[len(lags) // 2] < 0.05
        assert lags[-1] < max(took / 2, 0.1)

    run(main)

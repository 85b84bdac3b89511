"""To-device messages of a mautrix client that has an OlmMachine: in order, before what needs them, and none lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from mautrix.client.syncer import SyncStream
from mautrix.errors import DecryptionError
from mautrix.types import EncryptedEvent, EventType

from syncstore import SyncStore
from syncstore.adapters.mautrix import Client
from tests.adapters.mautrix_lab import Server, bot, synced, until
from tests.store.bodies import ME, ROOM, Body, create, event, member

KEY = EventType.find("m.test_key", EventType.Class.TO_DEVICE)
STATE = [create(), member("$me", ME, "join")]


def encrypted(id: str, session: str) -> dict[str, Any]:
    content = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x", "session_id": session, "sender_key": "k"}
    return event(id, "m.room.encrypted", content)


class Machine:
    """Takes its time for each key, as one does that keeps them in a file, and notes what happened."""

    def __init__(self, client: Client, seconds: float = 0.02) -> None:
        self.noted: list[str] = []
        self._seconds = seconds
        client.crypto = cast(Any, self)
        client.add_event_handler(KEY, self._take)

    async def _take(self, message: Any) -> None:
        self.noted.append(f"begins {message.content['key']}")
        await asyncio.sleep(self._seconds)
        self.noted.append(f"has {message.content['key']}")

    async def decrypt_megolm_event(self, event: Any) -> None:
        self.noted.append(f"decrypts {event.event_id}")
        raise DecryptionError("not really")


def response(token: str, *keys: str) -> Body:
    body = Body(token).join(ROOM, encrypted(f"${token}", "s"), state=STATE)
    for key in keys:
        body.to_device({"key": key}, type="m.test_key")
    return body


def test_p32_keys_are_taken_in_order_and_before_what_came_with_them(server: Server, path: Path) -> None:
    server.say(response("s1", "a", "b"), response("s2", "c"))

    async def run() -> list[str]:
        async with bot(server, path) as client:
            machine = Machine(client)
            client.start(None)
            await synced(server, client, "s2")
            assert client.syncstore.to_device("mautrix") == []
            return machine.noted

    first, second = ["begins a", "has a", "begins b", "has b", "decrypts $s1"], ["begins c", "has c", "decrypts $s2"]
    assert asyncio.run(run()) == first + second


def test_p32_what_a_process_did_not_come_to_is_handed_over_by_the_next_one(server: Server, path: Path) -> None:
    """What has begun when the bot is stopped comes to its end, and does not come again."""
    server.say(response("s1", "a", "b"))

    async def stopped() -> list[str]:
        async with bot(server, path) as client:
            machine = Machine(client, seconds=0.3)
            client.start(None)
            await until(lambda: machine.noted)
        return machine.noted

    async def again() -> list[str]:
        async with bot(server, path) as client:
            machine = Machine(client)
            client.start(None)
            await until(lambda: "has b" in machine.noted)
            return machine.noted

    assert asyncio.run(stopped()) == ["begins a", "has a"]
    assert asyncio.run(again()) == ["begins b", "has b"]


def test_p32_an_event_that_is_decrypted_later_waits_for_keys_that_are_stored(server: Server, path: Path) -> None:
    with SyncStore.open(path, user_id=ME, device_id="DEV") as store:
        store.apply(response("s1", "a").done())

    async def run() -> list[str]:
        async with bot(server, path) as client:
            machine = Machine(client)
            (missed,) = client.syncstore.undecrypted()
            raw = cast(Any, {**missed.json(), "room_id": ROOM})
            client.dispatch_event(cast(Any, EncryptedEvent.deserialize(raw)), SyncStream.TIMELINE)
            await until(lambda: len(machine.noted) == 3)
            return machine.noted

    assert asyncio.run(run()) == ["begins a", "has a", "decrypts $s1"]


def test_without_a_machine_the_inbox_is_left_to_others(server: Server, path: Path) -> None:
    server.say(response("s1", "a"))

    async def run() -> None:
        heard: list[Any] = []

        async def note(message: Any) -> None:
            heard.append(message.content["key"])

        async with bot(server, path) as client:
            client.add_event_handler(KEY, note)
            client.start(None)
            await synced(server, client, "s1")
            assert heard == ["a"]
            assert client.syncstore.consumers() == []
            assert len(client.syncstore.to_device("mine")) == 1

    asyncio.run(run())


def test_a_message_that_mautrix_cannot_read_holds_nothing_up(
    server: Server, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.say(response("s1", "a", "b"))

    async def run() -> list[str]:
        async with bot(server, path) as client:
            machine = Machine(client)
            read = client._try_deserialize
            monkeypatch.setattr(
                client, "_try_deserialize", lambda type, raw: None if "'a'" in str(raw) else read(type, raw)
            )
            client.start(None)
            await synced(server, client, "s1")
            assert client.syncstore.to_device("mautrix") == []
            return machine.noted

    assert asyncio.run(run()) == ["begins b", "has b", "decrypts $s1"]

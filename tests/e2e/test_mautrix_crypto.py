"""A bot of mautrix with mautrix's own encryption, on a store, at a real homeserver."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from mautrix.client import Client as Base
from mautrix.client import MemoryStateStore
from mautrix.client.syncer import SyncStream
from mautrix.types import DeviceID, EncryptedEvent, EventType, Membership, RoomID, UserID
from mautrix.util.async_db import Database

from examples import lab
from syncstore import Event, Homeserver, Syncer, SyncStore
from syncstore.adapters.mautrix import Client
from tests.adapters.mautrix_lab import until

from .stage import Stage

pytest.importorskip("olm", reason="python-olm is not installed: it has wheels for Python 3.11 and 3.12 on Linux")
from mautrix.crypto import MemoryCryptoStore, OlmMachine, PgCryptoStore

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]

SECRET = [{"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}]
Heard = dict[str, str]  # what a client was told in messages, by event id


class Rooms(MemoryStateStore):
    """mautrix's own, with what its OlmMachine wants to know besides."""

    async def find_shared_rooms(self, user_id: UserID) -> list[RoomID]:
        return [room for room in self.encryption if user_id in self.members.get(room, {})]


def login(user: lab.User) -> dict[str, Any]:
    """The arguments of a client."""
    names = {"mxid": UserID(user.user_id), "device_id": DeviceID(user.device_id)}
    return {**names, "base_url": user.base_url, "token": user.access_token}


@asynccontextmanager
async def syncing(client: Any, keys: Any) -> AsyncIterator[Heard]:
    """Let a client sync, encrypt and decrypt."""
    client.crypto = OlmMachine(client, keys, client.state_store)
    await client.crypto.load()
    await client.crypto.share_keys()
    heard: Heard = {}

    async def hear(event: Any) -> None:
        heard[event.event_id] = event.content.body

    client.add_event_handler(EventType.ROOM_MESSAGE, hear)
    task = client.start(None)
    try:
        yield heard
    finally:
        client.stop()
        await asyncio.wait([task])
        await client.api.session.close()


@asynccontextmanager
async def robot(user: lab.User, folder: Path) -> AsyncIterator[tuple[Client, Heard]]:
    """A bot that attaches what it decrypts and answers what others say; its keys are in a file of mautrix's own."""
    client = Client(**login(user), syncstore=folder / "bot.db")
    store = client.syncstore

    async def keep(event: Any) -> None:
        if event.get("mautrix", {}).get("was_encrypted"):
            content = event.content.serialize()
            await asyncio.to_thread(store.attach_decrypted, event.room_id, event.event_id, str(event.type), content)
        if event.sender != client.mxid:
            await client.send_text(event.room_id, f"heard {event.content.body}")

    client.add_event_handler(EventType.ROOM_MESSAGE, keep)
    database = Database.create(f"sqlite:///{folder / 'keys.db'}", upgrade_table=PgCryptoStore.upgrade_table)
    await database.start()
    try:
        async with syncing(client, PgCryptoStore(user.user_id, "pickle", database)) as heard:
            # What was stored without anybody to decrypt it.
            for one in store.undecrypted():
                missed: Any = EncryptedEvent.deserialize(cast(Any, {**one.json(), "room_id": one.room_id}))
                client.dispatch_event(missed, SyncStream.TIMELINE)
            yield client, heard
            await until(lambda: not store.undecrypted())
    finally:
        await database.stop()
        store.close()


def said(store: SyncStore, room: str) -> list[str]:
    """Bodies of the messages of a room, in order; what was sent must have been ciphertext."""
    items = [one for one in store.room(room).timeline(1000).items[::-1] if isinstance(one, Event)]
    messages = [one for one in items if one.decrypted_type == "m.room.message"]
    assert {one.type for one in messages} == {"m.room.encrypted"}
    assert all("body" not in one.content for one in messages)
    assert not [one for one in items if one.type == "m.room.message"]
    return [one.decrypted["body"] for one in messages if one.decrypted is not None]


@pytest.fixture
def pair(stage: Stage) -> tuple[lab.User, lab.User]:
    """One who talks, and the bot."""
    number = time.time_ns()
    ann, bot = (lab.register(stage.base_url, f"olm-{number}-{one}") for one in ("ann", "robot"))
    return ann, bot


def test_p32_a_bot_reads_and_answers_in_an_encrypted_room_and_after_a_restart(
    pair: tuple[lab.User, lab.User], tmp_path: Path
) -> None:
    """The key of what is said while it is away comes in one response with the message; who leaves gets no more keys."""
    ann, bot = pair
    bob = lab.register(ann.base_url, f"{bot.user_id[1:].partition(':')[0]}-bob")
    room = RoomID(ann.create_room(preset="private_chat", initial_state=SECRET, invite=[bot.user_id, bob.user_id]))
    bob.join(room)

    async def run() -> None:
        keys = MemoryCryptoStore(ann.user_id, "pickle")
        person = Base(**login(ann), state_store=Rooms())
        async with syncing(person, keys) as answers:
            async with robot(bot, tmp_path) as (client, heard):
                await client.join_room(room)
                await until(lambda: bool(client.syncstore.rooms("join")))
                first = await person.send_text(room, "one")
                await until(lambda: "heard one" in answers.values() and "heard one" in heard.values())
                assert heard[first] == "one"
            await keys.remove_outbound_group_session(room)
            second = await person.send_text(room, "two")
            async with robot(bot, tmp_path) as (client, heard):
                await until(lambda: "heard two" in answers.values())
                third = await person.send_text(room, "three")
                await until(lambda: "heard three" in answers.values() and "heard three" in heard.values())
                assert (heard[second], heard[third]) == ("two", "three")
                bot_keys: Any = client.crypto and client.crypto.crypto_store
                assert await bot_keys.get_outbound_group_session(room) is not None
                bob.leave(room)
                async with asyncio.timeout(60):
                    while await bot_keys.get_outbound_group_session(room) is not None:
                        await asyncio.sleep(0.05)

    asyncio.run(run())
    with SyncStore.open(tmp_path / "bot.db") as store:
        assert said(store, room) == ["one", "heard one", "two", "heard two", "three", "heard three"]


def test_p32_keys_and_messages_that_were_stored_while_no_handler_ran_are_not_lost(
    pair: tuple[lab.User, lab.User], tmp_path: Path
) -> None:
    """As after a kill between the commit and the handlers: here another process has synced the file."""
    ann, bot = pair
    rooms = [
        RoomID(ann.create_room(preset="private_chat", initial_state=SECRET, invite=[bot.user_id])) for _ in range(3)
    ]

    async def run() -> None:
        person = Base(**login(ann), state_store=Rooms())
        async with syncing(person, MemoryCryptoStore(ann.user_id, "pickle")) as answers:
            async with robot(bot, tmp_path) as (client, _):
                for room in rooms:
                    await client.join_room(room)
                await until(lambda: all(is_joined(person, room, bot.user_id) for room in rooms))
            for room in rooms:  # three keys by one ratchet, which is new
                await person.send_text(room, f"in {room}")
            with (
                Homeserver(bot.base_url, access_token=bot.access_token) as server,
                SyncStore.open(tmp_path / "bot.db") as store,
            ):
                await asyncio.to_thread(Syncer(server, store).run_once)
                assert len(store.undecrypted()) == 3
            async with robot(bot, tmp_path) as (client, heard):
                said_back = {f"heard in {room}" for room in rooms}
                await until(lambda: said_back <= set(answers.values()))
                await until(lambda: said_back <= set(heard.values()))  # its own come back to it
                assert client.syncstore.to_device("mautrix") == []

    asyncio.run(run())
    with SyncStore.open(tmp_path / "bot.db") as store:
        assert [said(store, room) for room in rooms] == [[f"in {room}", f"heard in {room}"] for room in rooms]


def is_joined(client: Base, room: RoomID, user_id: str) -> bool:
    assert isinstance(client.state_store, MemoryStateStore)
    member = client.state_store.members.get(room, {}).get(UserID(user_id))
    return member is not None and member.membership == Membership.JOIN

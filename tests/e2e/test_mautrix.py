"""A bot of mautrix on a store, at a real homeserver."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mautrix.client import Client as Base
from mautrix.types import DeviceID, EventType, Membership, RoomID, UserID

from examples import lab
from syncstore import Homeserver, Syncer, SyncStore
from syncstore.adapters.mautrix import Client
from tests.adapters.mautrix_lab import until

from .stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]

ROOT = Path(__file__).parents[2]
KILLS = 6


@pytest.fixture
def people(stage: Stage) -> tuple[lab.User, lab.User, lab.User]:
    """Two who talk and the bot, new for each test."""
    number = time.time_ns()
    ann, bob, robot = (lab.register(stage.base_url, f"mautrix-{number}-{one}") for one in ("ann", "bob", "robot"))
    return ann, bob, robot


@asynccontextmanager
async def running(user: lab.User, path: Path, **options: Any) -> AsyncIterator[Client]:
    """A client that syncs; stopped and closed at the end."""
    names = UserID(user.user_id), DeviceID(user.device_id)
    client = Client(*names, base_url=user.base_url, token=user.access_token, syncstore=path, **options)
    task = client.start(None)
    try:
        yield client
    finally:
        client.stop()
        await asyncio.wait([task])
        await client.api.session.close()
        client.syncstore.close()


async def has(client: Client, room: str, event_id: str) -> None:
    """Wait until the store has an event."""
    await until(lambda: bool(client.syncstore.events(event_id)), 60)
    assert client.syncstore.room(room).event(event_id) is not None


async def membership(client: Client, room: str, wanted: str) -> None:
    def stands() -> bool:
        return any(one.room_id == room for one in client.syncstore.rooms(wanted))

    await until(stands, 60)


async def disagreements(client: Client, user: lab.User, room_id: str) -> list[str]:
    """In what the state store and the server's own answers differ."""
    room, states = RoomID(room_id), client.state_store
    assert states is not None
    found = []
    listed = await Base.get_joined_members(client, room)
    if {key: (one.displayname or None, one.avatar_url or None) for key, one in listed.items()} != {
        key: (one.displayname, one.avatar_url)
        for key, one in (await states.get_member_profiles(room, (Membership.JOIN,))).items()
    }:
        found.append("/joined_members")
    state = {(event["type"], event["state_key"]): event for event in user.state(room_id)}
    for (type, key), event in state.items():
        if type == "m.room.member":
            member = await states.get_member(room, UserID(key))
            if member is None or member.membership.value != event["content"]["membership"]:
                found.append(f"{key} is {member}")
    levels, create = await states.get_power_levels(room), await states.get_create(room)
    said = state["m.room.power_levels", ""]["content"]
    if levels is None or (levels.users, levels.ban) != (said["users"], said["ban"]):
        found.append(f"power levels {levels}, server has {said}")
    if create is None or create.event_id != state["m.room.create", ""]["event_id"]:
        found.append(f"create is {create}")
    if await states.is_encrypted(room) is not (("m.room.encryption", "") in state):
        found.append("encryption")
    return found


def test_p32_a_bot_that_comes_and_goes_knows_what_the_server_says(
    people: tuple[lab.User, lab.User, lab.User], tmp_path: Path
) -> None:
    ann, bob, robot = people
    room = ann.create_room(preset="public_chat", name="Here")
    bob.join(room)
    heard: list[tuple[str, str, str]] = []

    async def note(event: Any) -> None:
        if event.state_key == robot.user_id:
            heard.append((event.room_id, event.content.membership.value, str(event.event_id)))

    async def run() -> None:
        async with running(robot, tmp_path / "bot.db") as client:
            client.add_event_handler(EventType.ROOM_MEMBER, note)
            assert await client.join_room(RoomID(room)) == room
            await membership(client, room, "join")
            await has(client, room, ann.send(room, "hello"))
            assert await disagreements(client, robot, room) == []

            bob.set_display_name("Robert")
            ann.send_state(room, "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
            levels = next(one["content"] for one in ann.state(room) if one["type"] == "m.room.power_levels")
            ann.send_state(
                room, "m.room.power_levels", levels | {"ban": 77, "users": levels["users"] | {bob.user_id: 9}}
            )
            await has(client, room, ann.send(room, "changed"))
            assert await disagreements(client, robot, room) == []

            ann.kick(room, robot.user_id)
            await membership(client, room, "leave")
            for n in range(30):  # more than a timeline holds, while the bot is away
                bob.send(room, f"unseen {n}")
            ann.kick(room, bob.user_id)
            await client.join_room(RoomID(room))
            await membership(client, room, "join")
            await has(client, room, ann.send(room, "welcome back"))
            assert await disagreements(client, robot, room) == []
            kinds = {gap.kind for gap in client.syncstore.room(room).gaps()}
            assert kinds & {"limited", "absence"}, kinds

            knocking = ann.create_room(
                preset="private_chat",
                initial_state=[{"type": "m.room.join_rules", "content": {"join_rule": "knock"}}],
            )
            await client.knock_room(RoomID(knocking))
            await membership(client, knocking, "knock")
            ann.invite(knocking, robot.user_id)
            await membership(client, knocking, "invite")
            await client.join_room(RoomID(knocking))
            await has(client, knocking, ann.send(knocking, "come in"))
            assert await disagreements(client, robot, knocking) == []
            own = [membership for where, membership, _ in heard if where == knocking]
            # The room's timeline then has them as events once more, as mautrix hands over every invite.
            assert (own[:2], own[-1]) == (["knock", "invite"], "join")
            assert [membership for where, membership, _ in heard if where == room] == ["join", "leave", "join"]

    asyncio.run(run())


def test_a_bot_that_is_killed_again_and_again_loses_nothing(
    people: tuple[lab.User, lab.User, lab.User], tmp_path: Path
) -> None:
    ann, bob, robot = people
    path = tmp_path / "bot.db"
    room = ann.create_room(preset="public_chat")
    for user in (bob, robot):
        user.join(room)
    told = robot.user_id, robot.device_id, robot.access_token
    sent: list[str] = []
    for kill in range(KILLS):
        command = [sys.executable, "-m", "tests.adapters.mautrix_child", robot.base_url, *told, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
            assert process.stdout is not None
            try:
                assert process.stdout.readline() == b"synced\n"
                sent += [(ann, bob)[n % 2].send(room, f"message {kill} {n}") for n in range(6)]
                time.sleep(random.random() * 0.3)
            finally:
                process.kill()
        # While nobody listens: once more than a timeline holds.
        sent += [ann.send(room, f"message {kill} unheard {n}") for n in range(25 if kill == 2 else 2)]

    with SyncStore.open(path) as store:
        before = {one for one in sent if store.events(one)}
    assert before

    async def run() -> None:
        heard: list[str] = []

        async def note(event: Any) -> None:
            heard.append(str(event.event_id))

        async with running(robot, path) as client:
            store = client.syncstore
            assert [one.room_id for one in store.rooms("join")] == [room]  # before any answer
            client.add_event_handler(EventType.ROOM_MESSAGE, note)
            await has(client, room, ann.send(room, "the end"))
            await asyncio.sleep(0.1)
            assert await disagreements(client, robot, room) == []
            assert len(store.room(room).gaps()) >= 1
            with Homeserver(robot.base_url, access_token=robot.access_token) as server:
                await asyncio.to_thread(Syncer(server, store).backfill_all, 50)
            page = store.room(room).timeline(1000)
            stored = [one.event_id for one in page.items if hasattr(one, "event_id")][::-1]
            assert [one for one in stored if one in sent] == sent
            assert not store.room(room).gaps()
            assert not set(heard) & before  # nothing is handed over twice

    asyncio.run(run())

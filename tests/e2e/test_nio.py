"""Bots on matrix-nio's client and a store, against the real server: killed, kicked, away for long."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import nio
import pytest

from examples.lab import Synapse, User, register
from syncstore import Event, Homeserver, Syncer, SyncStore
from syncstore.adapters.nio import AsyncClient

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]

ROOT = Path(__file__).parents[2]
KILLS, SAID = 4, 60
PATIENCE = 120.0  # seconds
T = TypeVar("T")


@pytest.fixture(scope="module")
def people(synapse: Synapse) -> tuple[User, User]:
    """Nina, whose account the bot has, and Olga."""
    return register(synapse.base_url, "nina"), register(synapse.base_url, "olga")


def on(user: User, path: Path, play: Callable[[AsyncClient], Awaitable[T]]) -> T:
    """What `play` returns, given a bot of this user."""

    async def run() -> T:
        client = AsyncClient(user.base_url, user.user_id, syncstore=path)
        client.restore_login(user.user_id, user.device_id, user.access_token)
        try:
            return await play(client)
        finally:
            await client.close()

    return asyncio.run(run())


def history(user: User, room: str) -> list[str]:
    """The ids of all messages, as the server has them."""
    found: list[str] = []
    position: dict[str, str] = {}
    while True:
        page = user.messages(room, limit="100", **position)
        found += [event["event_id"] for event in page["chunk"] if event["type"] == "m.room.message"]
        if "end" not in page:
            return found[::-1]
        position = {"from": page["end"]}


def stored(path: Path, room: str) -> list[str]:
    with SyncStore.open(path) as store:
        items = store.room(room).timeline(limit=1000).items
        assert store.check() == []
    return [one.event_id for one in items if isinstance(one, Event) and one.type == "m.room.message"][::-1]


def filled(user: User, path: Path) -> int:
    """Fill every gap; the gaps that were there."""
    with SyncStore.open(path) as store, Homeserver(user.base_url, access_token=user.access_token) as server:
        gaps = len(store.gaps())
        Syncer(server, store).backfill_all(50)
        assert store.gaps() == []
    return gaps


def test_p31_a_bot_that_is_killed_loses_no_message(people: tuple[User, User], tmp_path: Path) -> None:
    nina, olga = people
    room, path, notes = olga.create_room(preset="public_chat"), tmp_path / "nina.db", tmp_path / "notes"
    nina.join(room)
    given = (nina.base_url, nina.user_id, nina.device_id, nina.access_token, str(path), str(notes))
    on(nina, path, lambda client: client.sync())
    said: list[str] = []

    def talk() -> None:
        said.extend(olga.send(room, f"line {number}") for number in range(SAID))

    talker = threading.Thread(target=talk)
    talker.start()
    chance = random.Random(7)
    for starts in range(1, KILLS + 1):
        bot = subprocess.Popen([sys.executable, "-m", "tests.e2e.nio_child", *given], cwd=ROOT)
        try:
            _until(notes, starts)
            time.sleep(chance.uniform(0.1, 1.5))
        finally:
            bot.kill()
            bot.wait()
    talker.join()
    on(nina, path, lambda client: client.sync())
    filled(nina, path)
    assert len(said) == SAID
    assert stored(path, room) == history(olga, room) == said
    lines = notes.read_text().splitlines()
    assert [line for line in lines if line.startswith("rooms")] == [f"rooms {room}"] * KILLS
    events = [line.split()[1] for line in lines if line.startswith("event")]
    assert len(events) == len(set(events)), "a callback never has an event twice"


def _until(notes: Path, starts: int) -> None:
    """Wait until the bot has noted so many starts."""
    end = time.monotonic() + PATIENCE
    while not notes.exists() or notes.read_text().count("rooms") < starts:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_p31_long_away_is_a_gap_that_can_be_filled(people: tuple[User, User], tmp_path: Path) -> None:
    nina, olga = people
    room, path = olga.create_room(preset="public_chat"), tmp_path / "nina.db"
    nina.join(room)
    on(nina, path, lambda client: client.sync())
    said = [olga.send(room, f"line {number}") for number in range(50)]
    on(nina, path, lambda client: client.sync())
    assert len(stored(path, room)) < 50
    assert filled(nina, path) >= 1
    assert stored(path, room) == said


def seen(room: nio.MatrixRoom) -> dict[str, Any]:
    """What nio tells of a room, but for who was already said to be in it."""
    names = ("name", "topic", "encrypted", "join_rule", "history_visibility", "guest_access", "canonical_alias")
    more = ("room_version", "display_name", "member_count", "fully_read_marker", "tags", "unread_notifications")
    users = {user.user_id: (user.display_name, user.power_level, user.invited) for user in room.users.values()}
    told = {name: getattr(room, name) for name in (*names, *more)}
    return told | {"users": users, "levels": vars(room.power_levels)}


def test_p31_a_restarted_bot_knows_its_rooms_as_a_fresh_nio_does(people: tuple[User, User], tmp_path: Path) -> None:
    nina, olga = people
    path = tmp_path / "nina.db"
    named = olga.create_room(preset="public_chat", name="Kitchen", topic="Food")
    direct = olga.create_room(preset="trusted_private_chat", invite=[nina.user_id])
    invited = olga.create_room(preset="private_chat", name="Party", invite=[nina.user_id])
    for room in (named, direct):
        nina.join(room)
    olga.send_state(named, "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
    olga.send_state(named, "m.room.topic", {"topic": "Tea"})
    nina.set_account_data("m.tag", {"tags": {"u.work": {"order": 0.5}}}, named)
    olga.send(direct, "hello")
    on(nina, path, lambda client: client.sync())
    olga.send_state(direct, "m.room.name", {"name": "Us"})
    on(nina, path, lambda client: client.sync())

    async def fresh() -> tuple[dict[str, Any], list[str | None]]:
        client = nio.AsyncClient(nina.base_url, nina.user_id)
        client.restore_login(nina.user_id, nina.device_id, nina.access_token)
        members = {"lazy_load_members": True, "include_redundant_members": True}
        await client.sync(sync_filter={"room": {"state": members, "timeline": {"limit": 20, **members}}})
        found = await told(client)
        await client.close()
        return found

    async def told(client: nio.AsyncClient) -> tuple[dict[str, Any], list[str | None]]:
        for room in (named, direct):
            await client.joined_members(room)
        party = client.invited_rooms[invited]
        return {room: seen(client.rooms[room]) for room in (named, direct)}, [party.name, party.inviter]

    restarted = on(nina, path, told)
    assert restarted == asyncio.run(fresh())
    assert restarted[0][named]["topic"] == "Tea" and restarted[1] == ["Party", olga.user_id]


def test_p31_knock_kick_ban_and_rejoin_reach_the_bot(people: tuple[User, User], tmp_path: Path) -> None:
    nina, olga = people
    path = tmp_path / "nina.db"
    rule = {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}}
    room = olga.create_room("10", name="Club", initial_state=[rule])

    async def play(client: AsyncClient) -> list[Any]:
        seen: list[Any] = []
        kicks: list[str] = []

        def on_member(where: nio.MatrixRoom, event: nio.RoomMemberEvent) -> None:
            if event.state_key == nina.user_id and where.room_id == room:
                kicks.append(event.membership)

        client.add_event_callback(on_member, nio.RoomMemberEvent)

        async def after(step: Callable[..., object], *given: str) -> None:
            await asyncio.to_thread(step, room, *given)
            await client.sync()
            piles = client.knocked_rooms, client.invited_rooms, client.rooms
            seen.append([room in pile for pile in piles])

        await client.sync()
        await after(nina.knock)
        assert client.knocked_rooms[room].name == "Club"
        await after(olga.invite, nina.user_id)
        await after(nina.join)
        await after(olga.kick, nina.user_id)
        await after(olga.send_state, "m.room.topic", {"topic": "While away"})  # type: ignore[arg-type]
        await after(olga.invite, nina.user_id)
        await after(nina.join)
        assert client.rooms[room].topic == "While away"
        await after(olga.ban, nina.user_id)
        return [*seen, kicks]

    knocked, invited, joined, none = [True, False, False], [False, True, False], [False, False, True], [False] * 3
    assert on(nina, path, play) == [
        *(knocked, invited, joined, none, none, invited, joined, none),
        ["knock", "invite", "join", "leave", "invite", "join", "ban"],
    ]
    with SyncStore.open(path) as store:
        assert store.room(room).membership == "ban"


def test_p31_login_and_everything_else_are_nios(synapse: Synapse, tmp_path: Path) -> None:
    path = tmp_path / "pia.db"

    async def play() -> tuple[str, str | None]:
        client = AsyncClient(synapse.base_url, "pia", store_path=str(tmp_path), syncstore=path)
        assert isinstance(await client.register("pia", "a password"), nio.RegisterResponse)
        assert isinstance(await client.login("a password"), nio.LoginResponse)
        made = await client.room_create(name="Mine")
        await client.sync()
        sent = await client.room_send(made.room_id, "m.room.message", {"msgtype": "m.text", "body": "hello"})
        await client.sync()
        found = client.syncstore.room(made.room_id).event(sent.event_id)
        await client.logout()
        await client.close()
        assert found is not None
        return client.rooms[made.room_id].display_name, found.content["body"]

    assert asyncio.run(play()) == ("Mine", "hello")


def test_p31_a_new_login_goes_on_with_what_is_stored(synapse: Synapse, tmp_path: Path) -> None:
    path = tmp_path / "sue.db"

    async def play(step: Callable[[AsyncClient, list[str]], Awaitable[T]]) -> T:
        client = AsyncClient(synapse.base_url, "sue", syncstore=path)
        told: list[str] = []
        client.add_event_callback(lambda room, event: told.append(event.body), nio.RoomMessageText)
        assert isinstance(await client.login("a password"), nio.LoginResponse)
        found = await step(client, told)
        await client.close()
        return found

    async def first(client: AsyncClient, told: list[str]) -> list[str]:
        rooms = [(await client.room_create(name=name)).room_id for name in ("Stays", "Goes")]
        for room in rooms:
            await client.room_send(room, "m.room.message", {"msgtype": "m.text", "body": "once"})
        await client.sync()
        assert told == ["once", "once"]
        await client.room_leave(rooms[1])  # no sync any more: only the next login can tell
        return rooms

    async def second(client: AsyncClient, told: list[str]) -> tuple[list[str], list[str], list[str]]:
        before = list(client.rooms)
        assert isinstance(await client.sync(), nio.SyncResponse)
        await client.sync()
        return before, list(client.rooms), told

    async def both() -> None:
        maker = nio.AsyncClient(synapse.base_url, "sue")
        assert isinstance(await maker.register("sue", "a password"), nio.RegisterResponse)
        await maker.close()
        rooms = await play(first)
        before, after, told = await play(second)
        assert (set(before), after, told) == (set(rooms), rooms[:1], [])

    asyncio.run(both())


def test_p31_encryption_is_nios_and_its_keys_survive_a_restart(synapse: Synapse, tmp_path: Path) -> None:
    def client(name: str) -> AsyncClient:
        return AsyncClient(synapse.base_url, name, store_path=str(tmp_path), syncstore=tmp_path / f"{name}.db")

    async def settle(*clients: AsyncClient) -> None:
        """Keys are uploaded, asked for and handed over in a few turns."""
        for _ in range(3):
            for one in clients:
                await one.sync()
                for due, call in ((one.should_upload_keys, one.keys_upload), (one.should_query_keys, one.keys_query)):
                    if due:
                        await call()
                await one.send_to_device_messages()

    async def play() -> list[str]:
        heard: list[str] = []
        quin, rosa = client("quin"), client("rosa")
        for one in (quin, rosa):
            assert isinstance(await one.register(one.user, "a password"), nio.RegisterResponse)
            assert isinstance(await one.login("a password"), nio.LoginResponse)
        secret = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
        made = await quin.room_create(preset=nio.RoomPreset.public_chat, initial_state=[secret])
        await rosa.join(made.room_id)
        await settle(quin, rosa)

        def listen(one: AsyncClient) -> None:
            one.add_event_callback(lambda room, event: heard.append(event.body), nio.RoomMessageText)

        async def say(body: str) -> None:
            content = {"msgtype": "m.text", "body": body}
            sent = await quin.room_send(made.room_id, "m.room.message", content, ignore_unverified_devices=True)
            assert isinstance(sent, nio.RoomSendResponse)

        listen(rosa)
        await say("before")
        await settle(rosa)
        login = rosa.user_id, rosa.device_id, rosa.access_token
        await rosa.close()
        await say("while away")
        rosa = client("rosa")
        rosa.restore_login(*login)
        listen(rosa)
        assert rosa.rooms[made.room_id].encrypted
        await settle(rosa)
        items = rosa.syncstore.room(made.room_id).timeline(limit=2).items
        assert [one.type for one in items if isinstance(one, Event)] == ["m.room.encrypted"] * 2
        for one in (quin, rosa):
            await one.close()
        return heard

    assert asyncio.run(play()) == ["before", "while away"]

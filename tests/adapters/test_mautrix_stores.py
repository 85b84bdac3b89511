"""What mautrix's state store answers is what the tables hold."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from collections.abc import Coroutine, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from mautrix.client import StateStore
from mautrix.client.syncer import SyncStream
from mautrix.types import (
    JSON,
    EncryptionAlgorithm,
    EventType,
    Member,
    Membership,
    MemberStateEventContent,
    PowerLevelStateEventContent,
    RoomEncryptionStateEventContent,
    RoomID,
    StateEvent,
    UserID,
)

from syncstore import SyncStore
from syncstore.adapters.mautrix import MautrixStateStore
from tests.adapters.mautrix_lab import Server, bot, synced
from tests.store.bodies import ANN, BOB, ME, ROOM, Body, create, member, message, redaction, state, stripped
from tests.store.conftest import Feed

R, ROOM_ANN, ROOM_BOB, SELF = RoomID(ROOM), UserID(ANN), UserID(BOB), UserID(ME)
MEGOLM = "m.megolm.v1.aes-sha2"
ALL = tuple(Membership)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "me.db"


@pytest.fixture
def store(path: Path) -> Iterator[SyncStore]:
    with SyncStore.open(path, user_id=ME, device_id="DEV") as opened:
        yield opened


@pytest.fixture
def feed(store: SyncStore) -> Feed:
    return Feed(store)


@pytest.fixture
def states(store: SyncStore) -> MautrixStateStore:
    return MautrixStateStore(store)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def levels(id: str, me: int) -> dict[str, Any]:
    return state(id, "m.room.power_levels", {"users": {ANN: 100, ME: me}})


def encrypted(id: str) -> dict[str, Any]:
    return state(id, "m.room.encryption", {"algorithm": MEGOLM})


def stored_rows(path: Path) -> list[str]:
    """Every row of every table, as text."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return list(db.iterdump())


def synced_event(event: dict[str, Any]) -> StateEvent:
    """An event as mautrix's loop gives it to `update_state`."""
    made = StateEvent.deserialize(cast(JSON, json.loads(json.dumps({**event, "room_id": ROOM}))))
    setattr(made, "source", SyncStream.JOINED_ROOM | SyncStream.TIMELINE)  # noqa: B010 (as dispatch_event does)
    return made


def test_p32_members_are_those_of_the_tables_through_any_history(
    feed: Feed, store: SyncStore, states: MautrixStateStore, path: Path
) -> None:
    random.seed(32)
    users = [f"@u{n}:x" for n in range(8)]
    feed.take(feed.next.join(ROOM, state=[create(), member("$me", ME, "join")]))
    for step in range(60):
        user, membership = random.choice(users), random.choice(["join", "leave", "invite", "ban", "knock"])
        event = member(f"${step}", user, membership, random.choice([None, "Ann", f"n{step}"]))
        event["content"] |= random.choice([{}, {"avatar_url": f"mxc://x/{step}"}])
        limited = random.random() < 0.2
        body = feed.next.join(ROOM, *(() if limited else (event,)), state=[event] if limited else [], limited=limited)
        feed.take(body)
        run(states.update_state(synced_event(event)))
        with closing(sqlite3.connect(path)) as db:
            rows = db.execute("SELECT user_id, membership, display_name, avatar_url FROM members").fetchall()
        held = {row[0]: Member(Membership(row[1]), row[3], row[2]) for row in rows}
        assert run(states.get_member_profiles(R, ALL)) == held
        assert run(states.get_member(R, UserID(user))) == held[user]
        assert run(states.get_members(R)) == [
            one for one in sorted(held) if held[UserID(one)].membership.value in ("join", "invite")
        ]


def test_p32_other_state_is_that_of_the_tables(feed: Feed, states: MautrixStateStore) -> None:
    assert run(states.get_power_levels(R)) is None
    assert run(states.get_create(R)) is None
    assert run(states.is_encrypted(R)) is None
    assert not run(states.has_encryption_info_cached(R))
    me = member("$me", ME, "join")
    feed.take(feed.next.join(ROOM, state=[create(version="12"), me, levels("$p1", me=50)]))
    assert run(states.is_encrypted(R)) is False
    assert run(states.has_encryption_info_cached(R))
    assert run(states.get_power_levels(R)).users == {ANN: 100, ME: 50}
    found = run(states.get_create(R))
    assert (found.event_id, found.sender, found.content.room_version) == ("$create", ANN, "12")
    assert run(states.has_create_cached(R))
    # Who made a room of version 12 may do everything: that is why mautrix asks for the create event.
    assert run(states.has_power_level(R, ROOM_ANN, EventType.ROOM_NAME))
    feed.take(feed.next.join(ROOM, levels("$p2", me=0), encrypted("$e")))
    assert run(states.get_power_levels(R)).users[ME] == 0
    assert run(states.is_encrypted(R)) is True
    assert run(states.get_encryption_info(R)).algorithm == EncryptionAlgorithm.MEGOLM_V1
    feed.take(feed.next.join(ROOM, redaction("$r", "$e")))
    assert run(states.is_encrypted(R)) is True  # a redaction takes the algorithm, not the encryption


@pytest.mark.parametrize("content", [{"users": []}, {"notifications": 5}])
def test_power_levels_that_mautrix_cannot_read_are_unknown(
    content: dict[str, Any], feed: Feed, states: MautrixStateStore
) -> None:
    feed.take(feed.next.join(ROOM, state=[create(), state("$p", "m.room.power_levels", content)]))
    assert run(states.get_power_levels(R)) is None
    assert not run(states.has_power_levels_cached(R))


def test_odd_members_are_read_as_far_as_they_go(feed: Feed, states: MautrixStateStore) -> None:
    odd = state("$o", "m.room.member", {"membership": "join", "displayname": 5, "avatar_url": []}, BOB)
    unknown = state("$u", "m.room.member", {"membership": "dancing"}, ANN)
    feed.take(feed.next.join(ROOM, state=[create(), odd, unknown]))
    assert run(states.get_member(R, ROOM_BOB)) == Member(Membership.JOIN)
    assert run(states.get_member(R, ROOM_ANN)) is None
    assert run(states.get_members(R, ALL)) == [BOB]


def test_p32_while_invited_or_knocking_we_are_that(feed: Feed, states: MautrixStateStore) -> None:
    feed.take(feed.next.join(ROOM, state=[create(), member("$me", ME, "join", "Me")]))
    feed.take(feed.next.leave(ROOM, member("$out", ME, "leave", sender=ANN)))
    assert run(states.get_membership(R, SELF)) == Membership.LEAVE
    feed.take(feed.next.invite(ROOM, stripped("m.room.member", {"membership": "join"}, ANN)))
    assert run(states.get_membership(R, SELF)) == Membership.INVITE
    assert run(states.get_members(R)) == [ME]
    feed.take(feed.next.knock("!k:x"))
    assert run(states.get_membership(RoomID("!k:x"), SELF)) == Membership.KNOCK
    assert run(states.is_encrypted(R)) is None  # nobody in it tells us


def test_shared_rooms_are_the_encrypted_ones(feed: Feed, states: MautrixStateStore) -> None:
    here = [create(), member("$me", ME, "join")]
    body = feed.next.join(ROOM, state=[*here, encrypted("$e"), member("$b", BOB, "invite")])
    body.join("!plain:x", state=[*here, member("$b", BOB, "join")])
    body.join("!without:x", state=[*here, encrypted("$e"), member("$b", BOB, "leave")])
    feed.take(body)
    assert run(states.find_shared_rooms(ROOM_BOB)) == [ROOM]


def test_p32_nothing_that_mautrix_sets_is_written(feed: Feed, states: MautrixStateStore, path: Path) -> None:
    some = {"m.joined_member_count": 3}
    feed.take(feed.next.join(ROOM, state=[create(), member("$a", ANN, "join", "Ann")], summary=some))
    before = stored_rows(path)

    async def set_all() -> None:
        await states.set_member(R, ROOM_BOB, Member(Membership.JOIN, displayname="Bob"))
        await states.set_membership(R, ROOM_ANN, Membership.BAN)
        await states.set_members(R, {ROOM_BOB: Member(Membership.JOIN)})
        await states.set_power_levels(R, PowerLevelStateEventContent(users_default=7))
        await states.set_encryption_info(R, {"algorithm": MEGOLM})
        await states.set_create(synced_event(create("$forged")))
        await states.flush()
        await states.close()

    run(set_all())
    assert stored_rows(path) == before
    assert not run(states.has_full_member_list(R))
    assert run(states.get_create(R)).event_id == "$create"


def test_what_a_request_did_counts_until_a_sync_tells_it(feed: Feed, states: MautrixStateStore) -> None:
    feed.take(feed.next.join(ROOM, state=[create(), member("$a", ANN, "join", "Ann"), levels("$p", me=5)]))
    run(states.set_membership(R, ROOM_ANN, Membership.BAN))
    run(states.set_member(R, ROOM_BOB, MemberStateEventContent(Membership.INVITE)))
    run(states.set_power_levels(R, PowerLevelStateEventContent(users_default=7)))
    assert run(states.get_member(R, ROOM_ANN)) == Member(Membership.BAN, displayname="Ann")
    assert run(states.get_members(R)) == [BOB]
    # A response that was on its way does not have it yet.
    feed.take(feed.next.join(ROOM, message("$1")))
    assert run(states.get_membership(R, ROOM_ANN)) == Membership.BAN
    assert run(states.get_power_levels(R)).users_default == 7
    # The event itself, or a newer one of somebody else.
    feed.take(feed.next.join(ROOM, member("$a2", ANN, "leave", sender=BOB)))
    assert run(states.get_membership(R, ROOM_ANN)) == Membership.LEAVE
    # What came to nothing is forgotten: the second response was asked for after it.
    assert run(states.get_power_levels(R)).users == {ANN: 100, ME: 5}
    assert run(states.get_member(R, ROOM_BOB)) is None
    assert run(states.get_members(R, ALL)) == [ANN]


def test_what_a_sync_brings_meanwhile_is_newer(
    feed: Feed, states: MautrixStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed.take(feed.next.join(ROOM, state=[create()]))
    read = states._read

    def overtaken(*asked: Any) -> Any:
        found = read(*asked)
        feed.take(feed.next.join(ROOM, member("$me", ME, "join", "Me")))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(states, "_read", overtaken)
        run(states.set_membership(R, SELF, Membership.JOIN))
    assert run(states.get_member(R, SELF)) == Member(Membership.JOIN, displayname="Me")


def test_a_room_that_we_encrypted_stays_so_until_the_tables_say_it(feed: Feed, states: MautrixStateStore) -> None:
    feed.take(feed.next.join(ROOM, state=[create(), member("$me", ME, "join")]))
    run(states.set_encryption_info(R, RoomEncryptionStateEventContent(rotation_period_msgs=5)))
    for n in range(4):
        feed.take(feed.next.join(ROOM, message(f"${n}")))
        assert run(states.is_encrypted(R)) is True
        assert run(states.get_encryption_info(R)).rotation_period_msgs == 5
    feed.take(feed.next.join(ROOM, encrypted("$e")))
    assert run(states.get_encryption_info(R)).rotation_period_msgs == 100
    run(states.set_encryption_info(R, RoomEncryptionStateEventContent(rotation_period_msgs=5)))  # fetched: known
    assert run(states.get_encryption_info(R)).rotation_period_msgs == 100


def test_a_member_who_left_gets_no_more_keys(feed: Feed, states: MautrixStateStore) -> None:
    """OlmMachine keeps its session if what was known before equals the event: after the commit it always would."""
    feed.take(feed.next.join(ROOM, state=[create(), member("$a", ANN, "join")]))
    leave = member("$l", ANN, "leave", unsigned={"prev_content": {"membership": "join"}})
    feed.take(feed.next.join(ROOM, leave))
    event = synced_event(leave)
    run(states.update_state(event))
    assert event.unsigned is not None
    assert "mautrix_prev_membership" not in event.unsigned


def test_an_event_that_was_sent_or_fetched_counts(feed: Feed, states: MautrixStateStore) -> None:
    feed.take(feed.next.join(ROOM, state=[create(), member("$me", ME, "join")]))
    sent = StateEvent.deserialize(cast(JSON, {**levels("$p", me=9), "room_id": ROOM}))
    run(states.update_state(sent))
    assert run(states.get_power_levels(R)).users[ME] == 9


def test_it_is_whole() -> None:
    assert not MautrixStateStore.__abstractmethods__
    assert issubclass(MautrixStateStore, StateStore)


# -- /members


def test_p32_a_whole_member_list_is_stored_as_it_came(path: Path) -> None:
    ann = member("$ann", ANN, "join", "Ann")
    chunk = [one | {"room_id": ROOM} for one in (member("$me", ME, "join"), ann, member("$bob", BOB, "leave"))]
    with Server() as server:
        listed = {"joined": {ME: {}, ANN: {"display_name": "A"}}}
        server.others = {"/members": {"chunk": chunk}, "/joined_members": listed}
        few = [create(), member("$me", ME, "join"), member("$gone", BOB, "join")]
        server.say(Body("s1").join(ROOM, state=few, summary={"m.joined_member_count": 3}))

        async def complete() -> None:
            async with bot(server, path, full_members=False) as client:
                client.start(None)
                await synced(server, client, "s1")
                states = cast(MautrixStateStore, client.state_store)
                assert not await states.has_full_member_list(R)
                joined = {ME: Member(Membership.JOIN), ANN: Member(Membership.JOIN, displayname="Ann")}
                assert await client.get_joined_members(R) == joined
                assert await states.has_full_member_list(R)
                assert await states.get_members(R) == [ANN, ME]
                assert client.syncstore.room(ROOM).member(BOB).event_id == "$bob"  # type: ignore[union-attr]
                assert not server.asked("/joined_members")
                # From now on mautrix asks as it always does.
                assert set(await client.get_joined_members(R)) == {ME, ANN}
                assert [event.event_id for event in await client.get_members(R)] == ["$me", "$ann", "$bob"]
                # A part of the list proves nothing about the rest.
                await client.get_members(R, membership=Membership.JOIN)
                assert server.asked("/members")[-1] == {"membership": "join"}

        asyncio.run(complete())

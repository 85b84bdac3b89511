"""A nio bot on a store: what nio gets to know, when, and that nothing of it is lost."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import nio
import pytest

from syncstore import SyncStore
from syncstore.adapters.nio import AsyncClient
from syncstore.errors import FilterError, OtherAccountError, PassphraseError, UnknownTokenError
from tests.adapters.conftest import bodies, bot
from tests.store.bodies import (
    ANN,
    BOB,
    ME,
    OTHER,
    ROOM,
    create,
    member,
    message,
    name,
    state,
    stripped,
    topic,
    wrapped,
)
from tests.sync.flaky import Fault, Flaky, http, says, since_of

T = TypeVar("T")
MEMBERS = [member("$me", ME, "join"), member("$ann", ANN, "join", "Ann")]
LEVELS = state("$pl", "m.room.power_levels", {"users": {ANN: 100}, "users_default": 0, "ban": 77})
SECRET = state("$enc", "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
MADE = bodies(
    lambda body: body.join(
        ROOM,
        message("$m1"),
        name("$n", "Plans"),
        state=[create(), *MEMBERS, LEVELS, SECRET, topic("$t", "Fish"), member("$bob", BOB, "invite", "Bob")],
        limited=True,
        prev_batch="p1",
        summary={"m.heroes": [ANN], "m.joined_member_count": 2, "m.invited_member_count": 1},
        unread_notifications={"notification_count": 3, "highlight_count": 1},
        account_data=wrapped([{"type": "m.tag", "content": {"tags": {"u.work": {"order": 0.5}}}}]),
        ephemeral=wrapped([{"type": "m.receipt", "content": {"$m1": {"m.read": {ANN: {"ts": 5}}}}}]),
    ).invite(OTHER, stripped("m.room.name", {"name": "Party"})),
    lambda body: body.join(ROOM, message("$m2")).knock("!door:x", stripped("m.room.name", {"name": "Club"})),
    lambda body: body.join(ROOM, message("$m3"), topic("$lost", "Lost"), state=[topic("$won", "Won")], after=True),
)


@pytest.fixture
def flaky() -> Iterator[Flaky]:
    with Flaky(MADE) as made:
        yield made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "me.db"


def played(flaky: Flaky, store: Path | SyncStore, play: Callable[[AsyncClient], Awaitable[T]]) -> T:
    """What `play` returns, given a client that has a login."""

    async def run() -> T:
        async with bot(flaky, store) as client:
            return await play(client)

    return asyncio.run(run())


def shown(client: AsyncClient) -> dict[str, Any]:
    """What a bot can see of its rooms."""
    rooms = {room_id: vars(room) for room_id, room in client.rooms.items()}
    for room in rooms.values():
        room["users"] = {one: vars(user) for one, user in room["users"].items()}
        room["invited_users"] = sorted(room["invited_users"])
        room["power_levels"] = vars(room["power_levels"])
        room["names"] = {name: ids for name, ids in room["names"].items() if ids}
        room["typing_users"] = []
    others = {id: vars(room) | {"users": {}} for id, room in {**client.invited_rooms, **client.knocked_rooms}.items()}
    return {"rooms": rooms, "others": {id: (one["name"], one["inviter"]) for id, one in others.items()}}


async def all_of_it(client: AsyncClient) -> None:
    for _ in MADE:
        assert isinstance(await client.sync(), nio.SyncResponse)


def test_p31_a_response_is_stored_before_nio_moves_or_a_callback_runs(flaky: Flaky, path: Path) -> None:
    async def play(client: AsyncClient) -> list[tuple[str | None, bool]]:
        seen: list[tuple[str | None, bool]] = []

        async def on_message(room: nio.MatrixRoom, event: nio.RoomMessageText) -> None:
            seen.append((client.syncstore.token, bool(client.syncstore.events(event.event_id))))

        async def on_response(response: nio.Response, before: Callable[..., Any] = client._handle_sync) -> None:
            seen.append((client.syncstore.token, client.next_batch == "s1"))
            await before(response)

        client.add_event_callback(on_message, nio.RoomMessageText)
        await client.sync()
        client._handle_sync = on_response
        await client.sync()
        return seen

    assert played(flaky, path, play) == [("s1", True), ("s2", True), ("s2", True)]


def test_p31_a_callback_that_dies_leaves_the_batch_stored_and_the_rooms_right(flaky: Flaky, path: Path) -> None:
    async def play(client: AsyncClient) -> list[str]:
        told: list[str] = []

        def on_message(room: nio.MatrixRoom, event: nio.RoomMessageText) -> None:
            told.append(event.event_id)
            if event.event_id == "$m1":
                raise ZeroDivisionError

        client.add_event_callback(on_message, nio.RoomMessageText)
        with pytest.raises(ZeroDivisionError):
            await client.sync()
        assert client.syncstore.token == "s1"
        assert client.rooms[ROOM].name is None, "nio stopped in the middle"
        await client.sync()
        assert client.rooms[ROOM].name == "Plans"
        return told

    assert played(flaky, path, play) == ["$m1", "$m2"], "at most once"
    with SyncStore.open(path) as store:
        assert store.events("$m1") and store.events("$m2")


def test_p31_a_store_that_refuses_a_batch_keeps_it_from_nio(
    flaky: Flaky, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(client: AsyncClient) -> tuple[str, list[str]]:
        def refuse(*args: object, **options: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(client.syncstore, "apply", refuse)
        with pytest.raises(ZeroDivisionError):
            await client.sync()
        return client.next_batch, list(client.rooms)

    assert played(flaky, path, play) == ("", [])


def test_p31_rooms_are_there_after_a_restart_without_a_request(flaky: Flaky, path: Path) -> None:
    async def first(client: AsyncClient) -> dict[str, Any]:
        await all_of_it(client)
        return shown(client)

    before = played(flaky, path, first)
    requests = flaky.syncs

    async def second(client: AsyncClient) -> tuple[dict[str, Any], str, str]:
        return shown(client), client.next_batch, client.rooms[ROOM].display_name

    after, token, called = played(flaky, path, second)
    assert flaky.syncs == requests
    assert (token, called) == ("s3", "Plans")
    assert after == before
    room = after["rooms"][ROOM]
    assert (room["topic"], room["encrypted"], room["unread_notifications"]) == ("Won", True, 3)
    assert room["users"][ANN]["power_level"] == 100 and room["power_levels"]["defaults"].ban == 77
    assert room["invited_users"] == [BOB] and room["summary"].heroes == [ANN]
    assert after["others"] == {OTHER: ("Party", ANN), "!door:x": ("Club", None)}


def test_p31_state_after_counts_not_the_timeline(flaky: Flaky, path: Path) -> None:
    async def play(client: AsyncClient) -> tuple[str | None, bool]:
        await all_of_it(client)
        return client.rooms[ROOM].topic, "$lost" in {one.event_id for one in client.syncstore.events("$lost")}

    assert played(flaky, path, play) == ("Won", True)


def test_a_knock_is_seen_and_becomes_an_invite(path: Path) -> None:
    door = "!door"  # as of room version 12
    made = bodies(
        lambda body: body.knock(door, stripped("m.room.name", {"name": "Club"})),
        lambda body: body.invite(door, stripped("m.room.name", {"name": "Club of two"})),
        lambda body: body.join(door, state=[create(), *MEMBERS, name("$n", "The Club")], after=True),
        lambda body: body.leave(door, member("$kick", ME, "leave", sender=ANN), message("$after"), after=True),
        lambda body: body.knock(door),
        lambda body: body.leave(door, after=True, told=False),
    )
    with Flaky(made) as flaky:

        async def play(client: AsyncClient) -> list[tuple[list[str | None], ...]]:
            seen = []
            for _ in made:
                assert isinstance(await client.sync(), nio.SyncResponse)
                piles = client.knocked_rooms, client.invited_rooms, client.rooms
                seen.append(tuple([room.name for room in pile.values()] for pile in piles))
            return seen

        assert played(flaky, path, play) == [
            (["Club"], [], []),
            ([], ["Club of two"], []),
            ([], [], ["The Club"]),
            ([], [], []),
            ([None], [], []),
            ([], [], []),
        ]


def test_a_kick_reaches_the_callbacks_and_a_rejoin_starts_anew(path: Path) -> None:
    made = bodies(
        lambda body: body.join(ROOM, state=[create(), *MEMBERS, topic("$t", "Old"), member("$b", BOB, "join")]),
        lambda body: body.leave(ROOM, member("$kick", ME, "leave", sender=ANN)),
        lambda body: body.join(ROOM, member("$back", ME, "join"), state=[create(), *MEMBERS], limited=True),
    )
    with Flaky(made) as flaky:

        async def play(client: AsyncClient) -> tuple[list[str], list[str | None], dict[str, Any]]:
            kicks: list[str] = []
            client.add_event_callback(lambda room, event: kicks.append(event.event_id), nio.RoomMemberEvent)
            for _ in made[:2]:
                await client.sync()
            assert not client.rooms
            await client.sync()
            return kicks, [room.topic for room in client.rooms.values()], client.rooms[ROOM].users

        kicks, topics, users = played(flaky, path, play)
    assert kicks == ["$kick", "$back"]
    assert topics == [None] and set(users) == {ME, ANN}


def test_p31_no_event_is_told_twice(path: Path) -> None:
    """After an absence a server sends the newest events, whether we know them or not."""
    made = bodies(
        lambda body: body.join(ROOM, message("$m1"), topic("$t", "New"), state=[create(), *MEMBERS]),
        lambda body: body.leave(ROOM, message("$m1"), member("$kick", ME, "leave", sender=ANN)),
        lambda body: body.join(
            ROOM, message("$m1"), topic("$t", "New"), message("$m2"), state=[create(), *MEMBERS], limited=True
        ),
    )
    with Flaky(made) as flaky:

        async def play(client: AsyncClient) -> tuple[list[str], str | None]:
            told: list[str] = []
            client.add_event_callback(lambda room, event: told.append(event.event_id), nio.RoomMessageText)
            for _ in made:
                await client.sync()
            return told, client.rooms[ROOM].topic

        assert played(flaky, path, play) == (["$m1", "$m2"], "New")


def test_another_process_may_sync_the_same_store(flaky: Flaky, path: Path) -> None:
    async def play(client: AsyncClient) -> None:
        told: list[str] = []
        client.add_event_callback(lambda room, event: told.append(event.event_id), nio.RoomMessageText)
        await client.sync()
        room = client.rooms[ROOM]
        with SyncStore.open(path) as other:

            def between(connection: socket.socket, target: str) -> bool:
                """The other one is faster, while this request is under way."""
                flaky.fault = None
                other.apply(MADE[1], since="s1")
                return flaky.healthy(connection, target)

            flaky.fault = between
            assert isinstance(await client.sync(), nio.SyncResponse)
            assert client.next_batch == "s3" and told == ["$m1", "$m3"]
            other.apply(json.dumps({"next_batch": "s9", "rooms": {"join": {ROOM: {}}}}).encode(), since="s3")
            other.apply(
                bodies(lambda body: body.join(ROOM, name("$z", "Renamed")))[0].replace(b"s1", b"s10"), since="s9"
            )
        flaky.fault = says(http(b'{"next_batch": "s11"}'))
        await client.sync()
        assert client.rooms[ROOM] is room and room.name == "Renamed" and client.next_batch == "s11"

    played(flaky, path, play)


def test_it_asks_as_the_syncer_does(flaky: Flaky, path: Path) -> None:
    asked: list[str] = []

    def note(connection: socket.socket, target: str) -> bool:
        asked.append(target)
        return flaky.healthy(connection, target)

    flaky.fault = note

    async def play(client: AsyncClient) -> None:
        await client.sync(timeout=30000, since="s77")
        await client.sync(timeout=1)

    played(flaky, path, play)
    assert [since_of(target) for target in asked] == [None, "s1"], "the store's own token"
    assert all("&use_state_after=true" in one and "org.matrix.msc4222.use_state_after=true" in one for one in asked)
    assert all("filter=f1" in one for one in asked) and "timeout=0" in asked[0] and "timeout=1" in asked[1]


class Filters(Flaky):
    """A server that keeps one filter."""

    def __init__(self, made: list[bytes], kept: bytes) -> None:
        super().__init__(made)
        self._kept = kept

    def _answer(self, connection: socket.socket, target: str) -> bool:
        if "/filter/" in target:
            connection.sendall(http(self._kept))
            return True
        return super()._answer(connection, target)


@pytest.mark.parametrize(
    ("sync_filter", "kept"),
    [
        ({"room": {"state": {"types": []}}}, b"{}"),
        ('{"room": {"state": {"types": []}}}', b"{}"),
        ("7", b'{"room": {"state": {"types": []}}}'),
    ],
)
def test_a_filter_that_loses_state_is_refused_by_name(path: Path, sync_filter: Any, kept: bytes) -> None:
    with Filters(MADE, kept) as flaky:

        async def play(client: AsyncClient) -> None:
            with pytest.raises(FilterError, match=r"filter key room\.state\.types is refused: .* never comes again"):
                await client.sync_forever(30000, sync_filter=sync_filter)

        played(flaky, path, play)
        assert flaky.syncs == 0


def test_a_filter_by_id_that_loses_nothing_is_used(path: Path) -> None:
    with Filters(MADE, b'{"room": {"timeline": {"limit": 7}}}') as flaky:
        assert isinstance(played(flaky, path, lambda client: client.sync(sync_filter="7")), nio.SyncResponse)


@pytest.mark.parametrize(
    "fault",
    [
        says(http(b"<html>", "502 Bad Gateway")),
        says(http(b'{"errcode": "M_LIMIT_EXCEEDED", "error": "slow", "retry_after_ms": 10}', "429 Too Many Requests")),
        says(http(b'{"errcode": "M_FORBIDDEN", "error": "no"}', "403 Forbidden")),
        says(http(b"<html>hotel")),
        says(http(b'{"rooms": {}}')),
        says(http(MADE[1])[:-40]),
        says(),
        says(http(b'{"next_batch": "s1"}')),
    ],
    ids=["502", "429", "403", "HTML", "no token", "cut", "closed", "nothing new, at once"],
)
def test_p31_a_broken_server_is_asked_at_most_ten_times_in_two_seconds(flaky: Flaky, path: Path, fault: Fault) -> None:
    async def play(client: AsyncClient) -> int:
        told: list[str] = []
        client.add_event_callback(lambda room, event: told.append(event.event_id), nio.RoomMessageText)
        await client.sync()
        before, flaky.fault = flaky.syncs, fault
        loop = asyncio.ensure_future(client.sync_forever(30000))
        await asyncio.sleep(2)
        count, flaky.fault = flaky.syncs - before, None
        async with asyncio.timeout(60):
            while "$m3" not in told:
                await asyncio.sleep(0.05)
        client.stop_sync_forever()
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        assert told == ["$m1", "$m2", "$m3"], "nothing is lost, nothing told twice"
        return count

    assert 1 <= played(flaky, path, play) <= 10


def test_a_token_that_is_taken_away_ends_the_loop(flaky: Flaky, path: Path) -> None:
    async def play(client: AsyncClient) -> None:
        await client.sync()
        gone = b'{"errcode": "M_UNKNOWN_TOKEN", "error": "logged out", "soft_logout": true}'
        flaky.fault = says(http(gone, "401 Unauthorized"))
        with pytest.raises(UnknownTokenError, match="M_UNKNOWN_TOKEN: logged out") as caught:
            await client.sync_forever(30000)
        assert caught.value.soft_logout and flaky.syncs == 2 and client.syncstore.token == "s1"

    played(flaky, path, play)


def test_stop_ends_a_pause_at_once(flaky: Flaky, path: Path) -> None:
    limited = b'{"errcode": "M_LIMIT_EXCEEDED", "error": "slow", "retry_after_ms": 600000}'

    async def play(client: AsyncClient) -> float:
        flaky.fault = says(http(limited, "429 Too Many Requests"))
        loop = asyncio.ensure_future(client.sync_forever(30000))
        while flaky.syncs < 1:
            await asyncio.sleep(0.05)
        started = time.monotonic()
        client.stop_sync_forever()
        await asyncio.wait_for(loop, 60)
        return time.monotonic() - started

    assert played(flaky, path, play) < 60


def test_a_lost_filter_is_uploaded_again(flaky: Flaky, path: Path) -> None:
    async def play(client: AsyncClient) -> None:
        await client.sync()

        def unknown(connection: socket.socket, target: str) -> bool:
            flaky.fault = None
            connection.sendall(http(b'{"errcode": "M_INVALID_PARAM", "error": "No such filter"}', "400 Bad Request"))
            return True

        flaky.fault = unknown
        assert isinstance(await client.sync(), nio.SyncResponse)

    played(flaky, path, play)


def test_the_loop_is_not_held_up_while_a_response_is_stored(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [member(f"$u{n}", f"@u{n}:x", "join", f"User {n}") for n in range(8000)]
    made = bodies(lambda body: body.join(ROOM, *many, state=[create(), *MEMBERS]))
    with Flaky(made) as flaky:

        async def play(client: AsyncClient) -> tuple[int, bool]:
            apply, during = client.syncstore.apply, 0

            def slow(*args: Any, **options: Any) -> Any:
                nonlocal during
                before = beats
                time.sleep(0.5)
                during = beats - before
                return apply(*args, **options)

            monkeypatch.setattr(client.syncstore, "apply", slow)
            beats = 0

            async def beat() -> None:
                nonlocal beats
                while True:
                    await asyncio.sleep(0.01)
                    beats += 1

            heart = asyncio.ensure_future(beat())
            response = await client.sync()
            heart.cancel()
            return during, isinstance(response, nio.SyncResponse)

        during, well = played(flaky, path, play)
    assert during >= 2 and well


def test_a_cancelled_sync_is_stored_whole_or_not_at_all(
    flaky: Flaky, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(client: AsyncClient) -> None:
        apply = client.syncstore.apply
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def slow(*args: Any, **options: Any) -> Any:
            loop.call_soon_threadsafe(begun.set)
            time.sleep(0.2)
            return apply(*args, **options)

        monkeypatch.setattr(client.syncstore, "apply", slow)
        turn = asyncio.ensure_future(client.sync())
        await begun.wait()
        turn.cancel()
        await asyncio.gather(turn, return_exceptions=True)
        assert client.next_batch == ""

    played(flaky, path, play)
    with SyncStore.open(path) as store:
        assert store.token == "s1" and store.check() == []


def test_an_event_that_nio_cannot_read_stops_nothing(path: Path) -> None:
    odd: Any = 7  # no object: syncstore puts it into quarantine
    made = bodies(
        lambda body: body.join(ROOM, message("$m1"), odd, name("$n", "Plans"), state=[create(), *MEMBERS]),
        lambda body: body.join(ROOM, message("$m2")),
    )
    with Flaky(made) as flaky:

        async def play(client: AsyncClient) -> tuple[str, str | None, bool]:
            first = await client.sync()
            second = await client.sync()
            assert isinstance(second, nio.SyncResponse)
            return type(first).__name__, client.rooms[ROOM].name, "not readable by nio" in str(first)

        assert played(flaky, path, play) == ("SyncError", "Plans", True)


def test_a_new_login_takes_the_file_over(flaky: Flaky, path: Path) -> None:
    played(flaky, path, lambda client: client.sync())

    async def run() -> tuple[list[str], str, str | None]:
        client = AsyncClient(flaky.url, ME, syncstore=path)
        client.restore_login(ME, "OTHER", "token")
        found = list(client.rooms), client.next_batch, client.syncstore.device_id
        await client.close()
        return found

    assert asyncio.run(run()) == ([ROOM], "", "OTHER")


def test_a_store_of_somebody_else_is_refused(flaky: Flaky, path: Path) -> None:
    async def run(store: SyncStore) -> None:
        client = AsyncClient(flaky.url, ANN, syncstore=store)
        with pytest.raises(nio.LocalProtocolError, match=f"is of {ME}, the login of {ANN}"):
            client.restore_login(ANN, "D", "token")
        await client.close()

    with SyncStore.open(path, user_id=ME) as store:
        asyncio.run(run(store))
        assert store.token is None, "still open"


def test_without_a_path_the_file_stands_beside_nios_own(flaky: Flaky, tmp_path: Path) -> None:
    async def run() -> None:
        client = AsyncClient(flaky.url, ME, store_path=str(tmp_path))
        with pytest.raises(nio.LocalProtocolError, match="nobody has logged in"):
            _ = client.syncstore
        client.restore_login(ME, "D", "token")
        await client.sync()
        await client.close()
        await client.sync()
        await client.close()

    asyncio.run(run())
    with SyncStore.open(tmp_path / f"{ME}.syncstore.db", create=False) as store:
        assert store.token == "s2"


@pytest.fixture
def no_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """nio asks no server anything."""

    async def send(*args: object, **options: object) -> None:
        raise AssertionError("a request was made")

    monkeypatch.setattr(nio.AsyncClient, "send", send)


@pytest.mark.parametrize("passphrase", [None, "another"])
def test_without_its_passphrase_an_encrypted_file_is_refused_before_any_request(
    path: Path, passphrase: str | None, no_requests: None
) -> None:
    SyncStore.open(path, user_id=ME, passphrase="right").close()

    async def run() -> None:
        client = AsyncClient("https://x", "me", syncstore=path, syncstore_passphrase=passphrase)
        with pytest.raises(PassphraseError):
            client.restore_login(ME, "D", "token")
        with pytest.raises(PassphraseError):
            await client.login("secret")
        with pytest.raises(PassphraseError):
            await client.login_raw({"type": "m.login.token", "token": "t"})
        await client.close()

    asyncio.run(run())


def test_an_encrypted_file_is_made_opened_and_opened_again_after_a_close(flaky: Flaky, path: Path) -> None:
    async def run() -> None:
        client = AsyncClient(flaky.url, ME, syncstore=path, syncstore_passphrase="right")
        client.restore_login(ME, "D", "token")
        await client.sync()
        await client.close()
        await client.sync()
        assert list(client.rooms) == [ROOM]
        await client.close()

    asyncio.run(run())
    with pytest.raises(PassphraseError):
        SyncStore.open(path)
    with SyncStore.open(path, passphrase="right") as store:
        assert store.token == "s2"
        with pytest.raises(TypeError, match="is open already"):
            AsyncClient(flaky.url, ME, syncstore=store, syncstore_passphrase="right")


def test_a_file_of_somebody_else_is_refused_before_a_login_makes_a_device(path: Path, no_requests: None) -> None:
    SyncStore.open(path, user_id=ME).close()

    async def run() -> None:
        client = AsyncClient("https://x", ANN, syncstore=path)
        with pytest.raises(OtherAccountError):
            await client.login("secret")
        await client.close()

    asyncio.run(run())

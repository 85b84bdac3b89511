"""What matrix-nio does that the adapter relies on or mends: a version of it that does otherwise shall be noticed."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import Any

import nio
import pytest

from syncstore.adapters.nio import AsyncClient
from tests.adapters.conftest import bodies
from tests.store.bodies import ANN, ME, OTHER, ROOM, create, member, message, topic
from tests.sync.flaky import Flaky, http, says

MEMBERS = [member("$me", ME, "join"), member("$ann", ANN, "join", "Ann")]
FIRST = bodies(lambda body: body.join(ROOM, message("$m1"), state=[create(), *MEMBERS]))


def logged_in(flaky: Flaky) -> nio.AsyncClient:
    client = nio.AsyncClient(flaky.url, ME)
    client.restore_login(ME, "DEVICE", "token")
    return client


def heard(made: list[bytes], *, since: str | None = None) -> nio.AsyncClient:
    """A plain nio client after it has heard all of the bodies."""

    async def play() -> nio.AsyncClient:
        with Flaky(made) as flaky:
            client = logged_in(flaky)
            client.next_batch = since or ""
            for _ in made[1:] if since else made:
                assert isinstance(await client.sync(), nio.SyncResponse)
            await client.close()
            return client

    return asyncio.run(play())


def test_nio_forgets_its_rooms() -> None:
    made = bodies(lambda body: body.join(ROOM, state=[create()]), lambda body: body.data("m.x", {}))
    assert list(heard(made).rooms) == [ROOM]
    assert not heard(made, since="s1").rooms, "a client that goes on from a token knows no room"


def test_nio_moves_its_token_before_the_callbacks() -> None:
    async def play() -> str:
        with Flaky(FIRST) as flaky:
            client = logged_in(flaky)

            def dies(room: object, event: object) -> None:
                raise ZeroDivisionError

            client.add_event_callback(dies, nio.RoomMessageText)
            with pytest.raises(ZeroDivisionError):
                await client.sync()
            await client.close()
            return str(client.next_batch)

    assert asyncio.run(play()) == "s1"


def test_nio_ignores_knocks_and_state_after() -> None:
    made = bodies(
        lambda body: body.join(ROOM, state=[create(), topic("$t", "Fish")], after=True).knock(OTHER),
    )
    client = heard(made)
    assert client.rooms[ROOM].topic is None
    assert OTHER not in client.rooms and OTHER not in client.invited_rooms
    assert not hasattr(nio.responses.Rooms({}, {}, {}), "knock")


def test_nio_adds_every_state_event_of_a_timeline_to_its_room() -> None:
    made = bodies(lambda body: body.join(ROOM, topic("$lost", "Lost"), state=[create(), topic("$t", "Won")]))
    assert heard(made).rooms[ROOM].topic == "Lost"


def test_nio_keeps_a_room_that_was_left() -> None:
    made = [
        *FIRST,
        *bodies(lambda body: body, lambda body: body.leave(ROOM, member("$kick", ME, "leave", sender=ANN)))[1:],
    ]
    assert ROOM in heard(made).rooms


def test_nio_asks_a_broken_server_without_end() -> None:
    async def play() -> float:
        with Flaky(FIRST) as flaky:
            started = time.monotonic()
            flaky.fault = says(http(b"<html>", "502 Bad Gateway"))
            client = logged_in(flaky)
            loop = asyncio.ensure_future(client.sync_forever(30000))
            async with asyncio.timeout(60):
                while flaky.syncs <= 20:
                    await asyncio.sleep(0.05)
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)
            await client.close()
            return flaky.syncs / (time.monotonic() - started)

    assert asyncio.run(play()) > 10, "requests a second"


def test_nio_cannot_read_an_archived_room_of_version_12_without_timeline() -> None:
    assert heard(bodies(lambda body: body.leave(ROOM, after=True, told=False)))
    made = bodies(lambda body: body.leave("!version12", after=True, told=False))
    with pytest.raises(Exception, match="'events' is a required property"):
        heard(made)


def test_nio_raises_on_what_is_no_event_and_meets_it_again() -> None:
    made = bodies(lambda body: body.join(ROOM, 7))
    with pytest.raises(TypeError):
        heard(made)


def test_the_adapter_hides_nothing_of_nio_by_a_name() -> None:
    meant = {
        "__init__",
        "__doc__",
        "__module__",
        "close",
        "login",
        "login_raw",
        "receive_response",
        "restore_login",
        "stop_sync_forever",
    }
    theirs = {*dir(nio.AsyncClient), *vars(nio.AsyncClient("https://x"))}
    assert set(vars(AsyncClient)) & theirs == meant | {"sync", "sync_forever"}


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("_handle_timeline_event", ["self", "event", "room_id", "room", "encrypted_rooms"]),
        ("_on_event", ["self", "event", "room"]),
        ("send", ["self", "method", "path", "data", "headers", "trace_context", "timeout"]),
        ("receive_response", ["self", "response"]),
        ("sync", ["self", "timeout", "sync_filter", "since", "full_state", "set_presence"]),
        ("restore_login", ["self", "user_id", "device_id", "access_token"]),
        ("invalidate_outbound_session", ["self", "room_id"]),
    ],
)
def test_nio_has_what_the_adapter_uses(name: str, first: list[str]) -> None:
    found: Any = getattr(nio.AsyncClient, name)
    assert list(inspect.signature(found).parameters)[: len(first)] == first


def test_nio_uploads_a_filter_by_its_parts() -> None:
    assert {"presence", "account_data", "room"} <= set(inspect.signature(nio.AsyncClient.upload_filter).parameters)

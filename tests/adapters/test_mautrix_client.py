"""mautrix's client over a store, against a server that does as it is told."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mautrix.client.syncer import InternalEventType, SyncStream
from mautrix.types import EventType, Filter, FilterID, RoomEventFilter, RoomFilter, RoomID, SyncToken, UserID

from syncstore import SyncStore
from syncstore.adapters.mautrix import Client, LoggedOutError, MautrixSyncStore, feed
from syncstore.errors import FilterError, OtherAccountError, PassphraseError, UnknownTokenError
from syncstore.model.filters import default_filter
from syncstore.sync.pace import Pace
from tests.adapters.mautrix_lab import Server, bot, synced, until
from tests.store.bodies import ANN, BOB, ME, ROOM, Body, create, member, message, stripped, topic

OTHER = "!elsewhere:example.org"


def noted(client: Client, *types: Any) -> list[Any]:
    """What handlers are given, by and by."""
    found: list[Any] = []

    async def note(event: Any) -> None:
        found.append(event)

    for type in types or (EventType.ALL,):
        client.add_event_handler(type, note)
    return found


def joined(token: str, *timeline: dict[str, Any], **options: Any) -> Body:
    state = [create(), member("$me", ME, "join"), member("$ann", ANN, "join", "Ann")]
    return Body(token).join(ROOM, *timeline, **{"state": state} | options)


def ids(events: list[Any]) -> list[str]:
    return [str(event.event_id) for event in events]


# -- applied before it is handled


def test_p32_a_batch_is_in_the_store_before_anything_of_mautrix_hears_of_it(
    server: Server, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.say(joined("s1", message("$1")))
    seen: list[tuple[str, str | None, bool]] = []

    async def run() -> None:
        async with bot(server, path) as client:
            store = client.syncstore

            def look(who: str) -> None:
                there = bool(store.seq) and store.room(ROOM).event("$1") is not None
                seen.append((who, store.token, there))

            async def handle(event: Any) -> None:
                look("handler")

            async def succeeded(event: Any) -> None:
                look("loop")

            put = MautrixSyncStore.put_next_batch

            async def putting(self: MautrixSyncStore, next_batch: SyncToken) -> None:
                look("token")
                await put(self, next_batch)

            monkeypatch.setattr(MautrixSyncStore, "put_next_batch", putting)
            client.add_event_handler(EventType.ROOM_MESSAGE, handle)
            client.add_event_handler(InternalEventType.SYNC_SUCCESSFUL, succeeded, wait_sync=True)
            client.start(None)
            await synced(server, client, "s1")

    asyncio.run(run())
    first = {who: (token, there) for who, token, there in reversed(seen)}
    assert first == dict.fromkeys(("token", "loop", "handler"), ("s1", True))


def test_p32_the_bytes_that_came_are_stored_not_what_mautrix_made_of_them(server: Server, path: Path) -> None:
    text = b'{"a":1,"a":2,"big":' + b"9" * 40 + b',"far":1e400,"msgtype":"m.x","body":"b"}'
    body = joined("s1", message("$1")).done()
    plain = json.dumps(message("$1")["content"]).encode()
    assert plain in body
    server.say(body.replace(plain, text))

    async def run() -> None:
        async with bot(server, path) as client:
            heard = noted(client, EventType.ROOM_MESSAGE)
            client.start(None)
            await until(lambda: heard)
            stored = client.syncstore.room(ROOM).event("$1")
            assert stored is not None
            assert stored.content_json.encode() == text

    asyncio.run(run())


def test_a_body_that_python_cannot_read_is_stored_nevertheless(server: Server, path: Path) -> None:
    deep = b"[" * 200_000 + b"]" * 200_000
    first = joined("s1", message("$1")).key("device_one_time_keys_count", {"signed_curve25519": 50})
    server.say(first.done()[:-1] + b', "x": ' + deep + b"}", Body("s2").join(ROOM, message("$2")))

    async def run() -> None:
        async with bot(server, path) as client:
            heard, counts = noted(client, EventType.ROOM_MESSAGE), noted(client, InternalEventType.DEVICE_OTK_COUNT)
            client.start(None)
            await until(lambda: heard)
            assert ids(heard) == ["$2"]
            assert counts[0].signed_curve25519 == 50
            assert client.syncstore.room(ROOM).event("$1") is not None

    asyncio.run(run())


def test_the_loop_goes_on_while_a_batch_is_written(server: Server, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    going_on, apply = threading.Event(), SyncStore.apply

    def slow(self: SyncStore, *args: Any, **options: Any) -> Any:
        assert going_on.wait(30)
        return apply(self, *args, **options)

    monkeypatch.setattr(SyncStore, "apply", slow)
    server.say(joined("s1"))

    async def run() -> None:
        async with bot(server, path) as client:
            client.start(None)
            await until(lambda: server.sinces)
            await asyncio.sleep(0.1)
            going_on.set()
            await synced(server, client, "s1")

    asyncio.run(run())


def test_who_stops_may_close_the_store(server: Server, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, done, apply = threading.Event(), threading.Event(), SyncStore.apply

    def slow(self: SyncStore, *args: Any, **options: Any) -> Any:
        begun.set()
        time.sleep(0.3)
        applied = apply(self, *args, **options)
        done.set()
        return applied

    monkeypatch.setattr(SyncStore, "apply", slow)
    server.say(joined("s1"))

    async def run() -> None:
        async with bot(server, path) as client:
            task = client.start(None)
            await until(begun.is_set)
            client.stop()
            await asyncio.wait([task])
            assert done.is_set()

    asyncio.run(run())
    with SyncStore.open(path) as store:
        assert store.token == "s1"


# -- the token


def test_p32_since_is_the_stores_token_whoever_moved_it(server: Server, path: Path) -> None:
    moved = Body("t9").join(ROOM, message("$other"))

    async def run() -> None:
        async with bot(server, path) as client:
            server.say(joined("s1"))
            client.start(None)
            await synced(server, client, "s1")
            with SyncStore.open(path) as other:
                other.apply(moved.done())
            await until(lambda: "t9" in server.sinces)
            assert client.syncstore.token == "t9"
            assert client.syncstore.room(ROOM).event("$other") is not None

    asyncio.run(run())


def test_a_batch_that_comes_too_late_is_asked_for_again(server: Server, path: Path) -> None:
    def meanwhile() -> bytes:
        with SyncStore.open(path) as other:
            other.apply(Body("t1").join(ROOM, message("$other")).done())
        return Body("s2").join(ROOM, message("$late")).done()

    async def run() -> None:
        async with bot(server, path) as client:
            errors = noted(client, InternalEventType.SYNC_ERRORED)
            server.say(joined("s1"), meanwhile, Body("t2").join(ROOM, message("$after")))
            client.start(None)
            await synced(server, client, "t2")
            assert not errors
            assert server.sinces[:4] == [None, "s1", "t1", "t2"]
            room = client.syncstore.room(ROOM)
            assert room.event("$late") is None
            assert room.event("$after") is not None

    asyncio.run(run())


def test_p32_the_sync_store_never_moves_the_token(path: Path) -> None:
    async def run() -> None:
        with SyncStore.open(path, user_id=ME) as store:
            tokens = MautrixSyncStore(store)
            assert await tokens.get_next_batch() is None
            store.apply(Body("s1").done())
            assert await tokens.get_next_batch() == "s1"
            await tokens.put_next_batch(SyncToken("s1"))
            with pytest.raises(ValueError, match="no batch in"):
                await tokens.put_next_batch(SyncToken("s2"))
            assert store.token == "s1"

    asyncio.run(run())


def test_a_store_that_lost_its_token_asks_for_what_is_gone(server: Server, path: Path) -> None:
    server.others["/joined_rooms"] = {"joined_rooms": [OTHER]}

    async def run() -> None:
        async with bot(server, path) as client:
            server.say(joined("s1"), Body("s2").join(OTHER, state=[create("$c2"), member("$m2", ME, "join")]))
            client.start(None)
            await synced(server, client, "s2")
        with SyncStore.open(path) as store:
            store.rebind("DEV")
        async with bot(server, path) as client:
            server.say(Body("s3"))
            client.start(None)
            await synced(server, client, "s3")
            assert server.filters[1]["room"]["include_leave"] is True
            assert {room.room_id: room.membership for room in client.syncstore.rooms()} == {
                ROOM: "leave",
                OTHER: "join",
            }

    asyncio.run(run())


# -- what is asked


def test_the_filter_is_the_fetchers_and_uploaded_once(server: Server, path: Path) -> None:
    async def once(token: str, **options: Any) -> None:
        async with bot(server, path, **options) as client:
            server.say(Body(token))
            client.start(None)
            await synced(server, client, token)

    asyncio.run(once("s1"))
    asyncio.run(once("s2"))
    assert server.filters == [default_filter(full_members=True)]
    asyncio.run(once("s3", full_members=False))
    assert server.filters[1:] == [default_filter()]
    asked = server.asked("/sync")
    assert {query["use_state_after"] for query in asked} == {"true"}
    assert {query["org.matrix.msc4222.use_state_after"] for query in asked} == {"true"}
    assert (asked[0]["timeout"], asked[1]["timeout"]) == ("0", "30000")
    assert asked[0]["filter"] == "f1"


def test_a_filter_that_the_server_lost_is_uploaded_again(server: Server, path: Path) -> None:
    async def run() -> None:
        async with bot(server, path) as client:
            server.say(Body("s1"), (400, b'{"errcode": "M_INVALID_PARAM", "error": "no such filter"}'), Body("s2"))
            client.start(None)
            await synced(server, client, "s2")

    asyncio.run(run())
    assert [query["filter"] for query in server.asked("/sync")][:4] == ["f1", "f1", "f2", "f2"]


def test_the_whole_state_may_be_asked_for(server: Server, path: Path) -> None:
    async def run() -> None:
        async with bot(server, path) as client:
            server.say(joined("s1"), joined("s2"))
            await client.sync()
            await client.sync(full_state=True)

    asyncio.run(run())
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT full_state FROM batches ORDER BY batch").fetchall() == [(0,), (1,)]
    assert server.asked("/sync")[1]["full_state"] == "true"


def test_a_filter_of_ones_own_must_lose_nothing(server: Server, path: Path) -> None:
    async def run() -> None:
        async with bot(server, path) as client:
            with pytest.raises(FilterError, match="nobody can tell"):
                client.start(FilterID("7"))
            with pytest.raises(FilterError, match="nobody can tell"):
                await client.sync(filter_id=FilterID("7"))
            with pytest.raises(FilterError, match=r"room\.timeline\.types"):
                client.start(Filter(room=RoomFilter(timeline=RoomEventFilter(types=[EventType.ROOM_MESSAGE]))))
            server.say(Body("s1"))
            client.start(Filter(room=RoomFilter(timeline=RoomEventFilter(limit=50))))
            await synced(server, client, "s1")
            assert server.filters[0]["room"]["timeline"]["limit"] == 50

    asyncio.run(run())


# -- what mautrix is given


def test_state_after_is_handed_over_and_nothing_twice(server: Server, path: Path) -> None:
    bobs = member("$bob", BOB, "join", "Bob")
    server.say(
        joined("s1", bobs, message("$1"), after=True, state=[create(), member("$me", ME, "join"), bobs]),
        # Lazily loaded members come again with each message; the topic is new.
        Body("s2").join(ROOM, message("$2", sender=BOB), after=True, state=[bobs, topic("$t", "new")]),
        # A rejoin repeats what was delivered.
        Body("s3").join(ROOM, message("$2", sender=BOB), message("$3"), limited=True, state=[bobs], prev_batch="p3"),
        Body("s4").join(ROOM, message("$9"), limited=True, prev_batch="p4"),
    )

    async def run() -> None:
        async with bot(server, path) as client:
            heard = noted(client)
            client.start(None)
            await synced(server, client, "s4")
            assert sorted(ids(heard)) == ["$1", "$2", "$3", "$9", "$bob", "$create", "$me", "$t"]
            sources = {str(event.event_id): event.source for event in heard}
            assert sources["$bob"] == SyncStream.JOINED_ROOM | SyncStream.TIMELINE
            assert sources["$t"] == SyncStream.JOINED_ROOM | SyncStream.STATE
            assert [gap.prev_batch for gap in client.syncstore.room(ROOM).gaps()] == ["p4", "p0"]

    asyncio.run(run())


def test_invites_knocks_and_kicks_are_handed_over(server: Server, path: Path) -> None:
    server.say(
        joined("s1").invite("!i:x", stripped("m.room.name", {"name": "Invited"})).knock("!k:x"),
        Body("s2").leave(ROOM, member("$kick", ME, "leave", sender=ANN)),
    )

    async def run() -> None:
        async with bot(server, path) as client:
            heard = noted(client, EventType.ROOM_MEMBER)
            client.start(None)
            await synced(server, client, "s2")
            own = {str(one.room_id): one for one in heard if one.state_key == ME and one.source != 0x2}
            assert own["!i:x"].content.membership.value == "invite"
            assert own["!i:x"].unsigned.invite_room_state[0].content.name == "Invited"
            assert own["!k:x"].content.membership.value == "knock"
            assert own["!k:x"].source == SyncStream.STATE
            assert own[ROOM].content.membership.value == "leave"
            found = {room.room_id: room.membership for room in client.syncstore.rooms()}
            assert found == {"!i:x": "invite", "!k:x": "knock", ROOM: "leave"}

    asyncio.run(run())


@pytest.mark.parametrize(
    "odd",
    [
        Body("s1").invite("!odd:x").key("account_data", 5),
        Body("s1").key("rooms", {"invite": {"!odd:x": {"invite_state": {"events": [7]}}, "!two:x": []}}),
        Body("s1").join("!odd:x", message("$o", unsigned=None), 5, "no event", {"type": 7}),  # type: ignore[arg-type]
        Body("s1").join(
            "!odd:x", member("$o", BOB, "join", unsigned=[]), topic("$p", "x", unsigned={"prev_content": 1}),
        ),
        Body("s1").key("rooms", {"invite": {"!odd:x": {"invite_state": {"events": [
            stripped("m.room.member", {"membership": "dancing"}, ME)]}}}}),
    ],
    ids=["data", "invites", "timeline", "unsigned", "membership"],
)  # fmt: skip
def test_what_mautrix_cannot_read_does_not_end_the_handling_of_the_rest(
    odd: Body, server: Server, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry = joined("s1", message("$1")).json["rooms"]["join"][ROOM]
    odd.json.setdefault("rooms", {}).setdefault("join", {})[ROOM] = entry
    odd.json["rooms"]["leave"] = {"!left:x": {"timeline": {"events": [member("$left", ME, "leave")]}}}
    server.say(odd.done())

    async def run() -> None:
        async with bot(server, path) as client:
            heard = noted(client)
            client.start(None)
            await synced(server, client, "s1")
            assert {"$1", "$left"} <= set(ids([one for one in heard if hasattr(one, "event_id")]))

    asyncio.run(run())
    assert "errored" not in caplog.text


# -- when things go wrong

SECONDS, MOST = 2.0, 10
STORMS: dict[str, Any] = {
    "502": [(502, b"<html>bad gateway</html>")] * 50,
    "no json": [b"<html>log in to the hotel</html>"] * 50,
    "limited": [(429, b'{"errcode": "M_LIMIT_EXCEEDED", "error": "slow", "retry_after_ms": 20000}')] * 50,
    "nothing at once": [],
}


@pytest.mark.parametrize("storm", STORMS)
def test_requests_stay_bounded(storm: str, server: Server, path: Path) -> None:
    server.say(*STORMS[storm])
    server.at_once = True

    async def run() -> None:
        async with bot(server, path) as client:
            task = client.start(None)
            await asyncio.sleep(SECONDS)
            assert not task.done()

    asyncio.run(run())
    assert 2 <= len(server.seen) <= MOST


def test_what_a_server_asks_to_wait_is_kept(server: Server, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[float | None] = []

    class Noting(Pace):
        def next(self, at_least: float | None = None) -> float:
            kept.append(at_least)
            return 0.0

    monkeypatch.setattr(feed, "Pace", Noting)
    server.say(*STORMS["limited"])

    async def run() -> None:
        async with bot(server, path) as client:
            client.start(None)
            await until(lambda: kept)

    asyncio.run(run())
    assert kept == [20.0]


def test_after_a_storm_nothing_is_missing(server: Server, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sleep = asyncio.sleep
    monkeypatch.setattr("mautrix.client.syncer.asyncio.sleep", lambda seconds: sleep(min(seconds, 0.01)))
    server.say(joined("s1"), (502, b""), b"{", (503, b"{}"), Body("s2").join(ROOM, message("$1")))

    async def run() -> None:
        async with bot(server, path) as client:
            heard = noted(client, EventType.ROOM_MESSAGE)
            client.start(None)
            await until(lambda: heard)
            assert server.sinces[:5] == [None, "s1", "s1", "s1", "s1"]

    asyncio.run(run())


def test_a_token_that_is_gone_ends_the_loop_with_the_reason(server: Server, path: Path) -> None:
    gone = b'{"errcode": "M_UNKNOWN_TOKEN", "error": "expired", "soft_logout": true}'
    server.say(joined("s1"), (401, gone))

    async def run() -> None:
        async with bot(server, path) as client:
            stopped = noted(client, InternalEventType.SYNC_STOPPED)
            with pytest.raises(LoggedOutError, match=r"no longer valid, log in again \(expired\)") as raised:
                await client.start(None)
            assert isinstance(raised.value, UnknownTokenError)
            assert raised.value.soft_logout
            await until(lambda: stopped)
            assert client.syncstore.token == "s1"

    asyncio.run(run())


def test_a_store_of_another_account_is_refused(server: Server, path: Path) -> None:
    SyncStore.open(path, user_id=ANN).close()

    async def run() -> None:
        with SyncStore.open(path) as store, pytest.raises(OtherAccountError, match="is of @ann"):
            Client(UserID(ME), base_url=server.url, token="secret", syncstore=store)
        with pytest.raises(TypeError, match="sync_store: the store given"):
            Client(UserID(ANN), base_url=server.url, token="secret", syncstore=path, sync_store=None)

    asyncio.run(run())


def test_an_encrypted_file_needs_its_passphrase(server: Server, path: Path) -> None:
    async def run() -> None:
        async with bot(server, path, syncstore_passphrase="right") as client:
            assert client.syncstore.user_id == ME
        for passphrase in (None, "another"):
            with pytest.raises(PassphraseError):
                Client(UserID(ME), base_url=server.url, syncstore=path, syncstore_passphrase=passphrase)
        client = Client(UserID(ME), base_url=server.url, syncstore=path, syncstore_passphrase="right")
        with pytest.raises(TypeError, match="is open already"):
            Client(UserID(ME), base_url=server.url, syncstore=client.syncstore, syncstore_passphrase="right")
        await client.api.session.close()
        client.syncstore.close()

    asyncio.run(run())
    assert not server.seen


def test_a_login_as_somebody_else_is_noticed(server: Server, path: Path) -> None:
    async def run() -> None:
        async with bot(server, path) as client:
            client.mxid = UserID(BOB)
            with pytest.raises(OtherAccountError, match="the client of @bob"):
                await client.start(None)

    asyncio.run(run())
    assert not server.seen


def test_everything_else_is_mautrixs_own(server: Server, path: Path) -> None:
    server.others = {"/join/" + ROOM: {"room_id": ROOM}}
    server.say(joined("s1"))

    async def run() -> None:
        async with bot(server, path) as client:
            client.start(None)
            await synced(server, client, "s1")
            assert await client.join_room(RoomID(ROOM)) == ROOM

    asyncio.run(run())
    assert ("POST", "/_matrix/client/v3/join/" + ROOM) in [(method, path) for method, path, _ in server.seen]

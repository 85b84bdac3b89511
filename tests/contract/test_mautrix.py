"""What mautrix does that the adapter relies on or mends: a version that changes it is noticed here."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import pytest
from mautrix.client import Client, MemoryStateStore, MemorySyncStore
from mautrix.client.syncer import InternalEventType
from mautrix.errors import MatrixRequestError, MUnknownToken
from mautrix.types import (
    JSON,
    EventType,
    Member,
    Membership,
    MemberStateEventContent,
    RoomID,
    StateEvent,
    SyncToken,
    UserID,
)

from tests.store.bodies import ANN, ME, ROOM, Body, create, member, message, name, topic


class Put(MemorySyncStore):
    def __init__(self, order: list[str]) -> None:
        super().__init__()
        self._order = order

    async def put_next_batch(self, next_batch: SyncToken) -> None:
        self._order.append(f"put {next_batch}")
        await super().put_next_batch(next_batch)


class Plain(Client):
    """mautrix's own client; /sync gives what it is told to, then the task ends as mautrix ends one."""

    def __init__(self, *replies: Body | Exception, **options: Any) -> None:
        super().__init__(mxid=UserID(ME), base_url="http://127.0.0.1:1", token="t", **options)
        self._replies = list(replies)
        self.asked: list[str | None] = []

    async def sync(self, since: SyncToken | None = None, *args: Any, **options: Any) -> Any:
        self.asked.append(since)
        reply = self._replies.pop(0) if self._replies else asyncio.CancelledError()
        if isinstance(reply, BaseException):
            raise reply
        return reply.json

    async def ran(self) -> None:
        await self.start(None)
        await asyncio.sleep(0.02)
        await self.api.session.close()


def test_the_token_is_put_before_handlers_run_and_kept_in_memory() -> None:
    order: list[str] = []

    async def run() -> None:
        tokens = Put(order)
        client = Plain(Body("s1").join(ROOM, message("$1")), Body("s2"), sync_store=tokens)

        async def handle(event: Any) -> None:
            order.append("handler")
            await tokens.put_next_batch(SyncToken("from elsewhere"))

        client.add_event_handler(EventType.ROOM_MESSAGE, handle, wait_sync=True)
        await client.ran()
        assert client.asked == [None, "s1", "s2"]

    asyncio.run(run())
    assert order == ["put s1", "handler", "put from elsewhere", "put s2"]


def test_an_unknown_token_ends_the_loop_with_a_line_in_the_log_alone() -> None:
    async def run() -> None:
        client = Plain(MUnknownToken(401, "gone"))
        stopped: list[Any] = []

        async def note(event: Any) -> None:
            stopped.append(event["error"])

        client.add_event_handler(InternalEventType.SYNC_STOPPED, note, wait_sync=True)
        await client.ran()  # raises nothing
        assert isinstance(stopped[0], MUnknownToken)

    asyncio.run(run())


def test_errors_are_waited_out_ever_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    async def run() -> None:
        client = Plain(*[MatrixRequestError()] * 8)
        with monkeypatch.context() as patch:
            patch.setattr("mautrix.client.syncer.asyncio.sleep", note)
            await client.start(None)
        await client.api.session.close()

    asyncio.run(run())
    assert waits == [5, 10, 20, 40, 80, 160, 320, 320]


def test_its_stores_keep_members_and_three_kinds_of_state() -> None:
    async def run() -> None:
        states = MemoryStateStore()
        client = Plain(
            Body("s1").join(ROOM, state=[create(), name("$n", "N"), member("$a", ANN, "join")]), state_store=states
        )
        await client.ran()
        assert set(states.serialize()) == {"members", "full_member_list", "power_levels", "encryption", "create"}
        assert set(states.members[RoomID(ROOM)]) == {ANN}
        assert await states.is_encrypted(RoomID(ROOM)) is None

    asyncio.run(run())


def test_what_was_known_before_an_event_is_asked_when_it_is_handled() -> None:
    """So a store that has the event already would answer with it; `OlmMachine` takes that for a repetition."""

    async def run() -> None:
        states = MemoryStateStore()
        await states.set_member(RoomID(ROOM), UserID(ANN), Member(membership=Membership.JOIN))
        event = StateEvent.deserialize(cast(JSON, {**member("$l", ANN, "leave"), "room_id": ROOM}))
        await states.update_state(event)
        assert isinstance(event.content, MemberStateEventContent)
        assert event.unsigned is not None
        assert event.unsigned["mautrix_prev_membership"].membership == Membership.JOIN

    asyncio.run(run())
    spec = find_spec("mautrix")
    assert spec is not None
    assert spec.submodule_search_locations
    machine = Path(spec.submodule_search_locations[0], "crypto", "machine.py").read_text(encoding="utf-8")
    assert 'evt.unsigned.get("mautrix_prev_membership")' in machine
    assert "prev_cache.membership == cur" in machine


def test_state_after_and_knocks_are_not_read() -> None:
    async def run() -> None:
        heard: list[Any] = []

        async def note(event: Any) -> None:
            heard.append(event)

        body = Body("s1").join(ROOM, after=True, state=[topic("$t", "T")]).knock("!k:x")
        client = Plain(body)
        client.add_event_handler(EventType.ALL, note)
        await client.ran()
        assert heard == []

    asyncio.run(run())


@pytest.mark.parametrize("odd", [{"unsigned": None}, {"unsigned": []}])
def test_one_odd_event_ends_the_handling_of_all_the_rest(odd: dict[str, Any]) -> None:
    async def run() -> None:
        heard: list[Any] = []

        async def note(event: Any) -> None:
            heard.append(event)

        client = Plain(Body("s1").join("!odd:x", topic("$t", "T", **odd)).join(ROOM, message("$1")))
        client.add_event_handler(EventType.ROOM_MESSAGE, note)
        await client.ran()
        assert heard == []

    asyncio.run(run())

"""Servers in the same process: one that plays a script, one that is the model account."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, cast

from syncstore.errors import RemoteError
from syncstore.net import Answer, Homeserver
from tests.account import forms
from tests.account.answer import sync
from tests.account.pages import Ending, messages
from tests.account.server import Account
from tests.store.bodies import Body

Reply = bytes | Body | Exception | Callable[[], bytes]


def answer(body: bytes) -> Answer:
    return Answer(body=body, status=200, ms=7, path="/fake", query={})


class Scripted:
    """Gives what is queued for each kind of call, in order, and notes every call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.replies: dict[str, deque[Reply]] = {}
        self.rooms: list[str] = []
        self.filters: list[dict[str, Any]] = []
        self.pause: Callable[[float], None] = time.sleep
        self.stopped: Callable[[], bool] = lambda: False
        self.on_retry: Callable[[RemoteError, float], None] = lambda error, seconds: None

    def will(self, kind: str, *replies: Reply) -> None:
        self.replies.setdefault(kind, deque()).extend(replies)

    def asked(self, kind: str) -> list[dict[str, Any]]:
        return [asked for name, asked in self.calls if name == kind]

    def face(self) -> Homeserver:
        return cast(Homeserver, self)

    def sync(self, **asked: Any) -> Answer:
        return self._give("sync", asked)

    def messages(self, room_id: str, **asked: Any) -> Answer:
        return self._give("messages", {"room_id": room_id} | asked)

    def context(self, room_id: str, event_id: str, **asked: Any) -> Answer:
        return self._give("context", {"room_id": room_id, "event_id": event_id} | asked)

    def state(self, room_id: str) -> Answer:
        return self._give("state", {"room_id": room_id})

    def event_at(self, room_id: str, ts: int, *, dir: str = "f") -> str:
        return bytes(self._give("event_at", {"room_id": room_id, "ts": ts, "dir": dir}).body).decode()

    def joined_rooms(self) -> list[str]:
        self.calls.append(("joined_rooms", {}))
        return self.rooms

    def upload_filter(self, user_id: str, definition: Mapping[str, Any]) -> str:
        self.calls.append(("upload_filter", {"user_id": user_id, "definition": dict(definition)}))
        self.filters.append(dict(definition))
        return f"f{len(self.filters)}"

    def send_event(self, room_id: str, type: str, transaction_id: str, content: Mapping[str, Any]) -> str:
        asked = {"room_id": room_id, "type": type, "transaction_id": transaction_id, "content": dict(content)}
        return bytes(self._give("send", asked).body).decode()

    def send_state(self, room_id: str, type: str, state_key: str, content: Mapping[str, Any]) -> str:
        asked = {"room_id": room_id, "type": type, "state_key": state_key, "content": dict(content)}
        return bytes(self._give("send", asked).body).decode()

    def redact(self, room_id: str, event_id: str, transaction_id: str, content: Mapping[str, Any]) -> str:
        asked = {"room_id": room_id, "redacts": event_id, "transaction_id": transaction_id, "content": dict(content)}
        return bytes(self._give("send", asked).body).decode()

    def send_receipt(self, room_id: str, receipt_type: str, event_id: str, content: Mapping[str, Any]) -> None:
        self._give("send", {"room_id": room_id, "type": receipt_type, "event_id": event_id, "content": dict(content)})

    def _give(self, kind: str, asked: dict[str, Any]) -> Answer:
        self.calls.append((kind, asked))
        reply = self.replies[kind].popleft()
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, Body):
            return answer(reply.done())
        return answer(reply() if callable(reply) else reply)


class Modelled(Scripted):
    """Answers as the model account does; `ending` is how its pages end."""

    def __init__(self, account: Account, ending: Ending = "bounded", limit: int = 3) -> None:
        super().__init__()
        self.account, self.ending, self.limit = account, ending, limit

    def sync(self, **asked: Any) -> Answer:
        self.calls.append(("sync", asked))
        include_leave = "include_leave" in json.dumps(self.filters[int(asked["filter"][1:]) - 1])
        said = sync(self.account, asked["since"], self.limit, include_leave=include_leave)
        return answer(json.dumps(forms.state_after(said)).encode())

    def messages(self, room_id: str, **asked: Any) -> Answer:
        self.calls.append(("messages", {"room_id": room_id} | asked))
        from_ = asked["from_"] or f"s{self.account.clock}_0"
        page = messages(self.account, room_id, from_, asked["to"], asked["limit"], self.ending)
        return answer(json.dumps(page).encode())

    def joined_rooms(self) -> list[str]:
        self.calls.append(("joined_rooms", {}))
        return [room_id for room_id in self.account.rooms if self.account.membership(room_id) == "join"]


class Stop(threading.Event):
    """A stop event that notes how long it was waited for, and is set after so many waits. It never sleeps."""

    def __init__(self, after: int = 1 << 30) -> None:
        super().__init__()
        self.waits: list[float] = []
        self._after = after

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        if len(self.waits) >= self._after:
            self.set()
        return self.is_set()

"""A model server with bad habits, out of reach now and then: what back-fill must live with (promises 12 to 14)."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from syncstore.errors import RateLimitedError, ServerError, UnreachableError
from syncstore.net import Answer
from tests.account.events import Json
from tests.account.pages import Ending, messages
from tests.account.server import Account
from tests.sync.fake import Modelled, answer

FAULTS: dict[str, Callable[[], Exception]] = {
    "down": lambda: UnreachableError("connection refused"),
    "oops": lambda: ServerError("M_UNKNOWN: oops", status=500, errcode="M_UNKNOWN"),
    "slow": lambda: RateLimitedError("asked to wait", retry_after=600.0),
}
Refused = Literal["nothing", "next_batch", "sync"]
# The answer comes, but half of it.
CUT = "cut"


@dataclass(frozen=True)
class Habits:
    """How a server pages.

    ending: see tests/account/pages.py. hops: so many empty pages, each with another `end`, come before each page.
    repeats: a page begins with the event that the last one ended with, and ends with its own first. names_to: the last
    page's `end` is the `to` of the request. loose: the `end` of a page is its place alone, as Synapse does it, so that
    the next page has what arrived since the walk began. refuses: which tokens it does not take as `from`: a next_batch,
    or whatever a /sync told; those of its pages and of /context it takes.
    """

    ending: Ending = "bounded"
    hops: int = 0
    repeats: bool = False
    names_to: bool = False
    loose: bool = False
    refuses: Refused = "nothing"


class Faulty(Modelled):
    """The model account behind a server of these habits.

    faults: what happens to the requests in turn, None for nothing; all is well once they are used up. Whatever fails,
    fails after the server has done its part. meanwhile: is called once, when the next page is under way to the client.

    Tokens are those of pages.py; "+" marks one of an empty page, "c" before it one of /context.
    """

    def __init__(self, account: Account, habits: Habits, faults: Iterable[str | None] = ()) -> None:
        super().__init__(account, habits.ending)
        self.habits = habits
        self.faults = deque(faults)
        self.meanwhile: Callable[[], None] | None = None

    @property
    def requests(self) -> int:
        """How often back-fill has asked."""
        return len(self.asked("messages")) + len(self.asked("context"))

    def sync(self, **asked: Any) -> Answer:
        return self._sent(super().sync(**asked))

    def messages(self, room_id: str, **asked: Any) -> Answer:
        self.calls.append(("messages", {"room_id": room_id} | asked))
        from_ = asked["from_"] or f"cs{self.account.clock}_0"
        if self._refused(from_):
            raise ServerError("M_INVALID_PARAM: Invalid token", status=400, errcode="M_INVALID_PARAM")
        page = self._page(room_id, from_, asked["to"], asked["limit"]) | {"start": from_}
        work, self.meanwhile = self.meanwhile, None
        if work is not None:
            work()
        return self._sent(answer(json.dumps(page).encode()))

    def context(self, room_id: str, event_id: str, **asked: Any) -> Answer:
        """The event alone, with the tokens just older and just newer in the room's own order."""
        self.calls.append(("context", {"room_id": room_id, "event_id": event_id} | asked))
        for item in self.account.rooms[room_id]["log"]:
            if item["event"]["event_id"] == event_id:
                start, end = (f"cd{item['depth']}_{at}" for at in (item["at"], item["at"] + 1))
                body = {"event": self.account.copy(room_id, event_id), "start": start, "end": end}
                return self._sent(answer(json.dumps(body).encode()))
        raise ServerError("M_NOT_FOUND: no such event", status=404, errcode="M_NOT_FOUND")

    def joined_rooms(self) -> list[str]:
        self._sent(answer(b""))
        return super().joined_rooms()

    def upload_filter(self, user_id: str, definition: Mapping[str, Any]) -> str:
        self._sent(answer(b""))
        return super().upload_filter(user_id, definition)

    def between(self, room_id: str, walk: str, since: str | None) -> set[str]:
        """The events that lie between two tokens, whatever the server's habits."""
        page = messages(self.account, room_id, _plain(walk), since, len(self.account.rooms[room_id]["log"]))
        return {event["event_id"] for event in page["chunk"]}

    def _sent(self, said: Answer) -> Answer:
        fault = self.faults.popleft() if self.faults else None
        if fault == CUT:
            return answer(bytes(said.body[: len(said.body) // 2]))
        if fault is not None:
            raise FAULTS[fault]()
        return said

    def _refused(self, token: str) -> bool:
        if self.habits.refuses == "next_batch":
            return token[0] == "s"
        return self.habits.refuses == "sync" and token[0] not in "pc"

    def _page(self, room_id: str, from_: str, to: str | None, limit: int) -> Json:
        if len(from_) - len(from_.rstrip("+")) < self.habits.hops:
            return {"start": from_, "chunk": [], "end": f"{from_}+"}
        page = messages(self.account, room_id, _plain(from_), to, limit, self.ending)
        if not page["chunk"]:
            return page | ({"end": from_} if "end" in page else {})
        if self.habits.loose:
            place = page["end"].partition("~")[2]
            page["end"] = f"pd{place}~{place}"
        last = not messages(self.account, room_id, page["end"], to, 1, self.ending)["chunk"]
        if self.habits.names_to and self.ending != "deaf" and to is not None and last:
            page["end"] = to
        if self.habits.repeats:
            page["chunk"] = [*self._ended_with(room_id, from_), *page["chunk"], page["chunk"][0]]
        return page

    def _ended_with(self, room_id: str, from_: str) -> list[Json]:
        """The last event of the page that gave this token, if one did."""
        _, _, place = _plain(from_).partition("~")
        log = self.account.rooms[room_id]["log"]
        found = [item["event"]["event_id"] for item in log if f"{item['depth']}_{item['at']}" == place]
        return [self.account.copy(room_id, one) for one in found]


def _plain(token: str) -> str:
    return token.removeprefix("c").rstrip("+")

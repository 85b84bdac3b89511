"""A machine of sending: requests that are lost before or after the server acted, servers that forget transaction ids,
limited syncs, absences and crashes, in any order. In the end everything is there once, in the order it was said.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from syncstore import Syncer, SyncStore
from syncstore.errors import OutboxError, RateLimitedError, RemoteError, ServerError, UnreachableError
from tests.account.events import ME, OTHERS, Json
from tests.account.server import Account
from tests.sync.fake import Modelled

from .profile import effort

# What may happen to a request: never sent, lost on the way there or back, refused for now, answered; or the
# client dies before or after the server has acted.
FATES = ("unsent", "lost", "lost_after", "later", "die", "die_after", "answered", "answered", "answered")
TWO_HOURS = "UPDATE outgoing SET attempted_at = attempted_at - 7200000"


class Died(BaseException):
    """The client is gone, and nothing of it runs any more."""


class Talking(Modelled):
    """The model server, which takes what is sent once per transaction id, for as long as it remembers that."""

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self.remembers: dict[str, str] = {}
        self.fates: list[str] = []

    def send_event(self, room_id: str, type: str, transaction_id: str, content: Mapping[str, Any]) -> str:
        return self._take(room_id, type, dict(content), transaction_id)

    def send_state(self, room_id: str, type: str, state_key: str, content: Mapping[str, Any]) -> str:
        return self._take(room_id, type, dict(content), None, state_key)

    def redact(self, room_id: str, event_id: str, transaction_id: str, content: Mapping[str, Any]) -> str:
        redaction_id = self._take(room_id, "m.room.redaction", {"redacts": event_id}, transaction_id)
        self.account.rooms[room_id]["redacted"].setdefault(event_id, redaction_id)
        return redaction_id

    def _take(self, room_id: str, type: str, content: Json, transaction: str | None, key: str | None = None) -> str:
        fate = self.fates.pop() if self.fates else "answered"
        if fate in ("unsent", "lost"):
            raise UnreachableError(fate, sent=fate == "lost")
        if fate == "die":
            raise Died
        if fate == "later":
            raise RateLimitedError("429")
        event_id = self.remembers.get(transaction or "")
        if event_id is None:
            if not self.account.joined(room_id, ME):
                raise ServerError("403", status=403, errcode="M_FORBIDDEN")
            event = self.account._event(room_id, ME, type, content, key)
            event_id = str(event["event_id"])
            if transaction is not None:
                event["unsigned"]["transaction_id"] = transaction
                self.remembers[transaction] = event_id
            if type == "m.room.redaction":
                event["redacts"] = content["redacts"]
        if fate == "lost_after":
            raise UnreachableError("the answer was cut off")
        if fate == "die_after":
            raise Died
        return event_id


class OutboxMachine(RuleBasedStateMachine):
    """One room, one store; `said` is what must be there in the end, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "me.db"
        self.account = Account()
        self.room_id = self.account.create()
        self.account.move(self.room_id, "join")
        self.server = Talking(self.account)
        self.store = SyncStore.open(self.path, user_id=ME)
        self.said: list[str] = []
        self.parked: set[str] = set()
        self.cancelled: set[str] = set()
        self.sync()

    @property
    def syncer(self) -> Syncer:
        return Syncer(self.server.face(), self.store)

    # -- what a person does

    @rule(number=st.integers(1, 3))
    def say(self, number: int) -> None:
        for _ in range(number):
            text = f"text {len(self.said)}"
            self.store.room(self.room_id).send_text(text)
            self.said.append(text)

    @rule()
    def set_topic(self) -> None:
        text = f"topic {len(self.said)}"
        self.store.room(self.room_id).send_state("m.room.topic", {"topic": text})
        self.said.append(text)

    @rule(nth=st.integers(0, 3), what=st.sampled_from(["edit", "react", "redact", "cancel"]))
    def about_one(self, nth: int, what: str) -> None:
        """Something about what is on its way, whether it has an id or not."""
        pending = [
            one for one in self.store.outbox() if one.type == "m.room.message" and "m.relates_to" not in one.content
        ]
        if not pending:
            return
        one, room = pending[-1 - nth % len(pending)], self.store.room(self.room_id)
        if what == "edit":
            room.edit(one.transaction_id, {"msgtype": "m.text", "body": "edited"})
        elif what == "react":
            room.react(one.transaction_id, "+")
        elif what == "redact" and room.redact(one.transaction_id) is None:
            self.cancelled.add(str(one.content["body"]))
        elif what == "redact":
            self.cancelled.add(str(one.content["body"]))  # its text is gone, its event is not
        else:
            with suppress(OutboxError):
                self.store.cancel(one.transaction_id)
                self.cancelled.add(str(one.content["body"]))

    # -- what the network and the server do

    @rule(fates=st.lists(st.sampled_from(FATES), max_size=4))
    def flush(self, fates: list[str]) -> None:
        self.server.fates = fates
        try:
            self.syncer.flush()
        except RemoteError:
            pass
        except Died:
            self.reopen()
        self.server.fates = []

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = SyncStore.open(self.path)

    @rule(number=st.integers(1, 6))
    def others_talk(self, number: int) -> None:
        """More than three make the next sync limited."""
        for _ in range(number):
            self.account.send(self.room_id, OTHERS[0])

    @rule()
    def sync(self) -> None:
        self.syncer.run_once()

    @rule()
    def fill(self) -> None:
        self.syncer.backfill_all(budget=2, limit=3)

    @rule()
    def forget_transactions(self) -> None:
        """Hours pass, and the server no longer knows what it took under which id."""
        self.server.remembers.clear()
        with closing(sqlite3.connect(self.path)) as db:
            db.execute(TWO_HOURS)
            db.commit()

    @rule(membership=st.sampled_from(["leave", "join"]))
    def move(self, membership: str) -> None:
        self.account.move(self.room_id, membership)

    # -- the end

    def teardown(self) -> None:
        try:
            self._settle()
            self._compare()
        finally:
            self.store.close()
            shutil.rmtree(self.folder)

    def _settle(self) -> None:
        """Everything works from now on."""
        self.account.move(self.room_id, "join")
        for _ in range(20):
            self.syncer.run_once()
            for one in self.store.outbox():
                if one.state == "parked":
                    self.parked.add(str(one.content.get("body") or one.content.get("topic")))
                    self.store.retry(one.transaction_id)
            self.syncer.flush()
            self.syncer.run_once()
            self.syncer.backfill_all(budget=100)
            if not self.store.outbox():
                return
        raise AssertionError(f"left: {self.store.outbox()}")

    def _compare(self) -> None:
        log = [item["event"] for item in self.account.rooms[self.room_id]["log"]]
        ours = [one for one in log if one["sender"] == ME and one["type"] in ("m.room.message", "m.room.topic")]
        texts = [
            one["content"].get("topic") or one["content"]["body"]
            for one in ours
            if "m.relates_to" not in one["content"]
        ]
        assert len(texts) == len(set(texts)), "something was sent twice"
        assert set(texts) >= set(self.said) - self.cancelled, "something was not sent"
        unparked = [text for text in texts if text not in self.parked]
        assert unparked == [text for text in self.said if text in unparked], "the order is another one"
        known = {one["event_id"] for one in log}
        for one in log:
            relation = one["content"].get("m.relates_to")
            assert relation is None or relation["event_id"] in known, "it relates to nothing"
        stored = self.store.room(self.room_id).timeline(1000).items
        assert known - {getattr(item, "event_id", None) for item in stored} <= before_our_join(log)
        assert self.store.check() == []


def before_our_join(log: list[Json]) -> set[str]:
    """What the start gap may still hold."""
    joined = next(at for at, one in enumerate(log) if one.get("state_key") == ME)
    return {one["event_id"] for one in log[:joined]}


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = effort(60, steps=25)

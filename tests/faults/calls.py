"""Everything that writes to a store, each as one call over the same file, to be cut short and then made again."""

from __future__ import annotations

import itertools
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal
from unittest import mock

from syncstore import SyncStore
from syncstore.errors import StoreError
from syncstore.model.outgoing import Attempt
from syncstore.store import sending
from tests.store import rich
from tests.store.bodies import (
    ANN,
    BOB,
    ME,
    OTHER,
    ROOM,
    Body,
    create,
    event,
    member,
    message,
    name,
    page,
    redaction,
    topic,
)
from tests.store.conftest import Feed
from tests.store.test_format import TO_FORMAT_1

from .kill import remove
from .world import dump, unlike

Call = Callable[[SyncStore], object]
SECRET = "!secret:example.org"


class Countdown:
    """What fails after so many steps, once it is armed."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.failed = False

    def arm(self, steps: int) -> None:
        self.left, self.failed = steps, False

    def disarm(self) -> bool:
        """No more of it; whether anything has failed."""
        self.left = None
        return self.failed


_EVERYBODY = [member("$me", ME, "join"), member("$ann2", ANN, "join", "Anna"), member("$bob", BOB, "join")]


def _page(store: SyncStore) -> object:
    older = [message("$old2"), redaction("$r0", "$m1"), message("$old1")]
    done = store.apply_page(store.room(ROOM).gaps()[0], "s1", page(*older, end="p0"))
    assert not done.discarded
    return done


def _context(store: SyncStore) -> None:
    run = {"event": message("$far", origin_server_ts=5), "events_before": [message("$further", origin_server_ts=4)]}
    store.apply_context(ROOM, json.dumps(run | {"start": "i1", "end": "i2"}).encode())


def _restate(store: SyncStore) -> None:
    assert store.restate(ROOM, json.dumps([create(), *_EVERYBODY, topic("$t9", "New")]).encode(), asked_under="s1")


def _lease(store: SyncStore) -> None:
    with store.lease_gap(store.gaps()[0], 60) as row:
        assert row is not None


@contextmanager
def _id(transaction_id: str) -> Iterator[None]:
    """What is queued inside goes under this id, each time."""
    with mock.patch("secrets.token_urlsafe", return_value=transaction_id):
        yield


def _send(store: SyncStore) -> None:
    with _id("t2"):
        store.room(ROOM).react("$m1", "+")


def _begun(store: SyncStore) -> Attempt:
    """What the base has begun to send."""
    with store._connections.read() as cursor:
        row = cursor.execute(sending.NEXT, (ROOM,)).fetchone()
    return Attempt._make((*row[:9], *row[10:12], False, False))


def _consume(store: SyncStore) -> None:
    with store.consume("bot"):
        pass


# `sync` has to-device messages (promise 4) and redactions; each of the others is a transaction of another kind.
CALLS: dict[str, Call] = {
    "sync": lambda store: store.apply(rich.second(Body("s2")).done(), since="s1", held="s1"),
    "poll": lambda store: store.apply(b'{"next_batch": "s2"}', since="s1", held="s1"),
    "snapshot": lambda store: store.apply(Body("s2").join(ROOM, name("$n2", "x")).done(), since=None, held="s1"),
    "page": _page,
    "context": _context,
    "members": lambda store: store.apply_members(ROOM, json.dumps({"chunk": _EVERYBODY}).encode(), asked_at=store.seq),
    "restate": _restate,
    "forget": lambda store: store.forget(ROOM),
    "rebind": lambda store: store.rebind("DEVICE"),
    "bind": lambda store: store.bind("https://example.org"),
    "keep_filter": lambda store: store.keep_filter("{}", "f1"),
    "drop_filter": lambda store: store.drop_filter("f0"),
    "mark_left": lambda store: store.mark_left(OTHER),
    "walk_again": lambda store: store.walk_again(ROOM),
    "give_up": lambda store: store.give_up_gap(store.gaps()[0], "no such room"),
    "retry": lambda store: store.retry_gap(store.gaps()[0], "s1", "s0"),
    "lease": _lease,
    "renew": lambda store: store.renew_gap(store.gaps()[0], "s1", b'{"start": "s0", "chunk": []}'),
    "copies": lambda store: store.apply_copies(ROOM, page(message("$m1", unsigned={"redacted_because": {}}))),
    "prune": lambda store: store.prune(ROOM, keep=1),
    "send": _send,
    "draft": lambda store: store.room(ROOM).set_draft({"body": "not yet"}),
    "cancel": lambda store: store.cancel("t0"),
    "begin": lambda store: store.next_to_send(OTHER),
    "sent": lambda store: store.mark_sent(_begun(store), "$sent"),
    "rejected": lambda store: store.mark_rejected(_begun(store), "no"),
    "failed": lambda store: store.mark_failed(_begun(store), "no answer", known=False),
    "ack": lambda store: store.ack([one.id for one in store.to_device("olm")], "olm"),
    "ack lists": lambda store: store.ack_device_lists(store.device_lists("olm"), "olm"),
    "consume": _consume,
    "forget consumer": lambda store: store.forget_consumer("olm"),
    "decrypted": lambda store: store.attach_decrypted(SECRET, "$enc", "m.room.message", {"body": "quiet"}),
}


def _furnish(store: SyncStore) -> None:
    """Something of all that the calls are about."""
    _consume(store)
    body = rich.first(Body("s1")).join(SECRET, event("$enc", "m.room.encrypted", {"session_id": "s"}), state=[create()])
    Feed(store).take(body.to_device({"n": 1}).key("device_lists", {"changed": [ANN]}))
    store.keep_filter("{old}", "f0")
    store.to_device("olm")
    store.device_lists("olm")
    with _id("t0"):
        store.room(OTHER).send_text("queued")
    with _id("t1"):
        store.room(ROOM).send_text("begun")
    assert store.next_to_send(ROOM)


class Bench:
    """A folder with a file to begin from, of today's format, with a search index, of the first format, or with none.

    `errors`: what was told.
    """

    def __init__(self, folder: Path, base: Literal["today", "searched", "old", "none"] = "today") -> None:
        folder.mkdir(exist_ok=True)
        self.path = folder / "me.db"
        self.errors: list[StoreError] = []
        self._base = folder / "base.db"
        if base != "none":
            with SyncStore.open(self._base, user_id=ME) as store:
                _furnish(store)
                if base == "searched":
                    store.search("hello")
        if base == "old":
            with closing(sqlite3.connect(self._base)) as db:
                for statement in TO_FORMAT_1:
                    db.execute(statement)
                db.commit()
        self.before = dump(self._base)

    def fresh(self) -> Path:
        """The file as it was, and nothing beside it."""
        remove(self.path)
        if self._base.exists():
            shutil.copy(self._base, self.path)
        return self.path

    def open(self) -> SyncStore:
        return SyncStore.open(self.path, user_id=ME)

    def cut(self, call: Call, arm: Callable[[int], None], disarm: Callable[[], bool]) -> int:
        """Make the call again and again, each time with a failure one step later, until it has no more steps.

        arm: fail after so many steps from now on. disarm: fail no more; whether anything failed. What fails must leave
        the file as it was and name it, and the same call must then do what it does undisturbed. Returns the failures.
        """
        self.fresh()
        with self.open() as store:
            call(store)
        after = dump(self.path)
        assert after != self.before or call is _lease
        for steps in itertools.count():
            self.fresh()
            with self.open() as store:
                arm(steps)
                failed = self.told(lambda: call(store))
                if not disarm():
                    return steps
                if failed:
                    assert (found := dump(self.path)) == self.before, f"step {steps}: {unlike(self.before, found)}"
                    call(store)
                assert (found := dump(self.path)) == after, f"step {steps}: {unlike(after, found)}"
                assert store.check() == []
        raise AssertionError

    def cut_opening(self, arm: Callable[[int], None], disarm: Callable[[], bool], stride: int = 1) -> int:
        """The same for opening a file that must be made or upgraded, at each `stride`th step."""
        self.fresh()
        self.open().close()
        after = dump(self.path)
        for steps in itertools.count(0, stride):
            self.fresh()
            arm(steps)
            failed = self.told(lambda: self.open().close())
            if not disarm():
                return steps // stride
            # What is looked at once the file is up to date may fail too.
            assert dump(self.path) in ((self.before, after) if failed else (after,)), f"step {steps}"
            with self.open() as store:
                assert store.check() == []
            assert (found := dump(self.path)) == after, f"step {steps}: {unlike(after, found)}"
        raise AssertionError

    def told(self, call: Callable[[], object]) -> bool:
        """Whether it failed, as a failure of this file."""
        try:
            call()
        except StoreError as error:
            assert str(self.path) in str(error)
            self.errors.append(error)
            return True
        return False

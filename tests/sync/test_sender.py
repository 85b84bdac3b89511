"""Sending: in order, each thing once, and what the server says of it."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from syncstore import Homeserver, Syncer, SyncStore
from syncstore.errors import RateLimitedError, RemoteError, ServerError, UnknownTokenError, UnreachableError
from syncstore.model.filters import default_filter
from tests.net.fake import Fake, Reply, Seen, answer
from tests.store.bodies import ME, OTHER, ROOM, Body, create, member, message, page
from tests.sync.fake import Scripted

HOUR_AGO = "UPDATE outgoing SET attempted_at = attempted_at - 4000000"


@pytest.fixture
def syncer(server: Scripted, store: SyncStore) -> Syncer:
    store.keep_filter(json.dumps(default_filter(), sort_keys=True), "f1")
    return Syncer(server.face(), store)


@pytest.fixture
def joined(store: SyncStore) -> SyncStore:
    """A store of two rooms that we are in."""
    body = Body("s1")
    for room_id in (ROOM, OTHER):
        body.join(room_id, message(f"$a{room_id}"), state=[create(), member("$me", ME, "join")])
    store.apply(body.done())
    return store


def refused(status: int, errcode: str | None) -> ServerError:
    return ServerError(f"PUT …: {status} {errcode}", status=status, errcode=errcode)


def states(store: SyncStore) -> list[tuple[str, str | None]]:
    return [(one.state, one.event_id) for one in store.outbox()]


def test_p37_a_flush_sends_in_order_under_the_stored_ids(joined: SyncStore, server: Scripted, syncer: Syncer) -> None:
    queued = [joined.room(ROOM).send_text("one"), joined.room(ROOM).send_state("m.room.topic", {"topic": "two"})]
    queued += [joined.room(ROOM).send_text("three")]
    redacting, other = joined.room(ROOM).redact("$a!"), joined.room(OTHER).send_text("elsewhere")
    assert redacting is not None
    joined.room(ROOM).mark_read("$a!")
    server.will("send", b"$1", b"$2", b"$3", b"$4", b"", b"$5")
    flushed = syncer.flush()
    assert (flushed.sent, flushed.parked) == (6, 0)
    asked = server.asked("send")
    assert [one.get("transaction_id") for one in asked] == [
        queued[0].transaction_id,
        None,
        queued[2].transaction_id,
        redacting.transaction_id,
        None,
        other.transaction_id,
    ]
    assert asked[3]["redacts"] == asked[4]["event_id"] == "$a!"
    assert states(joined) == [("sent", f"${n}") for n in range(1, 6)]
    assert syncer.flush().sent == 0


def test_p37_what_the_server_refuses_is_parked_and_the_rest_goes_on(
    joined: SyncStore, server: Scripted, syncer: Syncer
) -> None:
    for text in ("forbidden", "large", "fine"):
        joined.room(ROOM).send_text(text)
    server.will("send", refused(403, "M_FORBIDDEN"), refused(413, None), b"$3")
    flushed = syncer.flush()
    assert (flushed.sent, flushed.parked) == (1, 2)
    assert states(joined) == [("parked", None), ("parked", None), ("sent", "$3")]
    first = joined.outbox()[0]
    assert first.reason == "PUT …: 403 M_FORBIDDEN"
    joined.retry(first.transaction_id)
    server.will("send", b"$1")
    assert syncer.flush().sent == 1
    assert [one["transaction_id"] for one in server.asked("send")].count(first.transaction_id) == 2
    joined.cancel(joined.outbox()[1].transaction_id)
    assert states(joined) == [("sent", "$1"), ("sent", "$3")]


@pytest.mark.parametrize(
    ("failure", "state"),
    [
        (UnreachableError("refused", sent=False), "queued"),
        (UnreachableError("cut", sent=True), "sending"),
        (RateLimitedError("429", retry_after=9), "queued"),
        (UnknownTokenError("401"), "queued"),
        (refused(502, None), "sending"),
        (refused(403, None), "sending"),  # a proxy's
        (refused(308, None), "queued"),
    ],
)
def test_p37_what_fails_is_sent_again_later_under_the_same_id(
    joined: SyncStore, server: Scripted, syncer: Syncer, failure: RemoteError, state: str
) -> None:
    queued = joined.room(ROOM).send_text("one")
    joined.room(ROOM).send_text("two")
    server.will("send", failure)
    with pytest.raises(type(failure)):
        syncer.flush()
    assert states(joined) == [(state, None), ("queued", None)]
    assert joined.outbox()[0].reason == str(failure)
    server.will("send", b"$1", b"$2")
    assert syncer.flush().sent == 2
    assert [one["transaction_id"] for one in server.asked("send")[:2]] == [queued.transaction_id] * 2


def test_p37_a_room_whose_send_fails_does_not_stop_the_others(
    joined: SyncStore, server: Scripted, syncer: Syncer
) -> None:
    joined.room(ROOM).send_text("poison"), joined.room(ROOM).send_text("after"), joined.room(OTHER).send_text("fine")
    server.will("send", refused(500, "M_UNKNOWN"), b"$1")
    with pytest.raises(ServerError):
        syncer.flush()
    assert states(joined) == [("sending", None), ("queued", None), ("sent", "$1")]


def test_p37_a_doubtful_send_is_not_repeated_once_its_echo_lies_in_a_gap(
    joined: SyncStore, server: Scripted, syncer: Syncer, path: Path
) -> None:
    queued = joined.room(ROOM).send_text("one")
    server.will("send", UnreachableError("cut"))
    with pytest.raises(UnreachableError):
        syncer.flush()
    with sqlite3.connect(path) as db:
        db.execute(HOUR_AGO)
    echo = message("$1", "one", sender=ME, unsigned={"transaction_id": queued.transaction_id})
    server.will("sync", Body("s2").join(ROOM, message("$z"), limited=True, prev_batch="p1"))
    server.will("messages", page(message("$y"), end="p2"), page(echo, end="s1"))
    assert syncer.flush().sent == 0
    assert (joined.outbox(), len(server.asked("send"))) == ([], 1)


def test_p37_a_doubtful_send_is_repeated_once_its_absence_is_proven(
    joined: SyncStore, server: Scripted, syncer: Syncer, path: Path
) -> None:
    queued = joined.room(ROOM).send_text("one")
    server.will("send", UnreachableError("cut"), b"$1")
    with pytest.raises(UnreachableError):
        syncer.flush()
    with sqlite3.connect(path) as db:
        db.execute(HOUR_AGO)
    server.will("sync", Body("s2").join(ROOM, message("$z"), limited=True, prev_batch="p1"))
    server.will("messages", page(message("$y"), end="s1"))
    assert syncer.flush().sent == 1
    assert [one["transaction_id"] for one in server.asked("send")] == [queued.transaction_id] * 2


def test_p37_a_killed_sender_s_lease_counts_for_nothing(
    joined: SyncStore, server: Scripted, syncer: Syncer, path: Path
) -> None:
    queued = joined.room(ROOM).send_text("one")
    script = (
        "import os, sys; from syncstore import SyncStore; store = SyncStore.open(sys.argv[1]);"
        f"held = store.lease('outbox', 600); held.__enter__(); store.next_to_send({ROOM!r}); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", script, path], check=False).returncode == -9
    assert joined.outbox()[0].state == "sending"
    server.will("send", b"$1")
    assert syncer.flush().sent == 1
    assert server.asked("send")[0]["transaction_id"] == queued.transaction_id


def test_p37_while_one_sends_no_other_does(joined: SyncStore, server: Scripted, syncer: Syncer, path: Path) -> None:
    joined.room(ROOM).send_text("one")
    with SyncStore.open(path) as other, other.lease("outbox", 60) as held:
        assert held
        assert syncer.flush().sent == 0
    assert server.asked("send") == []


def test_p37_run_forever_sends_while_it_waits_for_the_server(path: Path, store: SyncStore) -> None:
    """What is queued, here or by another process, does not wait for the end of a long poll."""
    stop, sent, fake = threading.Event(), threading.Event(), Fake()
    first = Body("s1").join(ROOM, message("$a"), state=[create(), member("$me", ME, "join")])

    def reply(seen: Seen) -> Reply:
        if seen.path.endswith("/filter"):
            return answer({"filter_id": "f"})
        if seen.method == "PUT":
            return replace(answer({"event_id": "$1"}), after=sent.set)
        if "since" not in seen.query:
            return answer(first.json)
        return replace(answer({"next_batch": "s2"}), before=lambda: stop.wait(20))

    fake.choose(reply)
    syncer = Syncer(Homeserver(fake.url, access_token="t"), store)
    thread = threading.Thread(target=syncer.run_forever, args=(stop,))
    thread.start()
    try:
        assert store.wait(0, 10) is not None
        with SyncStore.open(path) as other:
            other.room(ROOM).send_text("one")
        assert sent.wait(10)
        assert syncer.connection.state == "online"
    finally:
        stop.set()
        thread.join()
        fake.close()


def test_the_connection_says_when_the_server_is_gone(store: SyncStore) -> None:
    stop = threading.Event()
    syncer = Syncer(Homeserver("http://127.0.0.1:9", access_token="t"), store)
    thread = threading.Thread(target=syncer.run_forever, args=(stop,))
    thread.start()
    until = time.monotonic() + 10
    while syncer.connection.state != "offline" and time.monotonic() < until:
        time.sleep(0.01)
    found = syncer.connection
    stop.set()
    thread.join()
    assert (found.state, "connection refused" in (found.error or "")) == ("offline", True)
    assert found.seconds is not None and found.seconds > 0
    assert syncer.connection.state == "stopped"

"""Sending over a wire that breaks, to a server that stops, from a process that is killed: everything once, in order."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from examples.lab import Event, Synapse, User
from syncstore import Event as StoredEvent
from syncstore import Homeserver, Syncer, SyncStore
from tests.conftest import Counted

from .cable import Cable
from .sleeper import Scene, history
from .stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]

ROOT = Path(__file__).parents[2]
EACH = 25  # messages of each client
PATIENCE = 120.0  # seconds


def texts(events: list[Event], who: User) -> list[str]:
    """What somebody said in plain messages, in the server's order."""
    said = (one for one in events if one["type"] == "m.room.message" and one["sender"] == who.user_id)
    return [str(one["content"].get("body")) for one in said if "m.relates_to" not in one["content"]]


class Client:
    """One account behind a cable of its own, synced and sent for in a thread."""

    def __init__(self, user: User, path: Path, seed: int) -> None:
        self.user = user
        self.cable = Cable(user.base_url, seed)
        self.store = SyncStore.open(path, user_id=user.user_id, device_id=user.device_id)
        self._server = Homeserver(self.cable.url, access_token=user.access_token)
        self.syncer = Syncer(self._server, self.store, timeout=1000)

    def has_sent(self) -> bool:
        """What was taken by the server may still lie in a gap."""
        return all(one.state == "sent" for one in self.store.outbox())

    @contextmanager
    def running(self) -> Iterator[Client]:
        stop = threading.Event()
        thread = threading.Thread(target=self.syncer.run_forever, args=(stop,))
        with self.cable:
            self.syncer.run_once()
            thread.start()
            try:
                yield self
            finally:
                stop.set()
                thread.join()
                self._server.close()
                self.store.close()


def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"{what} did not happen in {PATIENCE:.0f} s"
        time.sleep(0.1)


def stored(client: Client, room_id: str) -> list[str]:
    """The whole timeline, its gaps filled, the oldest first."""
    client.syncer.run_once()
    client.syncer.backfill_all(budget=100)
    found: list[str] = []
    before: str | None = None
    while True:
        page = client.store.room(room_id).timeline(100, before=before)
        events = [item for item in page.items if isinstance(item, StoredEvent)]
        assert len(events) == len(page.items), "a gap is left"
        found += [event.event_id for event in events]
        if page.older is None:
            return found[::-1]
        before = page.older


def test_p37_two_who_write_over_wires_that_break_and_a_server_that_stops(
    stage: Stage, synapse: Synapse, tmp_path: Path, counted: Counted
) -> None:
    seed = random.randrange(1 << 30)
    draw, scene = random.Random(seed), Scene(stage.alice, stage.bob)
    people = (stage.alice, stage.bob)
    clients = [Client(user, tmp_path / f"{n}.db", seed + n) for n, user in enumerate(people)]
    with ExitStack() as stack:
        for client in clients:
            stack.enter_context(client.running())
            client.cable.breaking = True
        for number in range(EACH):
            for client in draw.sample(clients, 2):
                client.store.room(scene.id).send_text(f"{client.user.user_id} {number}")
                time.sleep(draw.random() * 0.1)
            if number == EACH // 2:
                synapse.stop()
            if number == EACH * 3 // 4:
                synapse.start()
        until(lambda: all(client.cable.broken > 3 for client in clients), "a break of each wire")
        for client in clients:
            client.cable.breaking = False
        until(lambda: all(client.has_sent() for client in clients), f"that everything is sent (seed {seed})")
        said = history(stage.alice, scene.id)
        for client in clients:
            assert texts(said, client.user) == [f"{client.user.user_id} {n}" for n in range(EACH)], f"seed {seed}"
            assert sorted(stored(client, scene.id)) == sorted(one["event_id"] for one in said), f"seed {seed}"
            assert client.store.outbox() == [], f"seed {seed}"
        counted(sum(client.cable.broken for client in clients), "breaks of the wire while two clients write")


def test_p37_a_flush_that_is_killed_sends_everything_once(stage: Stage, tmp_path: Path, counted: Counted) -> None:
    seed = random.randrange(1 << 30)
    draw, scene, path = random.Random(seed), Scene(stage.alice, stage.bob), tmp_path / "alice.db"
    alice = stage.alice
    with Cable(alice.base_url, seed) as cable:
        with SyncStore.open(path, user_id=alice.user_id, device_id=alice.device_id) as store:
            Syncer(Homeserver(cable.url, access_token=alice.access_token), store).run_once()
            for number in range(EACH):
                store.room(scene.id).send_text(str(number))
            store.room(scene.id).send_state("m.room.topic", {"topic": "at the end"})
        kills = 0
        while pending(path):
            child = subprocess.Popen(
                [sys.executable, "-m", "tests.e2e.flusher", path, cable.url], stdin=subprocess.PIPE, text=True, cwd=ROOT
            )
            assert child.stdin is not None
            child.stdin.write(alice.access_token)
            child.stdin.close()
            try:
                # The first requests come after about half a second of imports.
                child.wait(0.5 + draw.random() if kills < 8 else PATIENCE)
            except subprocess.TimeoutExpired:
                child.kill()
                kills += 1
            child.wait()
    said = history(alice, scene.id)
    assert texts(said, alice) == [str(n) for n in range(EACH)], f"seed {seed}"
    topics = [one for one in said if one["type"] == "m.room.topic"]
    assert [one["content"] for one in topics] == [{"topic": "at the end"}]
    counted(kills, "kills of a process that sends")


def pending(path: Path) -> bool:
    with SyncStore.open(path, read_only=True) as store:
        return any(one.state in ("queued", "sending") for one in store.outbox())


@pytest.mark.sample
def test_p37_what_is_said_by_every_verb_comes_back(stage: Stage, tmp_path: Path) -> None:
    """Each kind is taken by a real server, and its echo empties the outbox."""
    scene = Scene(stage.alice, stage.bob)
    theirs = scene.say(who=stage.bob)
    alice = stage.alice
    with SyncStore.open(tmp_path / "alice.db", user_id=alice.user_id, device_id=alice.device_id) as store:
        syncer = Syncer(Homeserver(alice.base_url, access_token=alice.access_token), store)
        syncer.run_once()
        room = store.room(scene.id)
        first = room.send_text("one", reply_to=theirs)
        room.edit(first.transaction_id, {"msgtype": "m.text", "body": "won"})
        room.react(theirs, "👍")
        room.send_state("m.room.topic", {"topic": "set offline"})
        second = room.send_text("two")
        room.mark_read(theirs)
        assert syncer.flush().sent == 6
        redacting = room.redact(second.transaction_id, "typo")
        assert redacting is not None
        syncer.flush()
        syncer.run_once()
        assert store.outbox() == []
        (edited,) = room.replies(theirs)
        assert (edited.edited or {}).get("body") == "won"
        assert room.reactions(theirs)[0].senders.keys() == {alice.user_id}
        topic = room.state("m.room.topic")
        assert topic is not None and topic.content == {"topic": "set offline"}
        assert [one for one in room.timeline().items if isinstance(one, StoredEvent) and one.redacted_by]
        own = room.read_up_to(alice.user_id)
        assert own is not None and own.event_id == theirs


@pytest.mark.parametrize("how", ["leave", "kick"])
def test_p37_a_send_into_a_room_that_we_are_out_of_waits_for_the_return(stage: Stage, tmp_path: Path, how: str) -> None:
    scene, alice = Scene(stage.bob, stage.alice), stage.alice
    with SyncStore.open(tmp_path / "alice.db", user_id=alice.user_id, device_id=alice.device_id) as store:
        syncer = Syncer(Homeserver(alice.base_url, access_token=alice.access_token), store)
        syncer.run_once()
        store.room(scene.id).send_text("before we knew")
        if how == "leave":
            alice.leave(scene.id)
        else:
            stage.bob.kick(scene.id, alice.user_id)
        assert syncer.flush().parked == 1  # the server says 403 before a sync says why
        syncer.run_once()
        waits = store.room(scene.id).send_text("while out")
        store.retry(store.outbox()[0].transaction_id)
        assert (syncer.flush().sent, len(store.outbox())) == (0, 2)
        alice.join(scene.id)
        syncer.run_once()
        assert syncer.flush().sent == 2
        syncer.run_once()
        assert store.outbox() == []
        newest = store.room(scene.id).timeline(1).items[0]
        assert isinstance(newest, StoredEvent) and newest.content == waits.content

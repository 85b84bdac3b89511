"""Drift as a real server makes it: found, told, mended (promise 22)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from examples import lab
from syncstore import Homeserver, Syncer, SyncStore
from syncstore.model.records import Drift

from .sleeper import Admin, Scene, Sleeper, history_ids
from .stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]


@pytest.fixture
def people(stage: Stage, request: pytest.FixtureRequest) -> tuple[lab.User, lab.User, lab.User]:
    """Two who talk and one who watches, new for each test."""
    name = request.node.name.removeprefix("test_p22_").replace("_", "-")[:30]
    ann, bob, watcher = (lab.register(stage.base_url, f"{name}-{one}") for one in ("ann", "bob", "watcher"))
    return ann, bob, watcher


def verify(sleeper: Sleeper, *, repair: bool = False) -> list[Drift]:
    return Syncer(sleeper.server, sleeper.store).verify(repair=repair)


def test_p22_a_store_that_kept_up_has_no_drift(people: tuple[lab.User, lab.User, lab.User], tmp_path: Path) -> None:
    ann, bob, watcher = people
    scene = Scene(ann, bob, watcher)
    with Sleeper(watcher, tmp_path / "a.db") as sleeper:
        for _ in range(3):
            scene.say(4)
            scene.edit(scene.say(), "better")
            scene.redact(scene.say(who=bob))
            scene.topic("one more")
            sleeper.wake()
        scene.say(30)
        assert verify(sleeper) == []
        sleeper.fill()
        assert verify(sleeper) == []


def test_p22_the_events_of_a_user_no_longer_ignored(
    people: tuple[lab.User, lab.User, lab.User], tmp_path: Path
) -> None:
    """They were left out of timelines without a mark; verify walks the room and finds them."""
    ann, bob, watcher = people
    scene = Scene(ann, bob, watcher)
    with Sleeper(watcher, tmp_path / "a.db") as sleeper:
        sleeper.wake()
        sleeper.fill()
        watcher.set_account_data("m.ignored_user_list", {"ignored_users": {bob.user_id: {}}})
        sleeper.wake()
        scene.say(2)
        unseen = scene.say(who=bob)
        scene.say(2)
        sleeper.wake()
        watcher.set_account_data("m.ignored_user_list", {"ignored_users": {}})
        sleeper.wake()
        assert unseen not in sleeper.ids(scene.id) and sleeper.gaps(scene.id) == []
        found = verify(sleeper)
        assert {one.kind for one in found} == {"missing", "suspect"}
        assert all(one.repaired for one in verify(sleeper, repair=True))
        assert set(sleeper.ids(scene.id)) == set(history_ids(watcher, scene.id))
        assert (verify(sleeper), sleeper.gaps(scene.id), sleeper.store.check()) == ([], [], [])


def test_p22_a_room_that_the_administrator_purged(
    stage: Stage, people: tuple[lab.User, lab.User, lab.User], tmp_path: Path
) -> None:
    ann, bob, watcher = people
    scene, other = Scene(ann, bob, watcher), Scene(ann, watcher)
    scene.say(3)
    with Sleeper(watcher, tmp_path / "a.db") as sleeper:
        sleeper.wake()
        Admin(stage.base_url, f"admin-{time.time_ns()}").delete(scene.id)
        sleeper.wake()
        assert sleeper.store.room(scene.id).membership == "join", "a sync told of it after all"
        said = "joined here, not on the server"
        assert [(one.room_id, one.kind, one.detail) for one in verify(sleeper)] == [(scene.id, "membership", said)]
        verify(sleeper, repair=True)
        room = sleeper.store.room(scene.id)
        assert room.membership == "leave" and room.state("m.room.create") is not None
        assert sleeper.store.room(other.id).membership == "join"
        assert verify(sleeper) == []


def test_p22_a_redaction_inside_an_unfilled_gap(people: tuple[lab.User, lab.User, lab.User], tmp_path: Path) -> None:
    """The key did not change, so no sync says that its content is gone."""
    ann, bob, watcher = people
    scene = Scene(ann, bob, watcher)
    secret = scene.topic("a secret")
    said = scene.say(who=bob)
    with Sleeper(watcher, tmp_path / "a.db") as sleeper:
        sleeper.wake()
        scene.redact(secret)
        scene.redact(said)
        scene.say(20)
        sleeper.wake()
        assert sleeper.store.room(scene.id).topic == "a secret"
        assert {one.kind for one in verify(sleeper)} == {"state", "redaction"}
        assert all(one.repaired for one in verify(sleeper, repair=True))
        assert sleeper.store.room(scene.id).topic is None
        assert verify(sleeper) == []


def test_p22_what_a_classic_sync_makes_of_a_fork(people: tuple[lab.User, lab.User, lab.User], tmp_path: Path) -> None:
    """A topic that lost the resolution stays for good under the classic form; verify takes the server's word."""
    ann, bob, watcher = people
    scene = Scene(ann, bob, watcher)
    with SyncStore.open(tmp_path / "a.db", user_id=watcher.user_id, device_id=watcher.device_id) as store:
        store.apply(watcher.sync(), since=None)
        # On the main branch bob is banned; on the other one, without knowing, he sets the topic.
        ann.send_state(scene.id, "m.room.power_levels", {"users": {bob.user_id: 50}})
        base = scene.say()
        ann.ban(scene.id, bob.user_id)
        bob.fork(scene.id, "m.room.topic", {"topic": "bob was here"}, prev_event_ids=[base], state_key="")
        store.apply(watcher.sync(store.token), since=store.token)
        server = Homeserver(watcher.base_url, access_token=watcher.access_token)
        syncer = Syncer(server, store)
        drifted = [one for one in syncer.verify(scene.id) if one.kind == "state"]
        there = {(one["type"], one["state_key"]): one["event_id"] for one in watcher.state(scene.id)}
        assert [one.detail.split(":")[0] for one in drifted] == ["m.room.topic ''"]
        syncer.verify(scene.id, repair=True)
        assert {key: one.event_id for key, one in store.room(scene.id).state_map().items()} == there
        server.close()

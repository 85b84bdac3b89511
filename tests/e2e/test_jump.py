"""Jumping through the history of a real room: islands, days, and the past as it was (promises 21 and 23)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from examples import lab
from syncstore import Event, Gap, Syncer
from syncstore.errors import ServerError

from .sleeper import LIMIT, Scene, Sleeper, differences, disorder
from .stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]


@pytest.fixture
def people(stage: Stage, request: pytest.FixtureRequest) -> tuple[lab.User, lab.User, lab.User]:
    """Two who talk and one who watches, new for each test."""
    name = request.node.originalname.removeprefix("test_").replace("_", "-")[:30]
    number = time.time_ns()
    ann, bob, watcher = (lab.register(stage.base_url, f"{name}-{number}-{one}") for one in ("ann", "bob", "watcher"))
    return ann, bob, watcher


def around(sleeper: Sleeper, room_id: str, event_id: str, limit: int = 9) -> list[str]:
    """The ids around an event, oldest first, gaps as |."""
    items = sleeper.store.room(room_id).timeline(limit, around=event_id).items
    return ["|" if isinstance(item, Gap) else item.event_id for item in reversed(items)]


@pytest.mark.parametrize("limit", [3, 100])
def test_p21_islands_in_several_gaps_are_joined(
    people: tuple[lab.User, lab.User, lab.User], tmp_path: Path, limit: int
) -> None:
    ann, bob, watcher = people
    scene = Scene(ann, bob, watcher)
    with Sleeper(watcher, tmp_path / "a.db") as sleeper:
        for _ in range(3):
            scene.say(30)
            sleeper.wake()
        syncer = Syncer(sleeper.server, sleeper.store)
        before = sleeper.places(scene.id)
        for number in (45, 12, 70, 40):
            target = scene.log[number]
            assert syncer.jump(scene.id, target, limit=4).event_id == target
            shown = around(sleeper, scene.id, target, 3)
            assert shown == scene.log[number - 1 : number + 2]
        assert {gap.kind for gap in sleeper.gaps(scene.id)} == {"start", "limited", "island"}
        sleeper.fill(limit)
        assert differences(sleeper, scene.id) == []
        assert disorder(sleeper, scene) == []
        assert [one for one in sleeper.ids(scene.id) if one in scene.log] == scene.log
        after = sleeper.places(scene.id)
        assert {one: after[one] for one in before} == before


def test_p21_reading_on_from_an_island_in_both_directions(
    people: tuple[lab.User, lab.User, lab.User], tmp_path: Path
) -> None:
    """Upwards by jumping to its newest event, downwards by filling the gap below it."""
    ann, _, watcher = people
    scene = Scene(ann, watcher)
    scene.say(60)
    with Sleeper(watcher, tmp_path / "a.db") as sleeper:
        sleeper.wake()
        syncer = Syncer(sleeper.server, sleeper.store)
        syncer.jump(scene.id, scene.log[25], limit=4)
        syncer.jump(scene.id, scene.log[27], limit=10)
        ids = sleeper.ids(scene.id)
        assert ids[:-LIMIT] == scene.log[22:33]
        island = next(gap for gap in sleeper.gaps(scene.id) if gap.kind == "island")
        while (filled := syncer.backfill(island, limit=10).gap) is not None:
            island = filled
        assert [one for one in sleeper.ids(scene.id) if one in scene.log][:33] == scene.log[:33]
        sleeper.fill()
        assert differences(sleeper, scene.id) == []


def test_p21_going_to_a_day(people: tuple[lab.User, lab.User, lab.User], tmp_path: Path) -> None:
    ann, _, watcher = people
    scene = Scene(ann, watcher)
    scene.say(5)
    time.sleep(0.05)
    moment = int(time.time() * 1000)
    time.sleep(0.05)
    scene.say(40)
    with Sleeper(watcher, tmp_path / "a.db") as sleeper:
        sleeper.wake()
        syncer = Syncer(sleeper.server, sleeper.store)
        assert syncer.jump_to_date(scene.id, moment, limit=6).event_id == scene.log[5]
        assert around(sleeper, scene.id, scene.log[5], 3) == scene.log[4:7]
        assert syncer.jump_to_date(scene.id, moment + 3_600_000).event_id == scene.log[-1]


def test_p21_an_event_that_is_not_there(people: tuple[lab.User, lab.User, lab.User], tmp_path: Path) -> None:
    ann, _, watcher = people
    scene = Scene(ann, watcher)
    with Sleeper(watcher, tmp_path / "a.db") as sleeper:
        sleeper.wake()
        before = sleeper.store.seq
        with pytest.raises(ServerError):
            Syncer(sleeper.server, sleeper.store).jump(scene.id, "$nothing")
        assert sleeper.store.seq == before


def test_p23_the_past_is_what_the_server_s_past_was(
    people: tuple[lab.User, lab.User, lab.User], tmp_path: Path
) -> None:
    """The judge is the order in which the topics were set; before back-fill nothing wrong is claimed."""
    ann, bob, watcher = people
    scene = Scene(ann, bob, watcher)
    truth: dict[str, str | None] = {}
    topic: str | None = None
    with Sleeper(watcher, tmp_path / "a.db") as sleeper:
        for number in range(60):
            if number % 7 == 3:
                topic = scene.topic(f"topic {number}")
                truth[topic] = topic
            else:
                truth[scene.say(who=bob)] = topic
            if number in (20, 23, 50):
                sleeper.wake()
            if number == 30:
                bob.set_display_name("Robert")
        sleeper.wake()
        sleeper.fill(limit=3, pages=4)
        told = _topics(sleeper, scene, truth)
        assert "?" in told.values()
        assert {one: said for one, said in told.items() if said != "?"}.items() <= truth.items()
        sleeper.fill()
        assert _topics(sleeper, scene, truth) == truth
        page = sleeper.store.room(scene.id).timeline(500)
        names = [page.profile(one) for one in page.items if isinstance(one, Event) and one.sender == bob.user_id]
        assert all(one.known for one in names)
        assert (names[0].display_name, names[-1].display_name) == ("Robert", bob.user_id[1:].partition(":")[0])


def _topics(sleeper: Sleeper, scene: Scene, truth: dict[str, str | None]) -> dict[str, str | None]:
    room = sleeper.store.room(scene.id)
    told: dict[str, str | None] = {}
    for event_id in sleeper.ids(scene.id):
        if event_id in truth:
            answer = room.state_at(event_id, "m.room.topic")
            told[event_id] = "?" if not answer.known else answer.event.event_id if answer.event else None
    return told

"""Back-fill against a real server: whatever a client slept through, it has in the end, once, and until then a gap says
where it is missing."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Barrier

import pytest

from examples import lab

from .sleeper import (
    LIMIT,
    Admin,
    Scene,
    Sleeper,
    differences,
    disorder,
    history,
    history_ids,
    misplaced_gaps,
    unannounced,
)

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]

ROOT = Path(__file__).parents[2]
PAGE_SIZES = [1, 7, 100, 1000]


@pytest.fixture(scope="module")
def owner(synapse: lab.Synapse) -> lab.User:
    """Return the one who owns all rooms here."""
    return lab.register(synapse.base_url, "sandman")


@pytest.fixture(scope="module")
def guest(synapse: lab.Synapse) -> lab.User:
    """Return one who comes and goes."""
    return lab.register(synapse.base_url, "guest")


@pytest.fixture(scope="module")
def admin(synapse: lab.Synapse) -> Admin:
    return Admin(synapse.base_url, "admin")


@pytest.fixture
def sleeper(synapse: lab.Synapse, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Sleeper]:
    """Return a client of an account that no other test uses."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name.lower())
    with Sleeper(lab.register(synapse.base_url, name), tmp_path / "sleeper.db") as client:
        yield client


# -- asleep ------------------------------------------------------------------------------------------------------------


_TIMELINE = 10


class Slept:
    """A client that slept often and long, before its back-fill; `hidden` is how many events it lacks."""

    def __init__(self, client: Sleeper, scene: Scene, edited: str) -> None:
        self.client = client
        self.scene = scene
        self.edited = edited
        shown = history_ids(client.user, scene.id)
        self.hidden = len(set(shown) - set(client.ids(scene.id)))


@pytest.fixture(scope="module")
def slept(synapse: lab.Synapse, owner: lab.User, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slept]:
    """Return a client that slept five times, through messages, edits, redactions and changes of state."""
    user = lab.register(synapse.base_url, "sleepyhead")
    with Sleeper(user, tmp_path_factory.mktemp("slept") / "base.db", limit=_TIMELINE) as client:
        scene = Scene(owner, user, topic="before")
        scene.say(_TIMELINE + 5)
        client.wake()
        struck, edited = scene.log[-2:]  # stored live, redacted and edited by events that are slept through
        for length in (3, _TIMELINE + 1, 20, 35, 70):
            _busy(scene, length)
            if length == 20:
                scene.edit(edited, "edited asleep")
                scene.redact(struck)
                scene.say(_TIMELINE + 2)
            client.wake()
        yield Slept(client, scene, edited)


def _busy(scene: Scene, length: int) -> None:
    """Send `length` events: two in five of them are no plain messages."""
    for number in range(length):
        match number % 10:
            case 3:
                scene.edit(scene.log[-1], f"edited {number}")
            case 5:
                scene.redact(scene.log[-1])
            case 7:
                scene.topic(f"topic {number}")
            case 8:
                scene.redact(scene.log[-1])  # the topic, while it counts
            case _:
                scene.say()


def test_every_missing_event_lies_in_a_recorded_gap(slept: Slept) -> None:
    assert slept.hidden > 100
    assert len(slept.client.gaps(slept.scene.id)) == 5  # the start, and four sleeps that were longer than a timeline
    assert unannounced(slept.client, slept.scene.id) == []
    assert misplaced_gaps(slept.client, slept.scene.id) == []


@pytest.mark.parametrize("limit", PAGE_SIZES)
def test_a_back_filled_timeline_equals_the_server_s(slept: Slept, tmp_path: Path, limit: int) -> None:
    """Event by event and in its order too, for without a fork /messages and /sync list alike."""
    with slept.client.copy(tmp_path / "copy.db") as client:
        room = slept.scene.id
        before = client.places(room)
        assert client.fill(limit) == slept.hidden
        assert client.ids(room) == history_ids(client.user, room)
        assert differences(client, room) == []
        assert disorder(client, slept.scene) == []
        assert before.items() <= client.places(room).items()
        edited = client.store.room(room).event(slept.edited)
        assert edited is not None and edited.edited is not None
        assert edited.edited["body"] == "edited asleep"


def test_page_by_page_what_is_missing_stays_announced(slept: Slept, tmp_path: Path) -> None:
    with slept.client.copy(tmp_path / "copy.db") as client:
        room = slept.scene.id
        left = slept.hidden
        while left:
            left -= client.fill(limit=9, pages=3)
            missing = set(history_ids(client.user, room)) - set(client.ids(room))
            assert len(missing) == left
            assert unannounced(client, room) == []
            assert misplaced_gaps(client, room) == []
        client.fill()
        assert differences(client, room) == []


# -- late events -------------------------------------------------------------------------------------------------------


_HIDE = ("m.room.history_visibility", {"history_visibility": "joined"})


def _inside_a_gap(client: Sleeper, scene: Scene) -> Iterator[str]:
    old = scene.say()
    scene.say(2)
    client.wake()
    scene.say(LIMIT)
    yield (late := scene.late(old))
    yield scene.late(late, state_key="")
    scene.say(LIMIT + 1)
    client.wake()


def _far_below_what_is_known(client: Sleeper, scene: Scene) -> Iterator[str]:
    """Whole pages of known events come before the late one in the room's graph."""
    old = scene.say()
    scene.say(15)
    for _ in range(3):
        scene.say(LIMIT - 1)
        client.wake()
    client.fill()
    scene.say(2)
    yield scene.late(old, origin_server_ts=1)
    scene.say(LIMIT + 1)
    client.wake()


def _just_before_a_limited_sync(client: Sleeper, scene: Scene) -> Iterator[str]:
    old = scene.say()
    scene.say(2)
    client.wake()
    scene.say(LIMIT + 1)
    yield scene.late(old)
    client.wake()
    scene.say(2)
    yield scene.late(old)  # the first one that the next timeline leaves out
    scene.say(LIMIT)
    client.wake()


def _during_the_back_fill(client: Sleeper, scene: Scene) -> Iterator[str]:
    """One stands where the walk has been, one where it will come; then both come with a sync, or lie in a gap."""
    old = scene.say()
    for length in (2, LIMIT + 1):
        scene.say(LIMIT + 6)
        client.wake()
        newest = scene.log[-LIMIT - 2]
        client.fill(limit=4, pages=1)
        yield scene.late(newest)
        yield scene.late(old)
        client.fill(limit=4, pages=1)
        scene.say(length)
        client.wake()


def _in_an_absence(client: Sleeper, scene: Scene) -> Iterator[str]:
    old = scene.say()
    scene.say(2)
    client.wake()
    client.fill()
    client.user.leave(scene.id)
    client.wake()
    scene.say(2)
    yield scene.late(old)
    scene.say(LIMIT)
    client.user.join(scene.id)
    yield scene.late(old, state_key="")
    client.wake()


def _in_an_absence_slept_through(client: Sleeper, scene: Scene) -> Iterator[str]:
    """Before leaving, while away and after coming back; nothing was fetched in between."""
    old = scene.say()
    scene.say(2)
    client.wake()
    client.fill()
    yield scene.late(old)
    scene.say(LIMIT + 1)
    client.user.leave(scene.id)
    yield scene.late(old)
    scene.say(LIMIT + 1)
    client.user.join(scene.id)
    yield scene.late(old)
    scene.say(LIMIT + 1)
    client.wake()


def _in_an_absence_after_a_limited_farewell(client: Sleeper, scene: Scene) -> Iterator[str]:
    """The older end lies before what the response brought that told of leaving: the walk meets all of that first."""
    old = scene.say()
    scene.say(2)
    client.wake()
    client.fill()
    scene.say(LIMIT + 2)
    client.user.leave(scene.id)
    client.wake()
    scene.say(2)
    yield scene.late(old)
    scene.say(LIMIT + 1)
    client.user.join(scene.id)
    client.wake()


def _and_back_between_two_syncs(client: Sleeper, scene: Scene) -> Iterator[str]:
    old = scene.say()
    scene.say(12)
    client.wake()
    client.fill()
    yield scene.late(old)
    client.user.leave(scene.id)
    client.user.join(scene.id)
    client.wake()


def _and_back_with_a_hidden_absence(client: Sleeper, scene: Scene) -> Iterator[str]:
    """What was said while away is hidden: the server makes up for it with older events by topology, among them the
    newest known one, but not the late one."""
    scene.owner.send_state(scene.id, *_HIDE)
    old = scene.say()
    scene.say(12)
    client.wake()
    client.fill()
    yield scene.late(old)
    client.user.leave(scene.id)
    scene.say(LIMIT)
    client.user.join(scene.id)
    client.wake()


def _after_a_farewell_and_hidden_messages(client: Sleeper, scene: Scene) -> Iterator[str]:
    """The same, but leaving was synced: the token of that response happens to be where the absence begins."""
    scene.owner.send_state(scene.id, *_HIDE)
    old = scene.say()
    scene.say(12)
    client.wake()
    client.fill()
    client.user.leave(scene.id)
    client.wake()
    yield scene.late(old)
    scene.say(LIMIT)
    client.user.join(scene.id)
    client.wake()


def _after_what_the_server_makes_up_with(client: Sleeper, scene: Scene) -> Iterator[str]:
    """The same, but what the server makes up with begins above the newest known event and came before the late one."""
    scene.owner.send_state(scene.id, *_HIDE)
    old = scene.say()
    scene.say(8)
    client.wake()
    client.fill()
    scene.say(LIMIT + 2)
    yield scene.late(old)
    client.user.leave(scene.id)
    scene.say(LIMIT)
    client.user.join(scene.id)
    client.wake()


LATE = [
    _inside_a_gap,
    _far_below_what_is_known,
    _just_before_a_limited_sync,
    _during_the_back_fill,
    _in_an_absence,
    _in_an_absence_slept_through,
    _in_an_absence_after_a_limited_farewell,
    _and_back_between_two_syncs,
    _and_back_with_a_hidden_absence,
    _after_a_farewell_and_hidden_messages,
    _after_what_the_server_makes_up_with,
]


@pytest.mark.parametrize("play", LATE, ids=lambda play: play.__name__.strip("_"))
def test_late_events_are_found(
    sleeper: Sleeper, owner: lab.User, tmp_path: Path, play: Callable[[Sleeper, Scene], Iterator[str]]
) -> None:
    scene = Scene(owner, sleeper.user)
    late = set(play(sleeper, scene))
    scene.say()  # the branches meet
    sleeper.wake()
    assert late <= set(history_ids(sleeper.user, scene.id))
    assert unannounced(sleeper, scene.id) == []
    wrong: dict[int, list[str]] = {}
    for limit in (1, 4, 100):
        with sleeper.copy(tmp_path / f"{limit}.db") as client:
            client.fill(limit)
            wrong[limit] = differences(client, scene.id) + disorder(client, scene)
    assert wrong == {1: [], 4: [], 100: []}


# -- away and back -----------------------------------------------------------------------------------------------------

Step = Callable[[Scene, lab.User, lab.User], None]  # scene, the client's user, the guest


def _meanwhile(scene: Scene, me: lab.User, guest: lab.User) -> None:
    """What may change while one is away: messages, a topic, members."""
    scene.say()
    scene.topic(f"topic {len(scene.log)}")
    if guest.user_id in {event["state_key"] for event in scene.owner.members(scene.id) if _joined(event)}:
        guest.leave(scene.id)
    else:
        guest.join(scene.id)
    scene.say(LIMIT - 1)


def _joined(event: lab.Event) -> bool:
    return bool(event["content"]["membership"] == "join")


def _leave(scene: Scene, me: lab.User, guest: lab.User) -> None:
    me.leave(scene.id)


def _join(scene: Scene, me: lab.User, guest: lab.User) -> None:
    me.join(scene.id)


def _invite(scene: Scene, me: lab.User, guest: lab.User) -> None:
    scene.owner.invite(scene.id, me.user_id)


def _kick(scene: Scene, me: lab.User, guest: lab.User) -> None:
    scene.owner.kick(scene.id, me.user_id)


def _ban(scene: Scene, me: lab.User, guest: lab.User) -> None:
    scene.owner.ban(scene.id, me.user_id)


def _unban(scene: Scene, me: lab.User, guest: lab.User) -> None:
    scene.owner.unban(scene.id, me.user_id)


STORIES: dict[str, list[list[Step]]] = {  # the steps between two syncs
    "left": [[_meanwhile], [_leave], [_meanwhile], [_join], [_meanwhile]],
    "invited again": [[_meanwhile, _leave, _invite], [_meanwhile], [_join], [_meanwhile]],
    "an invite declined": [[_meanwhile, _leave], [_invite, _meanwhile], [_leave], [_meanwhile, _join]],
    "kicked": [[_meanwhile, _kick], [_meanwhile, _join], [_meanwhile]],
    "banned": [[_meanwhile, _ban], [_meanwhile], [_unban, _meanwhile], [_join], [_meanwhile]],
}
HABITS = ["sleepy", "wakeful", "eager"]


@pytest.fixture(scope="module", params=STORIES)
def played(
    request: pytest.FixtureRequest,
    synapse: lab.Synapse,
    owner: lab.User,
    guest: lab.User,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Scene, dict[str, Sleeper]]]:
    """Return a room that one was away from, and three clients: `sleepy` slept through it all, `wakeful` synced after
    each part, `eager` back-filled then too."""
    user = lab.register(synapse.base_url, "away-" + request.param.replace(" ", "-"))
    folder = tmp_path_factory.mktemp("away")
    with ExitStack() as stack:
        clients = {name: stack.enter_context(Sleeper(user, folder / f"{name}.db")) for name in HABITS}
        scene = Scene(owner, user, guest)
        for client in clients.values():
            client.wake()
        for part in STORIES[request.param]:
            for step in part:
                step(scene, user, guest)
            clients["wakeful"].wake()
            clients["eager"].wake()
            clients["eager"].fill()
        clients["sleepy"].wake()
        yield scene, clients


@pytest.mark.parametrize("habit", HABITS)
def test_an_absence_is_filled(played: tuple[Scene, dict[str, Sleeper]], habit: str) -> None:
    """As far as /messages shows it to the one who came back."""
    scene, clients = played
    client = clients[habit]
    assert unannounced(client, scene.id) == []
    client.fill(limit=7)
    assert differences(client, scene.id) == []
    assert disorder(client, scene) == []


def test_what_one_may_not_see_leaves_no_gap_open(sleeper: Sleeper, owner: lab.User, guest: lab.User) -> None:
    """With history that only those inside may see, /messages jumps over the time away."""
    visibility = {"type": "m.room.history_visibility", "content": {"history_visibility": "joined"}}
    scene = Scene(owner, sleeper.user, initial_state=[visibility])
    _meanwhile(scene, sleeper.user, guest)
    sleeper.wake()
    sleeper.user.leave(scene.id)
    sleeper.wake()
    _meanwhile(scene, sleeper.user, guest)
    secret = scene.say()
    sleeper.user.join(scene.id)
    _meanwhile(scene, sleeper.user, guest)
    sleeper.wake()
    assert unannounced(sleeper, scene.id) == []
    sleeper.fill(limit=3)
    assert differences(sleeper, scene.id) == []
    assert secret not in sleeper.ids(scene.id)


# -- a snapshot over an old store --------------------------------------------------------------------------------------


@pytest.mark.sample
def test_after_a_new_login_the_old_store_is_completed(sleeper: Sleeper, owner: lab.User) -> None:
    """Gaps of the old login, filled, half filled and not, a fork that came between the two logins, rooms that were left
    or left and joined again meanwhile, and one that one is invited to again."""
    me = sleeper.user
    scenes = scene, left, back, invited = tuple(Scene(owner, me) for _ in range(4))
    base = scene.say(LIMIT + 5)
    for one in (left, back, invited):
        one.say(LIMIT + 2)
    sleeper.wake()
    sleeper.fill()
    for _ in range(2):
        scene.say(LIMIT + 10)
        sleeper.wake()
    sleeper.fill(limit=4, pages=1)
    for one in (left, back, invited):
        one.say(LIMIT + 2)
        me.leave(one.id)
    back.say(2)
    me.join(back.id)
    owner.invite(invited.id, me.user_id)
    scene.say(LIMIT + 5)
    late = {scene.late(base), scene.late(base, state_key="")}
    scene.say(3)
    known = {one.id: sleeper.places(one.id) for one in scenes}
    device = lab.login(me.base_url, me.user_id.partition(":")[0][1:], "SECOND")
    sleeper.store.rebind(device.device_id)
    with Sleeper(device, Path(sleeper.store.path)) as client:
        client.wake()
        me.join(invited.id)
        client.wake()
        assert {one.id: unannounced(client, one.id) for one in scenes} == {one.id: [] for one in scenes}
        client.fill(limit=6)
        assert {one.id: differences(client, one.id) for one in scenes} == {one.id: [] for one in scenes}
        assert all(known[one.id].items() <= client.places(one.id).items() for one in scenes)
        assert late <= set(client.ids(scene.id))


# -- two at once, and sudden ends --------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 8, 100])
def test_two_back_fills_at_once_do_the_work_once(slept: Slept, tmp_path: Path, limit: int) -> None:
    room = slept.scene.id
    start = Barrier(2)

    def fill(client: Sleeper) -> int:
        start.wait(10)
        return client.fill(limit)

    with slept.client.copy(tmp_path / "copy.db") as one, Sleeper(slept.client.user, tmp_path / "copy.db") as two:
        with ThreadPoolExecutor(2) as threads:
            added = list(threads.map(fill, (one, two)))
        assert sum(added) == slept.hidden
        assert one.ids(room) == two.ids(room) == history_ids(one.user, room)
        assert differences(one, room) == []


# A back-fill as a process of its own. One that is killed may go on holding a gap, for minutes by the clock: the clock
# of each process is that far ahead of the one before it.
_FILLER = """
import sys, time
path, base_url, token, ahead = sys.argv[1:]
real = time.time
time.time = lambda: real() + float(ahead)
from syncstore import Homeserver, Syncer, SyncStore
with SyncStore.open(path, create=False) as store:
    syncer = Syncer(Homeserver(base_url, access_token=token), store)
    print("ready", flush=True)
    syncer.backfill_all(budget=2000, limit=1)
"""
_LEASE_IS_OVER = 600.0


def test_a_back_fill_that_is_killed_is_resumed(slept: Slept, tmp_path: Path) -> None:
    chance = random.Random()
    room, path = slept.scene.id, tmp_path / "copy.db"
    with slept.client.copy(path) as client:
        before = client.places(room)
    killed = [_fill_until_killed(slept.client.user, path, run, chance.uniform(0, 0.15)) for run in range(8)]
    with Sleeper(slept.client.user, path) as client:
        known = client.places(room)
        assert before.items() <= known.items()
        assert unannounced(client, room) == []
    assert sum(killed) >= 4, "the back-fill was over before it could be killed"
    assert not _fill_until_killed(slept.client.user, path, len(killed), None)
    with Sleeper(slept.client.user, path) as client:
        assert client.ids(room) == history_ids(client.user, room)
        assert differences(client, room) == []
        assert known.items() <= client.places(room).items()


def _fill_until_killed(user: lab.User, path: Path, run: int, seconds: float | None) -> bool:
    """Let a process back-fill and kill it after some seconds of work; False if it came to its end first."""
    ahead = str(run * _LEASE_IS_OVER)
    command = [sys.executable, "-c", _FILLER, str(path), user.base_url, user.access_token, ahead]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            code = process.wait(60 if seconds is None else seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
    assert code in (0, -signal.SIGKILL)
    return code != 0


# -- what the server no longer gives -----------------------------------------------------------------------------------


def test_the_gaps_of_a_forgotten_room_are_unreachable(sleeper: Sleeper, owner: lab.User) -> None:
    scene = Scene(owner, sleeper.user)
    scene.say(LIMIT + 5)
    sleeper.wake()
    scene.say(LIMIT + 5)
    sleeper.user.leave(scene.id)
    sleeper.wake()
    sleeper.user.forget(scene.id)
    stored = sleeper.ids(scene.id)
    for _ in range(2):  # asked once, never again
        assert sleeper.fill() == 0
        gaps = sleeper.gaps(scene.id)
        assert [(gap.kind, gap.status, gap.attempts) for gap in gaps] == [
            ("limited", "unreachable", 1),
            ("start", "unreachable", 1),
        ]
        assert all("403 M_FORBIDDEN" in (gap.reason or "") for gap in gaps)
    assert sleeper.ids(scene.id) == stored


@pytest.mark.parametrize("pages", [0, 2], ids=["before the walk", "under the walk"])
def test_a_purged_history_ends_the_walk(sleeper: Sleeper, owner: lab.User, admin: Admin, pages: int) -> None:
    """The server has deleted what the gaps are about: they close or are given up, and the rest is complete."""
    scene = Scene(owner, sleeper.user)
    scene.say(LIMIT + 5)
    sleeper.wake()
    scene.say(3 * LIMIT)
    sleeper.wake()
    sleeper.fill(limit=4, pages=pages)
    admin.purge(scene.id, scene.log[-LIMIT - 2])
    known = sleeper.places(scene.id)
    sleeper.fill(limit=4)
    assert {gap.status for gap in sleeper.gaps(scene.id)} <= {"unreachable"}
    assert known.items() <= sleeper.places(scene.id).items()
    shown = {event["event_id"] for event in history(sleeper.user, scene.id)}
    assert shown <= set(sleeper.ids(scene.id))
    assert sleeper.store.check() == []
    scene.say(LIMIT + 5)
    sleeper.wake()  # repeats the whole state
    sleeper.fill(limit=4)
    assert {gap.status for gap in sleeper.gaps(scene.id)} <= {"unreachable"}
    assert set(scene.log[-LIMIT - 5 :]) <= set(sleeper.ids(scene.id))

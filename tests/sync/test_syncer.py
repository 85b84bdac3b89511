"""The loop: what it asks, what it commits, and how it meets failure (promises 2, 3, 9 and 18)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from syncstore import Syncer, SyncStore
from syncstore.errors import (
    FilterError,
    RateLimitedError,
    ServerError,
    StaleBatchError,
    UnknownTokenError,
    UnreachableError,
    WireError,
)
from syncstore.model.records import Applied
from syncstore.sync import Status
from tests.store.bodies import ME, OTHER, ROOM, Body, create, message
from tests.sync.fake import Scripted, Stop

Next = Callable[[], Body]
GONE = UnknownTokenError("logged out", soft_logout=True)


def sinces(server: Scripted) -> list[str | None]:
    return [asked["since"] for asked in server.asked("sync")]


def test_p03_the_token_is_read_from_the_store_for_each_request(
    server: Scripted, store: SyncStore, next_body: Next
) -> None:
    server.will("sync", next_body(), next_body(), Body("s9"))
    syncer = Syncer(server.face(), store)
    syncer.run_once()
    syncer.run_once()
    with SyncStore.open(store.path) as other:
        other.apply(b'{"next_batch": "s5"}')
    syncer.run_once()
    assert sinces(server) == [None, "s1", "s5"]
    assert store.token == "s9"


def test_p02_a_stale_batch_is_asked_for_again(server: Scripted, store: SyncStore) -> None:
    def overtaken() -> bytes:
        with SyncStore.open(store.path) as other:
            other.apply(Body("s1").join(ROOM, message("$other")).done(), since=None)
        return Body("s1").join(ROOM, message("$lost")).done().replace(b"s1", b"x1")

    server.will("sync", overtaken, Body("s2").join(ROOM, message("$mine")))
    Syncer(server.face(), store).run_once()
    assert sinces(server) == [None, "s1"]
    assert [item.event_id for item in store.room(ROOM).timeline().items if hasattr(item, "event_id")] == [
        "$mine",
        "$other",
    ]


def test_p02_a_store_that_never_rests_is_an_error_in_the_end(server: Scripted, store: SyncStore) -> None:
    number = iter(range(1, 100))

    def overtaken() -> bytes:
        with SyncStore.open(store.path) as other:
            other.apply(b'{"next_batch": "o%d"}' % next(number))
        return b'{"next_batch": "x"}'

    server.will("sync", *[overtaken] * 20)
    with pytest.raises(StaleBatchError):
        Syncer(server.face(), store).run_once()
    assert len(server.asked("sync")) < 20


def test_run_once_never_waits_on_the_server(server: Scripted, store: SyncStore, next_body: Next) -> None:
    server.will("sync", next_body(), next_body())
    syncer = Syncer(server.face(), store, timeout=30_000, set_presence="offline")
    syncer.run_once()
    syncer.run_once()
    assert [(asked["timeout"], asked["set_presence"]) for asked in server.asked("sync")] == [(0, "offline")] * 2


def test_run_forever_long_polls_once_it_has_a_token(server: Scripted, store: SyncStore, next_body: Next) -> None:
    server.will("sync", next_body(), next_body(), GONE)
    with pytest.raises(UnknownTokenError):
        Syncer(server.face(), store, timeout=12_345).run_forever(Stop())
    assert [asked["timeout"] for asked in server.asked("sync")] == [0, 12_345, 12_345]


def test_p01_a_failure_leaves_the_store_as_it_was(server: Scripted, store: SyncStore, next_body: Next) -> None:
    server.will("sync", next_body().join(ROOM, message("$a")), b"{}", UnreachableError("cut"))
    syncer = Syncer(server.face(), store)
    syncer.run_once()
    for error in (WireError, UnreachableError):
        with pytest.raises(error):
            syncer.run_once()
    assert (store.token, store.seq) == ("s1", 1)


def test_stop_ends_the_loop_after_what_was_fetched_is_stored(
    server: Scripted, store: SyncStore, next_body: Next
) -> None:
    stop = Stop()
    body = next_body().join(ROOM, message("$a")).done()

    def fetched() -> bytes:
        stop.set()
        return body

    server.will("sync", fetched)
    Syncer(server.face(), store).run_forever(stop)
    assert store.token == "s1"
    Syncer(server.face(), store).run_forever(stop)
    assert len(server.asked("sync")) == 1


def test_a_failure_after_stop_is_no_error(server: Scripted, store: SyncStore) -> None:
    stop = Stop()

    def cut() -> bytes:
        stop.set()
        raise GONE

    server.will("sync", cut)
    Syncer(server.face(), store).run_forever(stop)


def test_a_server_out_of_reach_is_asked_ever_more_slowly(server: Scripted, store: SyncStore) -> None:
    server.will("sync", *[UnreachableError("down")] * 12)
    stop, told = Stop(after=12), list[Status]()
    Syncer(server.face(), store, on_status=told.append).run_forever(stop)
    assert len(server.asked("sync")) == len(stop.waits) == 12
    assert all(wait >= 0.5 * min(60, 2**n) for n, wait in enumerate(stop.waits))
    assert max(stop.waits) <= 60
    waiting = [status for status in told if status.kind == "waiting"]
    assert [status.seconds for status in waiting] == stop.waits
    assert {status.error for status in waiting} == {"down"}


def test_success_makes_the_loop_quick_again(server: Scripted, store: SyncStore, next_body: Next) -> None:
    down = UnreachableError("down")
    server.will("sync", *[down] * 5, next_body(), down)
    stop = Stop(after=6)
    Syncer(server.face(), store).run_forever(stop)
    assert stop.waits[4] >= 8 and stop.waits[5] <= 1


@pytest.mark.parametrize(
    ("error", "least"), [(RateLimitedError("slow", retry_after=33.0), 33), (ServerError("x", status=502), 0.5)]
)
def test_what_passes_is_waited_for(server: Scripted, store: SyncStore, error: Exception, least: float) -> None:
    server.will("sync", error)
    stop = Stop(after=1)
    Syncer(server.face(), store).run_forever(stop)
    assert stop.waits[0] >= least


@pytest.mark.parametrize("error", [GONE, ServerError("no", status=403, errcode="M_FORBIDDEN")])
def test_what_asking_again_would_not_change_ends_the_loop(server: Scripted, store: SyncStore, error: Exception) -> None:
    server.will("sync", error)
    stop = Stop()
    with pytest.raises(type(error)):
        Syncer(server.face(), store).run_forever(stop)
    assert stop.waits == []


def test_callbacks_hear_of_each_batch_and_each_step(server: Scripted, store: SyncStore, next_body: Next) -> None:
    batches, steps = list[Applied](), list[Status]()
    server.will("sync", next_body().join(ROOM, message("$a")), next_body())
    syncer = Syncer(server.face(), store, on_batch=batches.append, on_status=steps.append)
    assert [syncer.run_once(), syncer.run_once()] == batches
    assert [(one.initial, one.events) for one in batches] == [(True, 1), (False, 0)]
    assert [(one.kind, one.since) for one in steps] == [(k, s) for s in (None, "s1") for k in ("asking", "storing")]


def test_the_filter_is_uploaded_once_for_all_syncers(server: Scripted, store: SyncStore, next_body: Next) -> None:
    server.will("sync", next_body(), next_body(), next_body())
    Syncer(server.face(), store).run_once()
    Syncer(server.face(), store).run_once()
    assert [asked["filter"] for asked in server.asked("sync")] == ["f1", "f1"]
    Syncer(server.face(), store, full_members=True).run_once()
    assert [asked["filter"] for asked in server.asked("sync")][2] == "f2"
    assert [asked["user_id"] for asked in server.asked("upload_filter")] == [ME, ME]


def test_the_default_filter_loads_members_lazily_and_redundantly(
    server: Scripted, store: SyncStore, next_body: Next
) -> None:
    server.will("sync", next_body())
    Syncer(server.face(), store).run_once()
    room = server.filters[0]["room"]
    for part in ("timeline", "state"):
        assert (room[part]["lazy_load_members"], room[part]["include_redundant_members"]) == (True, True)
    assert "include_leave" not in room


@pytest.mark.parametrize("status", [400, 404])
def test_a_filter_that_the_server_lost_is_uploaded_again(
    server: Scripted, store: SyncStore, next_body: Next, status: int
) -> None:
    server.will("sync", next_body(), ServerError("no such filter", status=status), next_body(), next_body())
    syncer = Syncer(server.face(), store)
    for _ in range(3):
        syncer.run_once()
    assert [asked["filter"] for asked in server.asked("sync")] == ["f1", "f1", "f2", "f2"]


def test_a_fresh_filter_that_is_refused_is_an_error(server: Scripted, store: SyncStore) -> None:
    server.will("sync", *[ServerError("no", status=400)] * 5)
    with pytest.raises(ServerError):
        Syncer(server.face(), store).run_once()
    assert len(server.asked("sync")) == 1
    with pytest.raises(ServerError):
        Syncer(server.face(), store).run_once()
    assert len(server.asked("sync")) == 3


def test_p09_a_snapshot_over_an_old_store_asks_for_what_was_left(
    server: Scripted, store: SyncStore, next_body: Next
) -> None:
    entered = next_body().join(ROOM, message("$a"), state=[create()]).join(OTHER, message("$a"), state=[create()])
    server.will("sync", entered, next_body(), next_body())
    server.rooms = [OTHER]
    syncer = Syncer(server.face(), store)
    syncer.run_once()
    assert (server.asked("joined_rooms"), server.filters[-1]["room"].get("include_leave")) == ([], None)
    store.rebind("NEW")
    syncer.run_once()
    assert len(server.asked("joined_rooms")) == 1
    assert server.filters[-1]["room"]["include_leave"] is True
    assert {room.room_id: room.membership for room in store.rooms()} == {ROOM: "leave", OTHER: "join"}
    syncer.run_once()
    assert (sinces(server)[-1], len(server.asked("joined_rooms"))) == ("s2", 1)


REFUSED: dict[str, dict[str, Any]] = {
    "event_fields": {"event_fields": ["content"]},
    "event_format": {"event_format": "federation"},
    "room.rooms": {"room": {"rooms": [ROOM]}},
    "room.not_rooms": {"room": {"not_rooms": [ROOM]}},
    "room.timeline.types": {"room": {"timeline": {"types": ["m.room.message"]}}},
    "room.timeline.not_types": {"room": {"timeline": {"not_types": ["*"]}}},
    "room.timeline.not_senders": {"room": {"timeline": {"not_senders": [ME]}}},
    "room.timeline.contains_url": {"room": {"timeline": {"contains_url": True}}},
    "room.timeline.limit": {"room": {"timeline": {"limit": 4}}},
    "room.state.types": {"room": {"state": {"types": []}}},
    "room.state.lazy_load_members": {"room": {"state": {"lazy_load_members": True}}},
    "org.example": {"org.example": 1},
}


@pytest.mark.parametrize("key", REFUSED)
def test_p18_a_filter_that_loses_events_is_refused_by_name(server: Scripted, store: SyncStore, key: str) -> None:
    with pytest.raises(FilterError, match=key.replace(".", r"\.")) as refused:
        Syncer(server.face(), store, filter=REFUSED[key])
    assert len(str(refused.value).split(": ")[-1]) > 5 or "less than" in str(refused.value)
    assert server.calls == []


def test_p18_what_is_harmless_is_asked_for_as_it_is(server: Scripted, store: SyncStore, next_body: Next) -> None:
    members = {"lazy_load_members": True, "include_redundant_members": True}
    definition = {
        "presence": {"not_types": ["*"]},
        "account_data": {"types": ["m.direct"]},
        "room": {
            "include_leave": True,
            "ephemeral": {"not_types": ["*"]},
            "account_data": {"limit": 5},
            "timeline": {"limit": 5, "unread_thread_notifications": True, **members},
            "state": members,
        },
    }
    server.will("sync", next_body())
    Syncer(server.face(), store, filter=definition).run_once()
    assert json.loads(json.dumps(server.filters[0])) == definition


def test_nothing_kept_by_the_loop_holds_a_token(
    server: Scripted, store: SyncStore, next_body: Next, path: Path
) -> None:
    """The access token is the Homeserver's: nothing of it is handed to the store or to a recording."""
    server.will("sync", next_body().join(ROOM, message("$a")))
    Syncer(server.face(), store, record=path.parent / "record").run_once()
    kept = json.loads((path.parent / "record" / "000001.request.json").read_bytes())
    assert set(kept) == {"since", "held", "full_state", "joined", "user_id", "device_id"}

"""Comparing with the server: what is drift, what is not, and what mends it (promise 22)."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from syncstore import Syncer, SyncStore
from syncstore.errors import NotFoundError, ServerError, UnreachableError
from syncstore.model.records import Drift, Event
from tests.store.bodies import (
    ANN,
    BOB,
    ME,
    OTHER,
    ROOM,
    Body,
    Json,
    create,
    member,
    message,
    page,
    state,
    topic,
)
from tests.sync.fake import Scripted

PILE = [create(), member("$me", ME, "join"), topic("$t", "Fish")]
Next = Callable[[], Body]


def listed(*events: Json) -> bytes:
    return json.dumps(list(events)).encode()


@pytest.fixture
def syncer(server: Scripted, store: SyncStore, next_body: Next) -> Syncer:
    """Joined to ROOM with $a and $b; the server answers every further sync with nothing new."""
    store.apply(next_body().join(ROOM, *PILE, message("$a"), message("$b"), prev_batch=None).done())
    server.rooms = [ROOM]
    server.will("sync", *[lambda: next_body().done()] * 20)
    return Syncer(server.face(), store)


def agree(server: Scripted) -> None:
    """The server says what the store holds."""
    server.will("state", listed(*PILE))
    server.will("messages", page(message("$b"), message("$a"), *reversed(PILE), end="x"))


def drift(kind: str, detail: str, *, room: str = ROOM, repaired: bool = False) -> Drift:
    return Drift(room, kind, detail, repaired)


def ids(store: SyncStore) -> list[str]:
    return [item.event_id for item in reversed(store.room(ROOM).timeline().items) if isinstance(item, Event)]


def test_p22_no_drift(server: Scripted, syncer: Syncer, store: SyncStore) -> None:
    agree(server)
    assert syncer.verify() == []
    assert server.asked("messages")[0]["dir"] == "b"
    assert [name for name, _ in server.calls if name == "sync"] == ["sync"]


def test_p22_state_that_differs_twice_is_drift(server: Scripted, syncer: Syncer, store: SyncStore) -> None:
    changed = [create(), member("$me", ME, "join"), topic("$t2", "Meat"), state("$n", "m.room.name", {"name": "N"})]
    server.will("state", *[listed(*changed, member("$bob", BOB, "join"))] * 2)
    server.will("messages", page(message("$b"), message("$a"), *reversed(PILE)))
    seq = store.seq
    assert syncer.verify(ROOM) == [
        drift("state", f"m.room.member {BOB!r}: nothing here, $bob on the server"),
        drift("state", "m.room.name '': nothing here, $n on the server"),
        drift("state", "m.room.topic '': $t here, $t2 on the server"),
    ]
    assert store.seq == seq, "nothing is written without repair"


def test_p22_what_a_sync_explains_is_no_drift(
    server: Scripted, syncer: Syncer, store: SyncStore, next_body: Next
) -> None:
    now = topic("$t2", "Meat")
    server.replies["sync"].clear()
    server.will("sync", next_body(), lambda: next_body().join(ROOM, now).done(), *[lambda: next_body().done()] * 5)
    server.will("state", *[listed(*PILE[:2], now)] * 2)
    server.will("messages", page(now, message("$b"), message("$a"), *reversed(PILE)))
    assert syncer.verify() == []


def test_p22_repair_makes_the_pile_the_server_s(server: Scripted, syncer: Syncer, store: SyncStore) -> None:
    wanted = [create(), member("$me", ME, "join"), state("$n", "m.room.name", {"name": "N"})]
    server.will("state", *[listed(*wanted)] * 3)
    server.will("messages", page(message("$b"), message("$a"), *reversed(PILE)))
    found = syncer.verify(repair=True)
    assert [(one.kind, one.repaired) for one in found] == [("state", True)] * 2
    room = store.room(ROOM)
    assert {key: one.event_id for key, one in room.state_map().items()} == {
        ("m.room.create", ""): "$create",
        ("m.room.member", ME): "$me",
        ("m.room.name", ""): "$n",
    }
    assert (room.name, room.topic, room.members_synced, store.check()) == ("N", None, True, [])
    assert ids(store)[-2:] == ["$a", "$b"]


def test_p22_a_sync_in_between_is_never_overwritten(
    server: Scripted, syncer: Syncer, store: SyncStore, next_body: Next
) -> None:
    old = listed(*PILE[:2])
    newer = listed(*PILE[:2], topic("$t3", "Newest"))

    def late() -> bytes:
        store.apply(next_body().join(ROOM, topic("$t3", "Newest")).done(), since=store.token)
        return old

    server.will("state", old, old, late, newer)
    server.will("messages", page(message("$b"), message("$a"), *reversed(PILE)))
    assert [one.repaired for one in syncer.verify(repair=True)] == [True]
    assert store.room(ROOM).topic == "Newest"


def test_p22_a_room_purged_without_a_word(server: Scripted, syncer: Syncer, store: SyncStore) -> None:
    server.rooms = []
    said = "joined here, not on the server"
    assert syncer.verify() == [drift("membership", said)]
    assert store.room(ROOM).membership == "join"
    assert syncer.verify(repair=True) == [drift("membership", said, repaired=True)]
    room = store.room(ROOM)
    assert (room.membership, room.topic) == ("leave", "Fish")
    assert syncer.verify() == []


def test_p22_a_room_that_no_sync_told_of(server: Scripted, syncer: Syncer, store: SyncStore) -> None:
    server.rooms = [ROOM, OTHER]
    server.will("state", listed(*PILE))
    server.will("messages", page(message("$o2"), message("$o1"), end="q"), page(end="q"))
    found = syncer.verify(OTHER, repair=True)
    assert found == [drift("membership", "joined on the server, unknown here", room=OTHER, repaired=True)]
    room = store.room(OTHER)
    assert (room.membership, room.topic, room.members_synced, room.gap_count) == ("join", "Fish", True, 0)
    assert [item.event_id for item in room.timeline().items if isinstance(item, Event)] == ["$o2", "$o1"]


def test_p22_a_redaction_never_seen(server: Scripted, syncer: Syncer, store: SyncStore) -> None:
    because = {"redacted_because": {"event_id": "$r", "type": "m.room.redaction", "content": {}}}
    pruned = message("$a") | {"content": {}, "unsigned": because}
    server.will("state", listed(*PILE))
    server.will("messages", *[page(message("$b"), pruned, *reversed(PILE))] * 3)
    assert syncer.verify(repair=True) == [drift("redaction", "$a is redacted on the server", repaired=True)]
    found = store.room(ROOM).event("$a")
    assert found is not None and (found.content, found.redacted_by) == ({}, "$r")


def test_p22_a_state_event_redacted_in_a_gap(server: Scripted, syncer: Syncer, store: SyncStore) -> None:
    because = {"redacted_because": {"event_id": "$r", "type": "m.room.redaction", "content": {}}}
    pruned = topic("$t", "Fish") | {"content": {}, "unsigned": because}
    server.will("state", *[listed(*PILE[:2], pruned)] * 3)
    server.will("messages", page(message("$b"), message("$a"), *reversed(PILE)))
    assert syncer.verify(repair=True) == [
        drift("state", "m.room.topic '': $t has another content on the server", repaired=True)
    ]
    assert store.room(ROOM).topic is None


def test_p22_an_event_that_no_gap_hides(server: Scripted, syncer: Syncer, store: SyncStore) -> None:
    server.will("state", listed(*PILE))
    whole = page(message("$b"), message("$lost", sender=BOB), message("$a"), *reversed(PILE), end="q")
    server.will("messages", whole, whole, whole, page(end="q"))
    found = syncer.verify(repair=True)
    assert found == [drift("missing", f"$lost of {BOB} is neither here nor in a gap", repaired=True)]
    assert (sorted(ids(store)), store.gaps()) == (["$a", "$b", "$create", "$lost", "$me", "$t"], [])
    assert store.check() == []


def test_p22_what_lies_in_a_gap_is_not_missing(
    server: Scripted, syncer: Syncer, store: SyncStore, next_body: Next
) -> None:
    store.apply(next_body().join(ROOM, message("$z"), limited=True).done(), since=store.token)
    server.will("state", listed(*PILE))
    server.will("messages", page(message("$z"), message("$y"), message("$b"), message("$a")))
    assert syncer.verify() == []
    server.will("state", listed(*PILE))
    server.will("messages", *[page(message("$z"), message("$b"), message("$y"), message("$a"))] * 2)
    assert [one.kind for one in syncer.verify()] == ["missing"]


def test_p22_a_suspect_room_is_walked_and_no_longer_suspect(
    server: Scripted, syncer: Syncer, store: SyncStore, next_body: Next
) -> None:
    """The mark has become a gap; what the pages do not reach stays one."""
    everybody: list[Json] = [{ANN: {}}, {}]
    for ignored in everybody:
        body = next_body().data("m.ignored_user_list", {"ignored_users": ignored})
        store.apply(body.done(), since=store.token)
    agree(server)
    hidden = page(message("$b"), message("$of-ann"), message("$a"), end="q")
    server.will("messages", hidden)
    (found,) = syncer.verify(repair=True, pages=1)
    assert (found.kind, found.repaired) == ("suspect", True)
    room = store.room(ROOM)
    assert (room.suspect, room.gap_count, "$of-ann" in ids(store)) == (None, 1, True)
    server.will("messages", page(end="q"))
    assert syncer.backfill(room.gaps()[0]).closed


def test_p22_members_that_were_not_loaded_are_no_drift(
    server: Scripted, syncer: Syncer, store: SyncStore, next_body: Next
) -> None:
    lazy = {"summary": {"m.joined_member_count": 5}}
    store.apply(next_body().join(ROOM, message("$c"), **lazy).done(), since=store.token)
    store.apply(next_body().join(ROOM, state=[create()], **lazy).done(), since=store.token)
    old = state("$alias", "m.room.aliases", {"aliases": []}, "x.org")
    server.will("state", listed(create(), member("$bob", BOB, "join"), old))
    server.will("messages", page(message("$c"), message("$b"), message("$a"), *reversed(PILE)))
    assert syncer.verify() == []


def test_p22_what_cannot_be_mended_says_why(server: Scripted, syncer: Syncer, store: SyncStore) -> None:
    server.will("state", listed(*PILE[:2]), listed(*PILE[:2]), ServerError("M_FORBIDDEN: no", status=403))
    server.will("messages", page(message("$b"), message("$a"), *reversed(PILE)))
    (found,) = syncer.verify(repair=True)
    assert (found.repaired, found.detail[-15:]) == (False, "M_FORBIDDEN: no")
    server.will("state", UnreachableError("down"))
    with pytest.raises(UnreachableError):
        syncer.verify()
    with pytest.raises(NotFoundError):
        syncer.verify("!nowhere:x")

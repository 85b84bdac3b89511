"""Spaces as a tree, and upgrades as a chain: both may be loops, lies, or point to rooms nobody knows."""

from __future__ import annotations

import pytest

from syncstore import SyncStore
from syncstore.model.room_records import SpaceChild, SpaceNode, SpaceParent
from tests.store.bodies import ROOM, Body, Json, create, message, state
from tests.store.conftest import Feed


def space(body: Body, room: str, *children: tuple[str, Json], at: int = 1000) -> Body:
    pile = [create() | {"content": {"room_version": "10", "type": "m.space"}}]
    pile += [
        state(f"${n}", "m.space.child", said, child, origin_server_ts=at - n)
        for n, (child, said) in enumerate(children)
    ]
    return body.join(room, message("$m"), state=pile)


def child(order: object = None, via: object = ("x.org",), **more: object) -> Json:
    return {"via": list(via) if isinstance(via, tuple) else via} | ({} if order is None else {"order": order}) | more


def drawn(nodes: list[SpaceNode]) -> str:
    return " ".join(f"{one.room_id}({drawn(one.children)})" if one.children else one.room_id for one in nodes)


def test_children_in_the_order_for_people(feed: Feed, store: SyncStore) -> None:
    """By `order` where it is legal, then the oldest, then the smallest id; without `via` it is no child."""
    feed.take(
        space(
            feed.next,
            "!s:x",
            *[("!young:x", child()), ("!old:x", child()), ("!b:x", child("b")), ("!a:x", child("a", suggested=True))],
            ("!empty:x", child("")),
            *[("!long:x", child("x" * 51)), ("!odd:x", child("\u00e9")), ("!number:x", child(5))],
            *[("!gone:x", {}), ("!none:x", child(via=[])), ("!text:x", child(via="x.org"))],
        )
    )
    found = store.room("!s:x").children()
    assert [one.room_id for one in found] == [
        *["!empty:x", "!a:x", "!b:x"],
        *["!number:x", "!odd:x", "!long:x", "!old:x", "!young:x"],
    ]
    assert found[1] == SpaceChild("!a:x", ["x.org"], "a", True)
    assert (found[0].order, found[3].order) == ("", None)


def test_the_tree_of_spaces(feed: Feed, store: SyncStore) -> None:
    body = space(feed.next, "!top:x", ("!sub:x", child("1")), (ROOM, child("2")), ("!unknown:x", child("3")))
    space(body, "!sub:x", (ROOM, child()))
    space(body, "!other:x")
    feed.take(body.join(ROOM, message("$m"), state=[create()]))
    found = {one.room_id: one for one in store.spaces()}
    assert drawn([found["!top:x"]]) == f"!top:x(!sub:x({ROOM}) {ROOM} !unknown:x)"
    assert set(found) == {"!top:x", "!other:x"}
    known = [one.room.room_id if one.room else None for one in found["!top:x"].children]
    assert known == ["!sub:x", ROOM, None]
    assert store.room("!top:x").room_type == "m.space"


def test_a_loop_of_spaces_ends(feed: Feed, store: SyncStore) -> None:
    body = space(feed.next, "!a:x", ("!b:x", child()), ("!a:x", child()))
    space(body, "!b:x", ("!c:x", child()))
    feed.take(space(body, "!c:x", ("!a:x", child()), ("!b:x", child())))
    assert drawn(store.spaces()) == "!a:x(!b:x(!c:x))"


def test_a_space_of_many_paths_is_looked_into_once(feed: Feed, store: SyncStore) -> None:
    """Forty floors of two spaces, each naming both of the next: 2^40 paths, 80 rooms."""
    body = feed.next
    for floor in range(40):
        below = [(f"!{side}{floor + 1}:x", child()) for side in "ab"]
        for side in "ab":
            space(body, f"!{side}{floor}:x", *below)
    feed.take(body)
    assert [one.room_id for one in store.spaces()] == ["!a0:x", "!b0:x"]


def test_a_space_that_we_left_is_not_shown(feed: Feed, store: SyncStore) -> None:
    feed.take(space(feed.next, "!a:x", (ROOM, child())))
    feed.take(feed.next.leave("!a:x"))
    assert store.spaces() == []


def test_parents_the_canonical_one_first(feed: Feed, store: SyncStore) -> None:
    pile = [
        state("$1", "m.space.parent", {"via": ["x"]}, "!a:x"),
        state("$2", "m.space.parent", {"via": ["x"], "canonical": True}, "!b:x"),
        state("$3", "m.space.parent", {}, "!c:x"),
    ]
    feed.take(feed.next.join(ROOM, message("$m"), state=[create(), *pile]))
    assert store.room(ROOM).parents() == [SpaceParent("!b:x", ["x"], True), SpaceParent("!a:x", ["x"], False)]


def version(body: Body, room: str, *, before: object = None, after: object = None) -> Body:
    pile = [create() | {"content": {"room_version": "10"} | ({} if before is None else {"predecessor": before})}]
    if after is not None:
        pile.append(state("$tomb", "m.room.tombstone", {"replacement_room": after, "body": "moved"}))
    return body.join(room, message("$m"), state=pile)


def test_an_upgrade_chain_is_followed_both_ways(feed: Feed, store: SyncStore) -> None:
    body = version(feed.next, "!1:x", before={"room_id": "!0:x"}, after="!2:x")
    version(body, "!2:x", before={"room_id": "!1:x"}, after="!3:x")
    feed.take(version(body, "!3:x", before={"room_id": "!2:x"}, after="!4:x"))
    for room_id in ("!1:x", "!2:x", "!3:x"):
        assert store.room(room_id).upgrades() == ["!0:x", "!1:x", "!2:x", "!3:x", "!4:x"]
    assert (store.room("!2:x").predecessor, store.room("!2:x").successor) == ("!1:x", "!3:x")


def test_a_chain_that_bites_its_tail_ends(feed: Feed, store: SyncStore) -> None:
    body = version(feed.next, "!1:x", before={"room_id": "!2:x"}, after="!2:x")
    feed.take(version(body, "!2:x", before={"room_id": "!1:x"}, after="!1:x"))
    assert sorted(store.room("!1:x").upgrades()) == ["!1:x", "!2:x"]
    assert sorted(store.room("!2:x").upgrades()) == ["!1:x", "!2:x"]


def test_a_predecessor_that_names_another_successor_is_not_believed(feed: Feed, store: SyncStore) -> None:
    body = version(feed.next, "!1:x", after="!2:x")
    version(body, "!2:x", before={"room_id": "!1:x"})
    feed.take(version(body, "!liar:x", before={"room_id": "!1:x"}))
    assert store.room("!liar:x").upgrades() == ["!liar:x"]
    assert store.room("!1:x").upgrades() == ["!1:x", "!2:x"]


@pytest.mark.parametrize("odd", [5, "!x:x", {}, {"room_id": 5}, {"room_id": "a\0b"}])
def test_odd_pointers_point_nowhere(feed: Feed, store: SyncStore, odd: object) -> None:
    feed.take(version(feed.next, "!1:x", before=odd, after=5))
    room = store.room("!1:x")
    assert (room.predecessor, room.successor, room.upgrades()) == (None, None, ["!1:x"])

"""What a member of a room may send to look like somebody else, or to make a reader go round for ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from syncstore import SyncStore
from syncstore.model.names import member_name, names_in_use
from tests.cli import bodies
from tests.cli.bodies import ALICE, BOB, ROOM, event, message

EVE = "@eve:x.org"


def _store(path: Path, *timeline: Any, pile: list[Any] | None = None) -> SyncStore:
    store = SyncStore.open(path, user_id=ALICE)
    made = [bodies.state("create", "m.room.create", {"room_version": "11"}), bodies.member(ALICE), *(pile or [])]
    room = {"state": {"events": made}, "timeline": {"events": list(timeline)}}
    store.apply(json.dumps({"next_batch": "s", "rooms": {"join": {ROOM: room}}}).encode())
    return store


def _named(user_id: str, name: str) -> Any:
    content = {"membership": "join", "displayname": name}
    return event(f"j{user_id}", "m.room.member", content, sender=user_id, state_key=user_id)


IMITATIONS = ["Bob", "Bob\u200b", "\ufeffBob", "B\u2060ob", "Bo\u200db", "\u202eBob", "Bob\xad", "\uff22ob"]
IMITATIONS += [" Bob ", "Bob\u3000", "Bo\u034fb", "Bob\ufe0f", "\u3164Bob"]


@pytest.mark.parametrize("imitation", IMITATIONS, ids=ascii)
def test_p28_who_looks_like_another_is_told_apart(path: Path, imitation: str) -> None:
    with _store(path, pile=[_named(BOB, "Bob"), _named(EVE, imitation)]) as store:
        names = {member.user_id: member.name for member in store.room(ROOM).members()}
    assert names[BOB] == f"Bob ({BOB})" and names[EVE] == f"{imitation} ({EVE})"


@pytest.mark.parametrize("name", [BOB, f" {BOB}", f"\u200b{BOB}", "\uff20bob:x.org"], ids=ascii)
def test_p28_a_name_like_an_id_has_the_real_one_beside_it(name: str) -> None:
    people = [(BOB, None), (EVE, name)]
    assert member_name(EVE, name, names_in_use(people)) == f"{name} ({EVE})"
    assert member_name(BOB, BOB, names_in_use([(BOB, BOB)])) == BOB


def test_p28_other_names_stay_as_they_are(path: Path) -> None:
    with _store(path, pile=[_named(BOB, "Bob"), _named(EVE, "Bobby \U0001f469\u200d\U0001f4bb")]) as store:
        assert [member.name for member in store.room(ROOM).members()][1:] == ["Bob", "Bobby \U0001f469\u200d\U0001f4bb"]


def test_p28_a_huge_name_is_a_row_and_a_line(path: Path, run: Any) -> None:
    _store(path, pile=[_named(EVE, "E" * 60_000 + "\n" * 1000)]).close()
    done = run("members", ROOM)
    assert done.code == 0 and len(done.out.splitlines()) == 3


def test_p28_relations_that_go_round_end(path: Path) -> None:
    def relation(name: str, to: str, rel_type: str) -> Any:
        content = {"msgtype": "m.text", "body": name, "m.new_content": {"msgtype": "m.text", "body": f"new {name}"}}
        target = {"rel_type": rel_type, "event_id": f"${to}", "key": "x", "m.in_reply_to": {"event_id": f"${to}"}}
        return event(name, "m.room.message", content | {"m.relates_to": target})

    kinds = ("m.replace", "m.thread", "m.reference", "m.annotation")
    loops = [relation(f"self-{kind}", f"self-{kind}", kind) for kind in kinds]
    loops += [relation(f"{one}-{kind}", f"{two}-{kind}", kind) for kind in kinds for one, two in ("ab", "bc", "ca")]
    with _store(path, *loops) as store:
        room = store.room(ROOM)
        assert len(room.timeline().items) >= len(loops)
        for one in loops:
            found = room.event(one["event_id"])
            assert found is not None and found.content == one["content"]
            assert len(room.relations(one["event_id"])) <= 1 and room.replies(one["event_id"]) is not None
            assert isinstance(room.reactions(one["event_id"]), list)
        assert room.threads() is not None and store.check() == []


def test_p28_an_edit_or_a_redaction_by_another_one_counts_for_nothing(path: Path) -> None:
    """Edits: the same sender. Redactions: the server checks who may, and only the place that it checked counts."""
    new = {"m.new_content": {"msgtype": "m.text", "body": "forged"}, "msgtype": "m.text", "body": "forged"}
    relation = {"rel_type": "m.replace", "event_id": "$m"}
    edit = event("edit", "m.room.message", new | {"m.relates_to": relation}, sender=EVE)
    elsewhere = event("red", "m.room.redaction", {}, sender=EVE, redacts="$m")  # in version 11 the content names it
    with _store(path, message("m", "said"), edit, elsewhere) as store:
        found = store.room(ROOM).event("$m")
        assert found is not None and found.edited is None and found.redacted_by is None
        assert found.content["body"] == "said"


@pytest.mark.parametrize(("size", "kept"), [(255, True), (256, False)])
def test_p28_ids_and_keys_end_at_255_bytes(path: Path, size: int, kept: bool) -> None:
    """The limit of the spec: what is longer is set aside, in each of the places that become keys of our tables."""
    long = "\u00e9" * (size // 2) + "x" * (size % 2)
    odd = [
        event("k", "org.k", {}, state_key=long),
        event("t", long, {}),
        {**message("s", "x"), "sender": long},
        {**message("i", "x"), "event_id": long},
    ]
    with _store(path, *odd) as store:
        assert store.info().quarantined == (0 if kept else len(odd))


@pytest.mark.parametrize("depth", [50, 2000])
def test_p28_spaces_that_go_round_or_down_for_ever_end(path: Path, depth: int) -> None:
    """A member can make a loop; only a server can make us join a chain of thousands."""
    rooms = {}
    for number in range(depth):
        create = bodies.state("create", "m.room.create", {"room_version": "11", "type": "m.space"})
        child = event("c", "m.space.child", {"via": ["x"]}, state_key=f"!{(number + 1) % depth}:x")
        rooms[f"!{number}:x"] = {"timeline": {"events": [create, bodies.member(ALICE), child]}}
    with SyncStore.open(path, user_id=ALICE) as store:
        store.apply(json.dumps({"next_batch": "s", "rooms": {"join": rooms}}).encode())
        assert len(store.spaces()) >= 1

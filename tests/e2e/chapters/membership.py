"""Invite, knock, leave, kick, ban, forget and coming back, also several of them between two syncs."""

from __future__ import annotations

from collections.abc import Iterator

from ..stage import Stage
from ..trio import Trio

_KNOCK = {"preset": "private_chat", "initial_state": [{"type": "m.room.join_rules", "content": {"join_rule": "knock"}}]}


def invite_accepted_rejected_withdrawn(stage: Stage, trio: Trio) -> Iterator[str]:
    alice, bob = stage.alice, stage.bob
    accepted, rejected, withdrawn = (
        stage.room(name=name, preset="private_chat", topic="before") for name in ("accepted", "rejected", "withdrawn")
    )
    for room in stage.chapter:
        bob.invite(room, alice.user_id)
    yield "three invites"
    for client in trio:
        names = client.rows("select name from rooms where membership = 'invite' order by name")
        assert names == [("accepted",), ("rejected",), ("withdrawn",)], client.name
    bob.send_state(accepted, "m.room.topic", {"topic": "changed while invited"})
    alice.join(accepted)
    alice.leave(rejected)
    bob.kick(withdrawn, alice.user_id)
    yield "accepted, rejected, withdrawn"
    for client in trio:
        assert not client.rows("select * from invite_state"), client.name


def newer_invite_replaces_the_older(stage: Stage, trio: Trio) -> Iterator[str]:
    room = stage.room(name="old name", preset="private_chat")
    stage.bob.invite(room, stage.alice.user_id)
    yield "invited"
    stage.bob.kick(room, stage.alice.user_id)
    stage.bob.send_state(room, "m.room.name", {"name": ""})
    stage.bob.invite(room, stage.alice.user_id)
    yield "withdrawn and invited again, the name gone"
    for client in trio:
        left = client.rows("select * from invite_state where room_id = ? and type = 'm.room.name'", room)
        assert all("old name" not in str(row) for row in left), client.name


def invite_beside_archived_state(stage: Stage, trio: Trio) -> Iterator[str]:
    room = stage.room(stage.alice, name="first name", preset="public_chat")
    yield "joined"
    stage.alice.leave(room)
    yield "left"
    stage.bob.send_state(room, "m.room.name", {"name": "second name"})
    stage.bob.invite(room, stage.alice.user_id)
    yield "invited again: the archived state keeps the first name, the invite has the second"
    for client in trio:
        archived = client.rows("select content from archived_state where room_id = ? and type = 'm.room.name'", room)
        invited = client.rows("select content from invite_state where room_id = ? and type = 'm.room.name'", room)
        assert ("first name" in str(archived), "second name" in str(invited)) == (True, True), client.name
    stage.decline(room)
    yield "rejected"
    stage.bob.invite(room, stage.alice.user_id)
    yield "invited a third time"
    stage.alice.join(room)
    yield "and joined"


def knocks(stage: Stage, trio: Trio) -> Iterator[str]:
    alice, bob = stage.alice, stage.bob
    refused, withdrawn, granted = (stage.room(name=f"knock {n}", version="10", **_KNOCK) for n in range(3))
    for room in stage.chapter:
        alice.knock(room)
    yield "three knocks"
    bob.kick(refused, alice.user_id)
    alice.leave(withdrawn)
    bob.invite(granted, alice.user_id)
    yield "refused, withdrawn, granted"
    for client in trio:
        assert not client.rows("select * from knock_state"), client.name
    alice.join(granted)
    alice.knock(refused)
    yield "joined, and knocked again"


def leave_and_rejoin_after_changes(stage: Stage, trio: Trio) -> Iterator[str]:
    room = stage.room(stage.alice, stage.carol, stage.dave, name="changes", topic="before")
    stage.bob.send_state(room, "lab.counter", {"n": 1}, "a")
    yield "joined"
    stage.alice.leave(room)
    yield "left"
    stage.bob.send_state(room, "m.room.topic", {"topic": "while away"})
    stage.bob.send_state(room, "lab.counter", {"n": 2}, "a")
    stage.carol.leave(room)
    stage.talk(room, 15)
    yield "changes that we must not see"
    stage.alice.join(room)
    yield "joined again"
    stage.bob.send_state(room, "lab.counter", {"n": 3}, "b")
    yield "a change after that"


def leave_and_rejoin_in_one_gap(stage: Stage, trio: Trio) -> Iterator[str]:
    room = stage.room(stage.alice, stage.carol)
    yield "joined"
    stage.alice.leave(room)
    stage.bob.send_state(room, "m.room.topic", {"topic": "while away"})
    stage.carol.leave(room)
    stage.alice.join(room)
    yield "left, changed, joined again, in a short timeline"
    stage.alice.leave(room)
    stage.bob.send_state(room, "m.room.topic", {"topic": "while away again"})
    stage.carol.join(room)
    stage.alice.join(room)
    stage.talk(room, 15)
    yield "the same with a long timeline"


def joined_and_left_in_one_gap(stage: Stage, trio: Trio) -> Iterator[str]:
    room = stage.room(name="seen only from inside")
    stage.alice.join(room)
    stage.alice.leave(room)
    stage.inside.add(room)
    yield "joined and left"
    stage.bob.invite(room, stage.alice.user_id)
    yield "invited"


def kicked_and_invited_again(stage: Stage, trio: Trio) -> Iterator[str]:
    room = stage.room(stage.alice, name="kick")
    yield "joined"
    stage.bob.kick(room, stage.alice.user_id)
    stage.state(room)  # what she may see as of the kick; once invited she is refused
    stage.bob.invite(room, stage.alice.user_id)
    yield "kicked and invited again between two syncs"
    stage.alice.join(room)
    stage.bob.kick(room, stage.alice.user_id)
    yield "joined and kicked"
    stage.bob.invite(room, stage.alice.user_id)
    stage.alice.join(room)
    stage.talk(room, 12)
    yield "invited, joined, and a long timeline"


def bans(stage: Stage, trio: Trio) -> Iterator[str]:
    alice, bob = stage.alice, stage.bob
    room = stage.room(alice, name="ban")
    stage.room(name="banned while only invited", preset="private_chat", invite=[alice.user_id])
    yield "joined one, invited to the other"
    for each in stage.chapter:
        bob.ban(each, alice.user_id)
    yield "banned from both"
    bob.unban(room, alice.user_id)
    yield "unbanned"
    bob.ban(room, alice.user_id)
    bob.unban(room, alice.user_id)
    bob.invite(room, alice.user_id)
    bob.kick(room, alice.user_id)
    yield "banned, unbanned, invited, kicked, in one gap"
    alice.join(room)
    yield "joined again"


def forgotten(stage: Stage, trio: Trio) -> Iterator[str]:
    room = stage.room(stage.alice, name="forget")
    stage.bob.redact(room, stage.bob.send(room, "a message"))
    yield "joined"
    stage.alice.leave(room)
    yield "left"
    stage.alice.forget(room)
    for client in trio:
        client.store.forget(room)
        for view in ("rooms", "state", "events", "gaps", "invite_state"):
            assert not client.rows(f"select 1 from {view} where room_id = ?", room), (client.name, view)
    stage.forgotten.add(room)
    yield "forgotten: no trace is left"
    stage.forgotten.discard(room)
    stage.alice.join(room)
    yield "joined again, as if for the first time"
    stage.alice.leave(room)
    stage.alice.join(room)
    stage.alice.leave(room)
    stage.alice.forget(room)
    stage.forgotten.add(room)
    yield "left and forgotten in one gap"
    for client in trio:
        assert client.membership(room) == "leave", client.name


CHAPTERS = [
    invite_accepted_rejected_withdrawn,
    newer_invite_replaces_the_older,
    invite_beside_archived_state,
    knocks,
    leave_and_rejoin_after_changes,
    leave_and_rejoin_in_one_gap,
    joined_and_left_in_one_gap,
    kicked_and_invited_again,
    bans,
    forgotten,
]

"""Which rooms we are in, and what a snapshot proves (promises 8 and 9)."""

from __future__ import annotations

import pytest

from tests.store.bodies import ANN, BOB, ME, OTHER, ROOM, create, member, message, name, stripped, topic, wrapped
from tests.store.conftest import Feed, Sql

MEMBERSHIP = "SELECT room_id, membership FROM rooms ORDER BY room_id DESC"
INVITES = "SELECT count(*) FROM invite_state"
KNOCKS = "SELECT count(*) FROM knock_state"


def test_p08_joining_clears_the_invite_and_the_knock_pile(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.invite(ROOM, stripped("m.room.name", {"name": "I"})).knock(OTHER))
    feed.take(feed.next.join(ROOM, name("$n", "N"), state=[create()]).join(OTHER, state=[create()]))
    assert (sql(INVITES), sql(KNOCKS)) == ([(0,)], [(0,)])
    assert sql("SELECT membership, name, inviter FROM rooms WHERE room_id = ?", ROOM) == [("join", "N", None)]


@pytest.mark.parametrize(
    ("sender", "membership", "shown"), [(ME, "leave", "leave"), (ANN, "leave", "leave"), (ANN, "ban", "ban")]
)
@pytest.mark.parametrize("after", [False, True])
def test_p08_leave_kick_and_ban_archive_the_pile(
    feed: Feed, sql: Sql, after: bool, sender: str, membership: str, shown: str
) -> None:
    feed.take(feed.next.join(ROOM, topic("$t", "T"), state=[create(), member("$j", ME, "join")]))
    feed.take(feed.next.leave(ROOM, message("$m"), member("$l", ME, membership, sender=sender), after=after))
    assert sql(MEMBERSHIP) == [(ROOM, shown)]
    assert sql("SELECT event_id FROM archived_state ORDER BY type") == [("$create",), ("$l",), ("$t",)]
    assert sql("SELECT membership FROM members WHERE user_id = ?", ME) == [(membership,)]


def test_p08_a_rejected_invite_keeps_what_was_archived(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, name("$n", "Old"), state=[create()]))
    feed.take(feed.next.leave(ROOM, member("$l", ME, "leave")))
    feed.take(feed.next.invite(ROOM, stripped("m.room.name", {"name": "New"})))
    feed.take(feed.next.leave(ROOM, member("$no", ME, "leave")))
    assert sql(INVITES) == [(0,)]
    assert sql("SELECT membership, name, inviter FROM rooms") == [("leave", "Old", None)]
    assert sql("SELECT event_id FROM archived_state ORDER BY type") == [("$create",), ("$no",), ("$n",)]


def test_p08_a_rejected_invite_of_an_unknown_room_leaves_none(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.invite(ROOM))
    feed.take(feed.next.leave(ROOM))
    assert (sql(INVITES), sql(MEMBERSHIP)) == ([(0,)], [(ROOM, "leave")])


def test_p08_a_ban_that_only_the_pile_knows(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.leave(ROOM, member("$b", ME, "ban", sender=ANN)))
    feed.take(feed.next.leave(ROOM, message("$m")))
    assert sql(MEMBERSHIP) == [(ROOM, "ban")]
    feed.take(feed.next.leave(ROOM, member("$u", ME, "leave", sender=ANN)))
    assert sql(MEMBERSHIP) == [(ROOM, "leave")]


def test_one_room_in_two_sections_ends_as_the_later_one(feed: Feed, sql: Sql) -> None:
    """Kicked and invited again between two syncs; the invite stands first in the JSON, as a real server sends it."""
    feed.take(feed.next.join(ROOM, name("$n", "Old"), state=[create()]))
    feed.take(feed.next.invite(ROOM, stripped("m.room.name", {"name": "New"})).leave(ROOM, member("$k", ME, "leave")))
    assert sql("SELECT membership, name FROM rooms") == [("invite", "New")]
    assert sql("SELECT event_id FROM archived_state ORDER BY type") == [("$create",), ("$k",), ("$n",)]


def test_nobody_types_in_a_room_we_left(feed: Feed, sql: Sql) -> None:
    typing = wrapped([{"type": "m.typing", "content": {"user_ids": [ANN]}}])
    feed.take(feed.next.join(ROOM, message("$a"), ephemeral=typing).join(OTHER, message("$a"), ephemeral=typing))
    feed.take(feed.next.leave(ROOM, member("$l", ME, "leave")))
    assert sql("SELECT room_id FROM typing") == [(OTHER,)]
    feed.snapshot(feed.next)
    assert sql("SELECT room_id FROM typing") == []


def fill(feed: Feed) -> None:
    body = feed.next.join(ROOM, name("$n", "N"), state=[create(), member("$j", ME, "join")])
    feed.take(body.invite(OTHER, stripped("m.room.name", {"name": "I"})).knock("!knock:example.org"))


def test_p09_a_snapshot_proves_absence(feed: Feed, sql: Sql) -> None:
    fill(feed)
    feed.snapshot(feed.next)
    assert {row[1] for row in sql(MEMBERSHIP)} == {"leave"}
    assert (sql(INVITES), sql(KNOCKS)) == ([(0,)], [(0,)])
    assert sql("SELECT count(*) FROM archived_state") == [(3,)]
    assert sql("SELECT name FROM rooms WHERE room_id = ?", ROOM) == [("N",)]


def test_p09_what_joined_rooms_confirms_stays(feed: Feed, sql: Sql) -> None:
    fill(feed)
    feed.snapshot(feed.next, joined=[ROOM])
    assert {row[0]: row[1] for row in sql(MEMBERSHIP)}[ROOM] == "join"
    assert sql(INVITES) == [(0,)]
    # Nothing was told of its timeline: what comes next is after an absence.
    feed.take(feed.next.join(ROOM, message("$later")))
    assert sql("SELECT kind, since, newest_before FROM gaps WHERE kind <> 'start'") == [("absence", "s1", "$n")]


@pytest.mark.parametrize("full_state", [False, True])
def test_p09_nothing_else_proves_absence(feed: Feed, sql: Sql, full_state: bool) -> None:
    fill(feed)
    before = sql(MEMBERSHIP)
    feed.take(feed.next.join("!new:example.org", message("$a")), full_state=full_state)
    assert [row for row in sql(MEMBERSHIP) if row[0] != "!new:example.org"] == before
    assert sql(INVITES) == [(2,)]


def test_p09_a_snapshot_with_left_rooms_tells_of_bans(feed: Feed, sql: Sql) -> None:
    fill(feed)
    feed.snapshot(feed.next.leave(ROOM, member("$b", ME, "ban", sender=BOB), state=[create()]))
    assert {row[0]: row[1] for row in sql(MEMBERSHIP)}[ROOM] == "ban"

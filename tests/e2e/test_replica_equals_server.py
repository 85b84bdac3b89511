"""Three replicas of one account, synced from a real server in three ways, against what that server says itself."""

from __future__ import annotations

import pytest

from .chapters import CHAPTERS, Chapter
from .stage import Stage
from .trio import Client, Trio, uncovered

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]


@pytest.mark.sample
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.__name__)
def test_replica_equals_server(stage: Stage, trio: Trio, chapter: Chapter) -> None:
    stage.chapter.clear()
    for moment in chapter(stage, trio):
        trio.sync()
        differences = trio.differences(stage.chapter)
        assert not differences, f"after “{moment}”:\n" + "\n".join([*differences[:20], *trio.told_again(stage.chapter)])


@pytest.mark.sample
def test_nothing_is_missing_without_a_gap(stage: Stage, trio: Trio) -> None:
    # A forked room is in another order in /messages than in /sync: its gaps stand elsewhere.
    rooms = [room for room in stage.alice.joined_rooms() if room not in stage.forked]
    lines = [line for room in rooms for client in trio for line in uncovered(client, stage, room)]
    assert not lines, "\n".join(lines[:20])


def test_members_are_completed_on_demand(stage: Stage, trio: Trio) -> None:
    room = stage.room(stage.alice, stage.carol, stage.dave)
    stage.talk(room, 20)
    trio.sync()
    server = trio.default.syncer().server
    members = trio.default.store.room(room).members("join", load=server.members)
    assert {member.user_id for member in members} == {
        user.user_id for user in (stage.alice, stage.bob, stage.carol, stage.dave)
    }
    assert trio.default.members_synced(room)


def test_filled_gaps_leave_nothing_missing(stage: Stage, trio: Trio) -> None:
    """After back-fill every event that the server shows has its place, and redactions found on the way have struck."""
    for client in trio:
        client.syncer().backfill_all(budget=500)
        left = client.rows("select room_id, reason from gaps where status = 'open'")
        assert not left, left
    rooms = [room for room in stage.alice.joined_rooms() if room not in stage.forgotten]
    missing = [line for room in rooms for client in trio for line in _missing(client, stage, room)]
    assert not missing, "\n".join(missing[:20])
    stage.unpruned.clear()
    assert not trio.differences(rooms)
    assert all(not client.store.check() for client in trio)


def _missing(client: Client, stage: Stage, room: str) -> list[str]:
    stored = {row[0] for row in client.rows("select event_id from timeline where room_id = ?", room)}
    return [f"{client.name} {room}: {event_id}" for event_id in stage.history(room) if event_id not in stored]

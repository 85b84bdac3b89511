"""One room of a response: its timeline, its pile, what stands beside them, and what becomes of our membership."""

from __future__ import annotations

from syncstore.model.batch import Summary, membership_of
from syncstore.model.changes import RoomChanges, TimelineChange
from syncstore.store import room, stripped
from syncstore.store.ephemeral import write_beside
from syncstore.store.event import Known, queue_events
from syncstore.store.impostor import is_itself, set_aside_impostors
from syncstore.store.new_events import Place
from syncstore.store.room import RoomRow
from syncstore.store.state import apply_steps
from syncstore.store.timeline import Tokens, coverage, freeze, place_timeline, reopen
from syncstore.store.write import Write

OWN_MEMBERSHIP = """
    SELECT membership FROM room_state WHERE room = ? AND type = 'm.room.member' AND state_key = ?
"""


def write_room(write: Write, changes: RoomChanges, row: RoomRow | None, known: dict[str, Known], tokens: Tokens) -> int:
    """Apply one room entry; returns the room's number. known: which of its events are stored already."""
    new_room = row is None
    if row is None:
        row = room.make(write, changes.room_id, changes.membership or "leave")
    membership = row.membership
    joined_before = membership == "join" and not new_room
    covered = coverage(row, joined_before, tokens)
    if changes.pile is None:
        _write_stay(write, row, changes, known, covered, tokens, new_room=new_room)
    else:
        _write_stripped(write, row, changes, covered)
    write_beside(write, row, changes)
    if changes.summary is not None:
        _summary(write, row, changes.summary)
    if row.membership != membership or new_room:
        write.touch(row.id, "membership")
        write.derive.add(row.id)
    if room.save(write, row):
        write.touch(row.id, "room")
    return row.id


def _write_stripped(write: Write, row: RoomRow, changes: RoomChanges, covered: str | None) -> None:
    """An invite or a knock: its own pile; what we hold of the room stays as it is (promise 7)."""
    assert changes.pile is not None
    stripped.replace_pile(write, row, changes.pile, changes.stripped)
    row.membership = changes.pile
    freeze(write, row, covered)
    row.inviter = changes.inviter
    row.invited_directly = int(changes.invited_directly)
    write.derive.add(row.id)


def _write_stay(
    write: Write,
    row: RoomRow,
    changes: RoomChanges,
    known: dict[str, Known],
    covered: str | None,
    tokens: Tokens,
    *,
    new_room: bool,
) -> None:
    """A join or leave entry: timeline, state pile, and what the section makes of the membership (promise 8)."""
    stripped.clear_piles(write, row)
    row.inviter, row.invited_directly = None, 0
    timeline = changes.timeline
    # A server that sends everything anew, unasked, took us for newly joined: what it lists proves nothing.
    restarts = row.membership != "join" or (changes.restates and not tokens.full_state)
    continues = not restarts and tokens.since is not None and tokens.since == covered
    ids, places, before = _write_events(write, row, changes, timeline, known, covered, tokens, continues=continues)
    steps = changes.steps
    if known:
        events = (*(timeline.events if timeline else ()), *changes.state_events)
        set_aside_impostors(write, row.room_id, events, known)
        steps = [step for step in steps if is_itself(step, known.get(step.event_id))]
    whole = apply_steps(write, row, steps, ids, places, before, new_room=new_room, restates=changes.restates)
    _members_synced(write, row, changes, whole=whole)
    was_inside = row.membership == "join"
    row.membership = changes.membership or own_membership(write, row)
    if row.membership == "join":
        row.covered_to = row.covered_batch = None
        if not was_inside:
            reopen(write, row)
    else:
        # A token out of a list by topology bounds nothing that arrives late: then the older one stays.
        freeze(write, row, (continues and timeline and timeline.prev_batch) or covered)


def _write_events(
    write: Write,
    row: RoomRow,
    changes: RoomChanges,
    timeline: TimelineChange | None,
    known: dict[str, Known],
    covered: str | None,
    tokens: Tokens,
    *,
    continues: bool,
) -> tuple[dict[str, int], list[Place], Place | tuple[None, None]]:
    """Store the events of an entry: (row ids by event_id, places of the timeline's events, where it begins)."""
    places: list[Place] = []
    before: Place | tuple[None, None] = (None, None)
    ids: dict[str, int] = {}
    if changes.state_events:
        ids = queue_events(write, row.id, "state", changes.state_events, known)
    if timeline is not None:
        fresh, places, before = place_timeline(write, row, timeline, known, covered, tokens, continues=continues)
        if timeline.events:
            told, live_from = timeline.events, 0 if continues else _live_from(write, changes, tokens)
            ids |= queue_events(write, row.id, "timeline", told, known, fresh, timeline.prev_batch, live_from=live_from)
    elif row.last_segment is not None:
        before = (row.last_segment, row.last_position + 1)
    return ids, places, before


def _live_from(write: Write, changes: RoomChanges, tokens: Tokens) -> int:
    """Where in a timeline that does not continue ours the present begins: after our own join, if it tells that."""
    assert changes.timeline is not None
    events = changes.timeline.events
    if tokens.since is None or changes.section != "join":
        return len(events)
    joins = (
        at
        for at, one in enumerate(events)
        if one.state_key == write.user_id and membership_of(one.type, one.body) == "join"
    )
    return max(joins, default=-1) + 1


def own_membership(write: Write, row: RoomRow) -> str:
    """A leave entry that does not hold our own member event: the pile tells whether we are banned."""
    found = write.cursor.execute(OWN_MEMBERSHIP, (row.id, write.user_id)).fetchone()
    return "ban" if found is not None and found[0] == "ban" else "leave"


def _members_synced(write: Write, row: RoomRow, changes: RoomChanges, *, whole: bool) -> None:
    """Whether the pile has every member (promise 9).

    A server that loads members lazily says how many there are: the list is complete if the pile has as many. It does
    not say so each time; only one that never did, in any room, sends them all. Leave entries never carry a count.
    """
    counts = changes.summary
    if counts is not None and counts.joined is not None:
        write.counts_members = True
        invited = row.summary_invited if counts.invited is None else counts.invited
        complete = row.pile_joined == counts.joined and invited in (None, row.pile_invited)
        row.members_synced = int(complete if whole else complete and bool(row.members_synced))
    elif whole:
        row.members_synced = int(changes.section == "join" and not write.counts_members)


def _summary(write: Write, row: RoomRow, told: Summary) -> None:
    """A field that the server leaves out is unchanged."""
    before = (row.heroes, row.summary_joined, row.summary_invited)
    row.heroes = row.heroes if told.heroes is None else told.heroes
    row.summary_joined = row.summary_joined if told.joined is None else told.joined
    row.summary_invited = row.summary_invited if told.invited is None else told.invited
    if before != (row.heroes, row.summary_joined, row.summary_invited):
        write.derive.add(row.id)

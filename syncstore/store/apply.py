"""One response, one transaction: rooms, account, redactions, derived columns, and the token last (promises 1 to 4)."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Collection
from typing import NamedTuple

from syncstore.errors import StaleBatchError
from syncstore.model.batch import membership_of
from syncstore.model.changes import Changes, RoomChanges, TimelineChange
from syncstore.model.records import Applied
from syncstore.store import room, stripped
from syncstore.store.account import mark_suspect, write_account, write_quarantine
from syncstore.store.connection import Connections
from syncstore.store.echo import confirm_echoes
from syncstore.store.ephemeral import clear_typing, write_beside
from syncstore.store.event import Known, Place, known_events, write_events
from syncstore.store.impostor import is_itself, set_aside_impostors
from syncstore.store.naming import derive_rooms
from syncstore.store.redaction import apply_redactions
from syncstore.store.room import RoomRow
from syncstore.store.state import apply_steps
from syncstore.store.timeline import Tokens, coverage, freeze, place_timeline, reopen
from syncstore.store.write import Write

TOKEN = "SELECT token FROM stream WHERE name = 'sync'"
SET_TOKEN = """
    INSERT INTO stream (name, token, updated_at) VALUES ('sync', ?, ?)
    ON CONFLICT (name) DO UPDATE SET token = excluded.token, updated_at = excluded.updated_at
"""
FINISH_BATCH = """
    UPDATE batch SET since = ?, next_batch = ?, initial = ?, full_state = ?, fetch_ms = ?, apply_ms = ?, body_bytes = ?,
        event_count = ?, known_count = ?, quarantined_count = ?, form = ?
    WHERE id = ?
"""
ROOMS_WE_ARE_IN = "SELECT id, room_id FROM room WHERE membership IN ('join', 'invite', 'knock')"
OWN_MEMBERSHIP = """
    SELECT membership FROM room_state WHERE room = ? AND type = 'm.room.member' AND state_key = ?
"""
# Of a length that Python turns into a number; a longer one tells nothing.
_LEADING_NUMBER = re.compile(r"[a-z]?([0-9]{1,300})(?![0-9])")


class Asked(NamedTuple):
    """What the request carried. `since` and `held` as promise 2 says; `told` false: a replay, take the stored token."""

    since: str | None
    held: str | None
    told: bool
    full_state: bool = False
    fetch_ms: int | None = None
    joined: Collection[str] | None = None  # what /joined_rooms confirmed, asked with a snapshot


def apply_batch(connections: Connections, changes: Changes, asked: Asked) -> Applied:
    """Commit one response, or nothing of it.

    Raises StaleBatchError if the stored token is not the one that the request was sent under, and StoreError kinds. A
    response whose next_batch is stored already is a repetition: nothing is written.
    """
    started = time.perf_counter()
    # To-device messages are gone from the server once this token is used: they must be on the disk first.
    # One that could not be read is gone there too: its bytes in quarantine are the only copy.
    durable = bool(changes.to_device) or any(bad.section == "to_device" for bad in changes.bad)
    with connections.write(durable=durable) as cursor:
        tokens, repeated = _compare(cursor, changes, asked)
        if repeated:
            return Applied(None, False, 0, 0, 0, 0, 0, repeated=True)
        write = Write(cursor, "sync", int(time.time() * 1000))
        _write_rooms(write, changes, tokens, asked.joined)
        write_account(write, changes, snapshot=tokens.since is None, first=tokens.held is None)
        _notice_reset(write, tokens)
        confirm_echoes(write)
        apply_redactions(write)
        derive_rooms(write)
        write.write_touched()
        _finish(write, changes, tokens, asked, started)
        cursor.execute(SET_TOKEN, (changes.next_batch, write.now))
        return _applied(write, tokens)


def _compare(cursor: sqlite3.Cursor, changes: Changes, asked: Asked) -> tuple[Tokens, bool]:
    """Compare the stored token with the one the request was sent under: (tokens, whether it is a repetition)."""
    row = cursor.execute(TOKEN).fetchone()
    stored: str | None = row[0] if row else None
    since, held = (asked.since, asked.held) if asked.told else (stored, stored)
    tokens = Tokens(since, held, changes.next_batch, asked.full_state)
    if stored is not None and stored == changes.next_batch and (held != stored or not asked.told):
        return tokens, True
    if held != stored:
        raise StaleBatchError(
            f"the response continues from {_told(held)} but the store is at {_told(stored)}: another sync was faster; "
            "read the token again and ask from there"
        )
    return tokens, False


def _told(token: str | None) -> str:
    return "the beginning" if token is None else token


def _write_rooms(write: Write, changes: Changes, tokens: Tokens, joined: Collection[str] | None) -> None:
    seen: set[int] = set()
    for one in changes.rooms:
        if one.bad:
            write_quarantine(write, one.bad)
        if one.room_id:
            seen.add(_write_room(write, one, tokens))
    if tokens.since is None:
        _leave_unseen(write, seen, tokens, joined or ())


def _write_room(write: Write, changes: RoomChanges, tokens: Tokens) -> int:
    """Apply one room entry; returns the room's number."""
    row = room.find(write, changes.room_id)
    new_room = row is None
    if row is None:
        row = room.make(write, changes.room_id, changes.membership or "leave")
    membership = row.membership
    joined_before = membership == "join" and not new_room
    covered = coverage(row, joined_before, tokens)
    if changes.pile is None:
        _write_stay(write, row, changes, covered, tokens, new_room=new_room)
    else:
        _write_stripped(write, row, changes, covered)
    write_beside(write, row, changes)
    _summary(write, row, changes)
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
    write: Write, row: RoomRow, changes: RoomChanges, covered: str | None, tokens: Tokens, *, new_room: bool
) -> None:
    """A join or leave entry: timeline, state pile, and what the section makes of the membership (promise 8)."""
    stripped.clear_piles(write, row)
    row.inviter, row.invited_directly = None, 0
    timeline = changes.timeline
    events = timeline.events if timeline else []
    known: dict[str, Known] = {}
    if not new_room:
        known = known_events(write, row.id, (*events, *changes.state_events))
    # A server that sends everything anew, unasked, took us for newly joined: what it lists proves nothing.
    restarts = row.membership != "join" or (changes.restates and not tokens.full_state)
    continues = not restarts and tokens.since is not None and tokens.since == covered
    ids, places, before = _write_events(write, row, changes, timeline, known, covered, tokens, continues=continues)
    steps = changes.steps
    if known:
        set_aside_impostors(write, row.room_id, (*events, *changes.state_events), known)
        steps = [step for step in steps if is_itself(step, known.get(step.event_id))]
    whole = apply_steps(write, row, steps, ids, places, before, new_room=new_room, restates=changes.restates)
    _members_synced(write, row, changes, whole=whole)
    was_inside = row.membership == "join"
    row.membership = changes.membership or _own_membership(write, row)
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
        ids = write_events(write, row.id, "state", changes.state_events, known)
    if timeline is not None:
        fresh, places, before = place_timeline(write, row, timeline, known, covered, tokens, continues=continues)
        if timeline.events:
            told, live_from = timeline.events, 0 if continues else _live_from(write, changes, tokens)
            ids |= write_events(write, row.id, "timeline", told, known, fresh, timeline.prev_batch, live_from=live_from)
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


def _own_membership(write: Write, row: RoomRow) -> str:
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


def _summary(write: Write, row: RoomRow, changes: RoomChanges) -> None:
    """A field that the server leaves out is unchanged."""
    told = changes.summary
    if told is None:
        return
    before = (row.heroes, row.summary_joined, row.summary_invited)
    row.heroes = row.heroes if told.heroes is None else told.heroes
    row.summary_joined = row.summary_joined if told.joined is None else told.joined
    row.summary_invited = row.summary_invited if told.invited is None else told.invited
    if before != (row.heroes, row.summary_joined, row.summary_invited):
        write.derive.add(row.id)


def _leave_unseen(write: Write, seen: set[int], tokens: Tokens, joined: Collection[str]) -> None:
    """Only a request without since proves absence: rooms it does not list are left, their invites gone (promise 9)."""
    for number, room_id in write.cursor.execute(ROOMS_WE_ARE_IN).fetchall():
        if number in seen:
            continue
        row = room.find_by_id(write, number)
        if row.membership == "join" and row.covered_to is None:
            freeze(write, row, tokens.held)  # also if we are still in: this response told nothing of its timeline
        if room_id not in joined:
            clear_typing(write, number)
            stripped.clear_piles(write, row)
            row.inviter, row.invited_directly = None, 0
            row.membership = _own_membership(write, row)
            write.touch(number, "membership")
            write.derive.add(number)
        room.save(write, row)


def _notice_reset(write: Write, tokens: Tokens) -> None:
    """Tokens that go backwards: the server was restored from a backup, and what it lost we may hold (promise 19)."""
    if tokens.since is None:
        return
    old, new = (_LEADING_NUMBER.match(token) for token in (tokens.since, tokens.next_batch))
    if old and new and int(new[1]) < int(old[1]):
        mark_suspect(write, f"the server's tokens went back from {tokens.since} to {tokens.next_batch}")


def _finish(write: Write, changes: Changes, tokens: Tokens, asked: Asked, started: float) -> None:
    """Fill the batch row, if anything needed one."""
    if write.batch_or_none is None:
        return
    write.cursor.execute(
        FINISH_BATCH,
        (
            tokens.since,
            changes.next_batch,
            int(tokens.since is None),
            int(asked.full_state),
            asked.fetch_ms,
            round((time.perf_counter() - started) * 1000),
            changes.body_bytes,
            write.event_count,
            write.known_count,
            write.quarantined_count,
            changes.form,
            write.batch,
        ),
    )


def _applied(write: Write, tokens: Tokens) -> Applied:
    return Applied(
        write.batch_or_none,
        tokens.since is None,
        len(write.touched_rooms),
        write.event_count,
        write.event_count - write.known_count,
        write.quarantined_count,
        write.stripped_count,
    )

"""One response, one transaction: rooms, account, redactions, derived columns, and the token last (promises 1 to 4)."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from syncstore.errors import StaleBatchError
from syncstore.model.changes import Changes, RoomChanges
from syncstore.model.records import Applied
from syncstore.store import room, stripped
from syncstore.store.account import mark_suspect, write_account, write_quarantine
from syncstore.store.connection import Connections
from syncstore.store.echo import confirm_echoes
from syncstore.store.entry import own_membership, write_room
from syncstore.store.ephemeral import clear_typing
from syncstore.store.event import known_in_rooms
from syncstore.store.naming import derive_rooms
from syncstore.store.redaction import apply_redactions
from syncstore.store.room import RoomRow
from syncstore.store.timeline import Tokens, freeze
from syncstore.store.write import ACCOUNT, Write

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
_GROUP = 64  # rooms, and rows that they bring
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
        write = Write(cursor, "sync", int(time.time() * 1000))
        tokens, repeated = _compare(write.token, changes, asked)
        if repeated:
            return Applied(None, False, 0, 0, 0, 0, 0, repeated=True)
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


def _compare(stored: str | None, changes: Changes, asked: Asked) -> tuple[Tokens, bool]:
    """Compare the stored token with the one the request was sent under: (tokens, whether it is a repetition)."""
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
    for group in _groups(changes.rooms):
        rows = room.find_all(write.cursor, [one.room_id for one in group])
        known = known_in_rooms(write, _listed(group, rows))
        write.first_of_group = write.next_event
        for one in group:
            write_quarantine(write, one.bad)
            if one.room_id:
                row = rows.get(one.room_id)
                seen.add(write_room(write, one, row, {} if row is None else known.get(row.id, {}), tokens))
        write.flush_events()
    if tokens.since is None:
        _leave_unseen(write, seen, tokens, joined or ())


def _groups(rooms: Iterable[RoomChanges]) -> Iterator[list[RoomChanges]]:
    """Rooms that are looked up and written together: each once, and not much, for they are in memory together."""
    group: dict[str, RoomChanges] = {}
    weight = 0
    for one in rooms:
        if one.room_id in group:
            yield list(group.values())
            group, weight = {}, 0
        group[one.room_id] = one
        weight += _weight(one)
        if weight >= _GROUP:
            yield list(group.values())
            group, weight = {}, 0
    yield list(group.values())


def _weight(one: RoomChanges) -> int:
    """About how many rows a room brings, itself one of them: also one that has no events holds much of a response."""
    events = len(one.state_events) + (len(one.timeline.events) if one.timeline else 0)
    beside = len(one.stripped) + len(one.receipts) + len(one.account_data) + len(one.unknown) + len(one.bad)
    return 1 + events + beside


def _listed(group: Iterable[RoomChanges], rows: Mapping[str, RoomRow]) -> list[tuple[int, str]]:
    """The events of rooms that are stored already: (room, event_id)."""
    found: list[tuple[int, str]] = []
    for one in group:
        if (row := rows.get(one.room_id)) is not None:
            number, timeline = row.id, one.timeline
            found += [(number, event.event_id) for event in (timeline.events if timeline else ())]
            found += [(number, event.event_id) for event in one.state_events]
    return found


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
            row.membership = own_membership(write, row)
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
        len(write.touched_rooms - {ACCOUNT}),
        write.event_count,
        write.event_count - write.known_count,
        write.quarantined_count,
        write.stripped_count,
    )

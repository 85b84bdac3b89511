"""One room entry to its changes. Sections differ only here (promises 7 and 8)."""

from __future__ import annotations

from msgspec.structs import replace

from syncstore.model.batch import RoomEntry
from syncstore.model.changes import ContentRow, RoomChanges
from syncstore.reduce import state
from syncstore.reduce.ephemeral import content_rows, other_ephemeral, receipt_rows, typing_users
from syncstore.reduce.stripped import own_invite, stripped_rows
from syncstore.reduce.timeline import beside_timeline, once, timeline_change


def reduce_room(entry: RoomEntry, user_id: str) -> RoomChanges:
    """The changes of one room in one section."""
    changes = RoomChanges(entry.room_id, entry.section, entry.section, bad=list(entry.bad))
    if entry.section in ("join", "leave"):
        _stay(changes, entry, user_id)
    else:
        _stripped(changes, entry, user_id)
    if entry.ephemeral:
        changes.receipts = receipt_rows(entry.ephemeral)
        changes.typing = typing_users(entry.ephemeral)
        changes.unknown = other_ephemeral(entry.ephemeral)
    if entry.account_data:
        changes.account_data = content_rows(entry.account_data)
    if entry.unknown:
        changes.unknown += [ContentRow(key, text, 0) for key, text in entry.unknown]
    changes.summary = entry.summary
    changes.unread = entry.unread
    changes.thread_unread = entry.thread_unread
    return changes


def _stay(changes: RoomChanges, entry: RoomEntry, user_id: str) -> None:
    timeline, block = once(entry.timeline), once(entry.state)
    if timeline is not entry.timeline or block is not entry.state:
        entry = replace(entry, timeline=timeline, state=block)
    changes.timeline = timeline_change(entry)
    # Most timelines hold messages only: they leave the pile alone.
    if block or [event for event in timeline if event.state_key is not None]:
        changes.state_events = beside_timeline(entry)
        changes.steps = state.steps(entry, user_id)
        changes.restates = state.brings_create(entry)
    if entry.section == "leave":
        changes.membership = _left_as(state.own_membership(entry, user_id))


def _left_as(told: str | None) -> str | None:
    """A room in the leave section is left, or banned if our own newest member event says so."""
    if told is None:
        return None
    return "ban" if told == "ban" else "leave"


def _stripped(changes: RoomChanges, entry: RoomEntry, user_id: str) -> None:
    changes.pile = "invite" if entry.section == "invite" else "knock"
    changes.stripped = stripped_rows(entry, changes.bad)
    if (invite := own_invite(entry, user_id)) is not None:
        changes.inviter = invite.sender
        changes.invited_directly = invite.body.get("is_direct") is True

"""Histories to draw: policies of the server, and actions as plain tuples: a failing example reads like a script."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.account.events import ME, OTHERS, Json
from tests.account.server import MOVES, Account

Action = tuple[Any, ...]

POLICIES: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {
        "rejoin": st.sampled_from(["full", "delta"]),
        "overlap": st.sampled_from([0, 2]),
        "newly_limited": st.booleans(),
        "prev_batch": st.sampled_from(["always", "limited"]),
        "stranger": st.sampled_from(["full", "none"]),
        "lazy": st.booleans(),
    }
)

_ROOM = st.integers(0, 1)
_NTH = st.integers(0, 4)
_PEOPLE = st.sampled_from([*OTHERS, ME])
_EVENTS = st.one_of(
    st.tuples(st.just("send"), _ROOM, _PEOPLE),
    st.tuples(st.just("late"), _ROOM),
    st.tuples(st.just("edit"), _ROOM, _NTH),
    st.tuples(st.just("redact"), _ROOM, _NTH),
    st.tuples(st.just("state"), _ROOM, st.sampled_from(["m.room.name", "m.room.topic"]), st.just("")),
    st.tuples(st.just("state"), _ROOM, st.just("org.example"), st.sampled_from(["", "a"])),
    st.tuples(st.just("lost"), _ROOM, st.sampled_from(["m.room.name", "org.example"])),
    st.tuples(st.just("other"), _ROOM, st.sampled_from(OTHERS[1:]), st.sampled_from(["join", "leave", "ban"])),
)
# Which of the moves that are allowed then: most drawn memberships would be refused.
_MOVE = st.tuples(st.just("me"), _ROOM, st.integers(0, 3))
_KICK = st.tuples(st.just("kick"), _ROOM)
_BESIDE = st.one_of(
    st.tuples(st.just("receipt"), _ROOM, _PEOPLE, st.sampled_from([None, "main"])),
    st.tuples(st.just("typing"), _ROOM, st.lists(st.sampled_from(OTHERS), max_size=2, unique=True)),
    st.tuples(st.just("unread"), _ROOM, st.integers(0, 9)),
    st.tuples(st.just("room_data"), _ROOM, st.sampled_from(["m.tag", "m.fully_read"]), st.booleans()),
    st.tuples(st.just("data"), st.sampled_from(["m.push_rules", "org.example"]), st.booleans()),
    st.just(("to_device",)),
)
# Our own comings and goings weigh as much as the events: they are what stores get wrong. (one_of flattens: a group
# counts as often as it has members.)
ACTIONS: st.SearchStrategy[Action] = st.one_of(_EVENTS, _BESIDE, _KICK, *[_MOVE] * 7)
SYNC_NAMES = frozenset({"sync", "unanswered", "full_state", "snapshot"})
SYNCS: st.SearchStrategy[Action] = st.one_of(
    *[st.tuples(st.just("sync"), st.sampled_from([2, 4, 50]))] * 3,
    st.tuples(st.just("unanswered"), st.sampled_from([2, 50])),
    st.tuples(st.just("full_state"), st.sampled_from([2, 50])),
    st.tuples(st.just("snapshot"), st.sampled_from([2, 4, 50]), st.booleans()),
)


def histories(syncs: st.SearchStrategy[Action] = SYNCS) -> st.SearchStrategy[list[Action]]:
    """A first sync, then runs of actions, each ended by a sync; a least number, or Hypothesis draws short ones."""
    run = st.tuples(st.lists(ACTIONS, max_size=5), syncs)
    runs = st.lists(run, min_size=6, max_size=20)
    return runs.map(lambda runs: [("sync", 50), *(one for run in runs for one in [*run[0], run[1]])])


def new_account(policy: Json | None = None) -> Account:
    """An account with two rooms of somebody else's, one of version 10 (which we are in) and one of 11."""
    account = Account(policy)
    first = account.create("10")
    account.create("11")
    account.move(first, "join")
    return account


def perform(account: Account, action: Action) -> bool:
    """Let one action happen on the server; False if nobody may do that now."""
    name, *arguments = action
    if name == "to_device":
        return account.send_to_device()
    if name == "data":
        return account.set_account_data(arguments[0], empty=arguments[1])
    return _in_room(account, name, list(account.rooms)[arguments[0]], arguments[1:])


def _in_room(account: Account, name: str, room_id: str, arguments: list[Any]) -> bool:
    if name == "send":
        return account.send(room_id, *arguments)
    if name == "late":
        return account.send(room_id, late=True)
    if name == "state":
        return account.set_state(room_id, *arguments)
    if name == "lost":
        return account.set_state(room_id, *arguments, lost=True)
    if name == "other":
        return account.move_other(room_id, *arguments)
    if name == "me":
        allowed = MOVES[account.membership(room_id)]
        return account.move(room_id, allowed[arguments[0] % len(allowed)])
    if name == "kick":
        return account.membership(room_id) in ("join", "invite", "knock", "ban") and account.move(
            room_id, "leave", by_me=False
        )
    if name == "unread":
        return account.set_unread(room_id, (arguments[0], arguments[0] // 2))
    if name == "room_data":
        return account.set_account_data(arguments[0], room_id, empty=arguments[1])
    if name == "edit":
        return account.edit(room_id, *arguments)
    if name == "redact":
        return account.redact(room_id, *arguments)
    if name == "receipt":
        return account.receipt(room_id, *arguments)
    return account.type(room_id, *arguments)

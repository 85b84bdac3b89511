"""The store under test, fed with the model's answers in one wire form."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from syncstore import SyncStore
from syncstore.errors import StaleBatchError
from tests.account import forms
from tests.account.answer import sync
from tests.account.events import ME, Json
from tests.account.expect import Expected, Shows
from tests.account.server import Account

from .script import Action

Render = Callable[[Json], Json]

FORMS: dict[str, Render] = {
    "classic": forms.classic,
    "state_after": forms.state_after,
    "unstable": lambda answer: forms.state_after(answer, forms.UNSTABLE, own_left=False),
    "rewritten": lambda answer: forms.to_2015(forms.classic(answer)),
    "2015": forms.native_2015,
}


SHOWS: dict[str, Shows] = {
    "classic": "start",
    "state_after": "end",
    "unstable": "end",
    "rewritten": "rewritten",
    "2015": "2015",
}


def body(answer: Json, render: Render, *, backwards: bool = False) -> bytes:
    """The bytes of a response; `backwards`: every object's keys in the opposite order, which JSON says is the same."""
    rendered = render(answer)
    return json.dumps(_backwards(rendered) if backwards else rendered).encode()


def _backwards(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _backwards(value[name]) for name in reversed(value)}
    if isinstance(value, list):
        return [_backwards(one) for one in value]
    return value


def apply(store: SyncStore, answer: Json, held: str | None, render: Render, *, backwards: bool = False) -> str:
    """Give the store one answer: "stale" if it refused, else "taken"."""
    sent = body(answer, render, backwards=backwards)
    try:
        store.apply(sent, since=answer["since"], held=held, full_state=answer["full_state"])
    except StaleBatchError:
        return "stale"
    return "taken"


def open_store(path: Path) -> SyncStore:
    return SyncStore.open(path, user_id=ME)


def ask(account: Account, action: Action, token: str | None) -> Json:
    """The answer to the request that a sync action stands for, sent while `token` is stored."""
    name, limit, *rest = action
    if name == "snapshot":
        return sync(account, None, limit, include_leave=rest[0])
    return sync(account, token, limit, full_state=name == "full_state")


def agree(stored: str, expected: str) -> None:
    """The store's answer to a batch is the model's (a batch known already is taken and changes nothing)."""
    assert (stored == "stale") == (expected == "stale"), f"the store said {stored}, the model {expected}"


def check_model(expected: Expected, account: Account) -> None:
    """A joined room's pile is what the server has (with lazy members, a part of it), and so are the memberships.

    The forms that lay the timeline over the block cannot know what lost a state resolution.
    """
    for room_id, room in expected.rooms.items():
        lost = any(item.get("lost") for item in account.rooms[room_id]["log"])
        if room["membership"] == "join" and (expected.shows == "end" or not lost):
            state = account.state(room_id)
            assert room["state"].items() <= state.items()
            assert account.policy.get("lazy") or room["state"] == state
    for room_id in account.rooms:
        known = expected.rooms[room_id]["membership"] if room_id in expected.rooms else None
        if account.membership(room_id) in ("join", "invite", "knock") or known in ("join", "invite", "knock"):
            assert known == account.membership(room_id)

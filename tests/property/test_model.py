"""The model agrees with itself: what it expects of a store is what its own server has, in every wire form."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.account.events import CREATE, ME, Json, Key, key_of
from tests.account.expect import Expected
from tests.account.pages import Ending, messages
from tests.account.server import Account

from .drive import FORMS, SHOWS, ask, body, check_model
from .profile import effort
from .script import POLICIES, SYNC_NAMES, Action, histories, new_account, perform

_BLOCKS = ("state", "state_after", "org.matrix.msc4222.state_after")
Piles = dict[str, dict[Key, str]]


def _overlay(piles: Piles, sent: Json, form: str) -> None:
    """The table of the wire forms, in the fewest lines: block and timeline laid over the pile, or over none."""
    rooms = sent.get("rooms", {})
    for section in ("leave", "archived", "join", "joined"):
        for room_id, entry in rooms.get(section, {}).items():
            block, timeline = _events(entry)
            placed = {event["event_id"] for event in timeline}
            if form in ("2015", "rewritten"):
                used = [*block, *timeline, *(event for event in block if event["event_id"] in placed)]
            elif form == "classic":
                used = [*block, *timeline]
            else:
                used = [*block, *(event for event in timeline if key_of(event) == ("m.room.member", ME))]
            brought = {key: event["event_id"] for event in used if (key := key_of(event)) is not None}
            pile = piles.setdefault(room_id, {})
            piles[room_id] = brought if CREATE in brought and CREATE in pile else pile | brought


def _events(entry: Json) -> tuple[list[Json], list[Json]]:
    block = next(entry[name]["events"] for name in _BLOCKS if name in entry)
    timeline = entry["timeline"]["events"]
    if "event_map" in entry:
        of: dict[str, Json] = entry["event_map"]
        return [of[one] | {"event_id": one} for one in block], [of[one] | {"event_id": one} for one in timeline]
    return block, timeline


@effort(60)
@given(POLICIES, histories())
def test_the_model_agrees_with_its_own_server(policy: Json, history: list[Action]) -> None:
    account, token = new_account(policy), None
    models = {form: Expected(shows) for form, shows in SHOWS.items()}
    piles: dict[str, Piles] = {form: {} for form in FORMS}
    for action in history:
        if action[0] not in SYNC_NAMES:
            perform(account, action)
            continue
        answer = ask(account, action, token)
        if action[0] == "unanswered":
            continue
        for form, expected in models.items():
            assert expected.apply(answer, token) == "applied"
            check_model(expected, account)
            _overlay(piles[form], json.loads(body(answer, FORMS[form])), form)
            for room_id, room in expected.rooms.items():
                assert piles[form].get(room_id, {}) == room["state"], f"{form}, {room_id}"
        token = answer["next_batch"]


@pytest.mark.parametrize("ending", ["bounded", "same", "deaf"])
@effort(60)
@given(POLICIES, histories(), st.integers(1, 5))
def test_walking_every_gap_finds_every_event(ending: Ending, policy: Json, history: list[Action], limit: int) -> None:
    """Promises 12 and 14 on the model alone: a gap's two ends are enough to find all that a joined room ever had."""
    account, expected = new_account(policy), Expected()
    for action in [*history, ("sync", 3)]:
        if action[0] not in SYNC_NAMES:
            perform(account, action)
        elif action[0] != "unanswered":
            expected.apply(ask(account, action, expected.token), expected.token)
        else:
            ask(account, action, expected.token)
    for room_id, room in expected.rooms.items():
        if room["membership"] == "join":
            found = set(room["placed"])
            for from_, to in room["walks"]:
                found |= _walk(account, room_id, from_, to, limit, ending)
            assert found == {item["event"]["event_id"] for item in account.rooms[room_id]["log"]}


def _walk(account: Account, room_id: str, from_: str | None, to: str | None, limit: int, ending: Ending) -> set[str]:
    found: set[str] = set()
    while from_ is not None:
        page = messages(account, room_id, from_, to, limit, ending)
        found |= {event["event_id"] for event in page["chunk"]}
        from_ = page.get("end") if page["chunk"] else None
    return found

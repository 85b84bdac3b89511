"""Random histories in every wire form: each store equals the model, and so the stores equal each other."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncstore import SyncStore
from syncstore.errors import StaleBatchError
from tests.account.answer import sync
from tests.account.events import OTHERS, Json
from tests.account.expect import Expected
from tests.account.readback import check_file, compare, differences, places, read
from tests.account.server import Account

from .drive import FORMS, SHOWS, agree, apply, ask, body, open_store
from .profile import effort
from .script import POLICIES, SYNC_NAMES, Action, histories, new_account, perform

# Rare in what is drawn: a whole timeline over a delta; and an invite that vanishes while the pile still says ban.
REJOINED: list[Action] = [
    *[("sync", 50), ("send", 0, OTHERS[0]), ("sync", 50), ("send", 0, OTHERS[0])],
    *[("me", 0, 0), ("sync", 50), ("me", 0, 0), ("sync", 50)],
]
BANNED_THEN_INVITED: list[Action] = [
    *[("sync", 50), ("me", 0, 1), ("sync", 50), ("me", 0, 0), ("me", 0, 1), ("sync", 50)],
    *[("me", 0, 1), ("snapshot", 50, False)],
]


@pytest.mark.parametrize("backwards", [False, True], ids=["as_sent", "keys_backwards"])
@example({"rejoin": "delta"}, REJOINED)
@example({"overlap": 2}, [*REJOINED[:4], ("me", 0, 0), ("me", 0, 0), ("sync", 50)])
@example({}, BANNED_THEN_INVITED)
@effort(110)
@given(POLICIES, histories())
def test_every_form_gives_the_model_s_store(backwards: bool, policy: Json, history: list[Action]) -> None:
    account = new_account(policy)
    models = {form: Expected(shows) for form, shows in SHOWS.items()}
    token: str | None = None
    with tempfile.TemporaryDirectory() as folder:
        paths = {form: Path(folder) / f"{form}.db" for form in FORMS}
        stores = {form: open_store(path) for form, path in paths.items()}
        for action in history:
            if action[0] not in SYNC_NAMES:
                perform(account, action)
                continue
            answer = ask(account, action, token)
            if action[0] == "unanswered":
                continue
            for form, store in stores.items():
                said = models[form].apply(answer, token)
                agree(apply(store, answer, token, FORMS[form], backwards=backwards), said)
            token = answer["next_batch"]
        for form, store in stores.items():
            store.close()
            compare(paths[form], models[form].view(), form)
            check_file(paths[form], models[form].gone())


@effort(50)
@given(POLICIES, histories(), st.sampled_from(sorted(FORMS)), st.data())
def test_a_repeated_batch_changes_nothing(policy: Json, history: list[Action], form: str, data: st.DataObject) -> None:
    """Promise 2: the newest batch again is known, an older one is stale; both leave the file as it is."""
    account, expected = new_account(policy), Expected(SHOWS[form])
    taken: list[tuple[Json, str | None]] = []
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "a.db") as store:
        for action in history:
            if action[0] not in SYNC_NAMES:
                perform(account, action)
                continue
            answer, held = ask(account, action, expected.token), expected.token
            if action[0] != "unanswered":
                agree(apply(store, answer, held, FORMS[form]), expected.apply(answer, held))
                taken.append((answer, held))
        if not taken:
            return
        before, stood = read(Path(folder) / "a.db"), places(Path(folder) / "a.db")
        answer, held = data.draw(st.sampled_from(taken))
        said = expected.apply(answer, held)
        agree(apply(store, answer, held, FORMS[form]), said)
        if said != "applied":
            assert differences(before, read(Path(folder) / "a.db")) == []
            assert places(Path(folder) / "a.db") == stood


_PLAIN = st.sampled_from([("sync", 50)])


@effort(50)
@given(histories(_PLAIN), st.sampled_from(sorted(FORMS)), st.sets(st.integers(0, 10)))
def test_where_batches_are_cut_does_not_matter(history: list[Action], form: str, cuts: set[int]) -> None:
    """One device syncs after every run, another only after some: what both are joined to is the same.

    Without redactions of redactions: one that is pruned when it comes names nothing any more (promise 16). And where
    the form lays the timeline over the block, without events that lost a state resolution: there the cuts do matter.
    """
    account = new_account({"rejoin": "full", "redacted_redactions": False})
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{name}.db" for name in ("fine", "coarse")}
        stores = {name: open_store(path) for name, path in paths.items()}
        tokens: dict[str, str | None] = dict.fromkeys(stores)
        number = 0
        for action in [*history, ("sync", 1000)]:
            if action[0] not in SYNC_NAMES:
                if action[0] != "lost" or SHOWS[form] == "end":
                    perform(account, action)
                continue
            number += 1
            last = action[1] == 1000
            for name in ["fine", *(["coarse"] if last or number in cuts else [])]:
                tokens[name] = _sync(stores[name], account, name, tokens[name], form)
        for store in stores.values():
            store.close()
        fine, coarse = (_joined_only(read(path)) for path in paths.values())
        assert differences(fine, coarse) == []


def _sync(store: SyncStore, account: Account, device: str, token: str | None, form: str) -> str:
    answer = sync(account, token, 1000, device=device)
    apply(store, answer, token, FORMS[form])
    return str(answer["next_batch"])


def _joined_only(stored: Json) -> Json:
    """What cannot depend on the cuts: of rooms that we are in everything but the order and the gaps."""
    rooms = {room_id: room for room_id, room in stored["rooms"].items() if room["membership"] == "join"}
    for room in rooms.values():
        placed = [event_id for segment in room.pop("timeline") for event_id in segment["events"]]
        room["placed"] = sorted(placed)
    invited = {
        r: room["invite"] | room["knock"] for r, room in stored["rooms"].items() if room["invite"] or room["knock"]
    }
    return {"rooms": rooms, "invited": invited, "account_data": stored["account_data"]}


def test_a_batch_of_another_token_is_stale(tmp_path: Path) -> None:
    account = new_account()
    first = ask(account, ("sync", 50), None)
    account.send("!room0:example.org")
    with open_store(tmp_path / "a.db") as store:
        apply(store, first, None, FORMS["classic"])
        second = ask(account, ("sync", 50), first["next_batch"])
        with pytest.raises(StaleBatchError):
            store.apply(body(second, FORMS["classic"]), since="s0_0", held="s0_0")
        assert read(tmp_path / "a.db")["token"] == first["next_batch"]

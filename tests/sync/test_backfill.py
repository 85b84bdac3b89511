"""Filling gaps against a server: tokens renewed, refusals noted, everything found in the end (promises 12 to 14)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from syncstore import Syncer, SyncStore
from syncstore.errors import RateLimitedError, ServerError, UnreachableError
from syncstore.model.records import Event, Gap
from tests.account.events import ME
from tests.account.pages import Ending
from tests.account.server import Account
from tests.store.bodies import ROOM, Body, Json, member, message, page
from tests.sync.fake import Modelled, Scripted

REFUSED = ServerError("M_UNKNOWN: Invalid token", status=400, errcode="M_UNKNOWN")


@pytest.fixture
def gap(store: SyncStore) -> Gap:
    """Walked from p2, bounded by s1."""
    store.apply(Body("s1").join(ROOM, message("$a"), prev_batch=None).done())
    store.apply(Body("s2").join(ROOM, message("$z"), limited=True, prev_batch="p2").done())
    return store.gaps()[0]


@pytest.fixture
def nowhere(store: SyncStore) -> Gap:
    """A gap without a token."""
    store.apply(Body("s1").join(ROOM, message("$a"), prev_batch=None).done())
    store.apply(Body("s2").join(ROOM, message("$z"), limited=True, prev_batch=None).done())
    return store.gaps()[0]


def context(start: str | None) -> bytes:
    body: Json = {"event": message("$z"), "end": "e"} | ({} if start is None else {"start": start})
    return json.dumps(body).encode()


def placed(store: SyncStore) -> list[str]:
    return [item.event_id for item in reversed(store.room(ROOM).timeline().items) if isinstance(item, Event)]


def test_p14_pages_are_asked_for_between_both_ends(server: Scripted, store: SyncStore, gap: Gap) -> None:
    server.will("messages", page(message("$y"), end="q1"), page(message("$x"), end="s1"))
    syncer = Syncer(server.face(), store)
    first = syncer.backfill(gap, limit=7)
    assert (first.events_added, first.closed) == (1, False)
    assert first.gap is not None and first.gap.prev_batch == "q1"
    second = syncer.backfill(first.gap)
    assert (second.events_added, second.closed, second.gap) == (1, True, None)
    common = {"room_id": ROOM, "to": "s1", "dir": "b"}
    assert server.asked("messages") == [common | {"from_": "p2", "limit": 7}, common | {"from_": "q1", "limit": 100}]
    assert placed(store) == ["$a", "$x", "$y", "$z"]


def test_p14_an_empty_page_with_another_end_goes_on(server: Scripted, store: SyncStore, gap: Gap) -> None:
    last = page(message("$y"), end="q2")
    server.will("messages", page(end="q1"), last, page(end="q2"), last)
    assert Syncer(server.face(), store).backfill_all(budget=10) == 1
    assert [asked["from_"] for asked in server.asked("messages")] == ["p2", "q1", "q2", "q1"]
    assert store.gaps() == []


@pytest.mark.parametrize("nothing", [page(), page(end="q1")])
def test_p14_an_end_is_asked_for_once_more_with_one_event_more(
    server: Scripted, store: SyncStore, gap: Gap, nothing: bytes
) -> None:
    """Some servers compare tokens by arrival alone.

    A page that ends with the first event after `to` is then followed by an empty one, though a late event stands below
    it in the graph.
    """
    server.will("messages", page(message("$y"), end="q1"), nothing)
    server.will("messages", page(message("$y"), message("$late"), end="q2"), page())
    server.will("messages", page(message("$y"), message("$late"), end="q2"))
    assert Syncer(server.face(), store).backfill_all(budget=10, limit=1) == 2
    assert [(asked["from_"], asked["limit"]) for asked in server.asked("messages")] == [
        ("p2", 1),
        ("q1", 1),
        ("p2", 2),
        ("q2", 1),
        ("p2", 2),
    ]
    assert (placed(store), store.gaps()) == (["$a", "$late", "$y", "$z"], [])


def test_p14_pages_are_never_longer_than_servers_give(server: Scripted, store: SyncStore, gap: Gap) -> None:
    server.will("messages", page())
    Syncer(server.face(), store).backfill(gap, limit=5000)
    assert server.asked("messages")[0]["limit"] == 999


def test_p12_what_was_refused_while_we_were_outside_is_open_again(server: Scripted, store: SyncStore, gap: Gap) -> None:
    server.will("messages", ServerError("M_FORBIDDEN: banned", status=403))
    syncer = Syncer(server.face(), store)
    assert syncer.backfill(gap).gap != gap
    store.apply(Body("s3").leave(ROOM, member("$ban", ME, "ban")).done(), since="s2")
    assert store.gaps()[0].status == "unreachable"
    store.apply(Body("s4").join(ROOM, member("$back", ME, "join"), limited=True).done(), since="s3")
    assert [one.status for one in store.gaps()] == ["open", "open"]


def test_p14_a_server_that_gives_the_same_page_for_ever_is_asked_once(
    server: Scripted, store: SyncStore, gap: Gap
) -> None:
    server.will("messages", *[page(message("$y"), end="p2")] * 5)
    assert Syncer(server.face(), store).backfill_all(budget=5) == 1
    assert len(server.asked("messages")) == 1
    assert store.gaps()[0].status == "unreachable"


def test_p12_a_refused_token_is_renewed_from_the_newest_end(server: Scripted, store: SyncStore, gap: Gap) -> None:
    server.will("messages", REFUSED, page(message("$z"), start="top", end="x"), page(message("$y"), end="q1"))
    assert Syncer(server.face(), store).backfill(gap).events_added == 1
    assert [asked["from_"] for asked in server.asked("messages")] == ["p2", None, "top"]
    assert (server.asked("context"), store.gaps()[0].prev_batch) == ([], "q1")


def test_p12_a_server_that_wants_a_token_is_asked_for_one_by_context(
    server: Scripted, store: SyncStore, gap: Gap
) -> None:
    server.will("messages", REFUSED, REFUSED, page(message("$y"), end="q1"))
    server.will("context", context("c1"))
    assert Syncer(server.face(), store).backfill(gap).events_added == 1
    assert [(asked["room_id"], asked["event_id"]) for asked in server.asked("context")] == [(ROOM, "$z")]
    assert [asked["from_"] for asked in server.asked("messages")] == ["p2", None, "c1"]
    assert store.gaps()[0].prev_batch == "q1"


def test_p12_a_refused_next_batch_gives_way_to_prev_batch(server: Scripted, store: SyncStore) -> None:
    """Before the first segment the walk begins at the response's own end; some servers page from a prev_batch only."""
    store.apply(Body("s1").join(ROOM, message("$z"), limited=True, prev_batch="p1").done(), since=None)
    server.will("messages", REFUSED, page(message("$y"), end="q1"))
    assert Syncer(server.face(), store).backfill(store.gaps()[0]).events_added == 1
    assert [asked["from_"] for asked in server.asked("messages")] == ["s1", "p1"]
    assert store.gaps()[0].prev_batch == "q1"


def test_p14_a_server_that_was_rebuilt_refuses_both_ends(server: Scripted, store: SyncStore, gap: Gap) -> None:
    """The walk goes on without the older end, and closes by overlap."""
    server.will("messages", REFUSED, REFUSED, REFUSED, page(message("$y"), message("$a"), end="q1"))
    server.will("context", context("c1"))
    syncer = Syncer(server.face(), store)
    syncer.backfill(gap)
    assert [(asked["from_"], asked["to"]) for asked in server.asked("messages")] == [
        ("p2", "s1"),
        (None, None),
        ("c1", "s1"),
        ("c1", None),
    ]
    assert placed(store) == ["$a", "$y", "$z"]


def test_p12_a_null_token_is_renewed(server: Scripted, store: SyncStore, nowhere: Gap) -> None:
    assert nowhere.prev_batch is None
    server.will("messages", page(message("$z"), start="top"), page(message("$y")))
    assert Syncer(server.face(), store).backfill(nowhere).closed
    assert [asked["from_"] for asked in server.asked("messages")] == [None, "top"]
    assert placed(store) == ["$a", "$y", "$z"]


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        ([ServerError("M_NOT_FOUND: no event", status=404)], "no event"),
        ([ServerError("M_FORBIDDEN: not yours", status=403)], "not yours"),
        ([context(None)], r"\$z"),
        ([context("p2")], r"\$z"),
    ],
)
def test_p12_without_renewal_the_gap_is_unreachable(
    server: Scripted, store: SyncStore, gap: Gap, replies: list[bytes | Exception], said: str
) -> None:
    server.will("messages", REFUSED, REFUSED)
    server.will("context", *replies)
    filled = Syncer(server.face(), store).backfill(gap)
    assert (filled.events_added, filled.closed) == (0, False)
    assert filled.gap is not None and filled.gap.status == "unreachable"
    assert said.strip("\\") in (filled.gap.reason or "")


def test_p12_no_event_after_the_gap_and_no_token_is_unreachable(server: Scripted, store: SyncStore) -> None:
    store.apply(Body("s1").join(ROOM, message("$a"), prev_batch=None).done())
    store.apply(Body("s2").join(ROOM, limited=True, prev_batch=None).done())
    server.will("messages", REFUSED)
    filled = Syncer(server.face(), store).backfill(store.gaps()[0])
    assert filled.gap is not None and filled.gap.status == "unreachable"
    assert [name for name, _ in server.calls] == ["messages"]


def test_p12_what_the_server_forbids_is_unreachable_with_the_reason(
    server: Scripted, store: SyncStore, gap: Gap
) -> None:
    server.will("messages", ServerError("M_FORBIDDEN: you left", status=403, errcode="M_FORBIDDEN"))
    filled = Syncer(server.face(), store).backfill(gap)
    assert filled.gap is not None
    assert (filled.gap.status, filled.gap.reason, filled.gap.attempts) == ("unreachable", "M_FORBIDDEN: you left", 1)
    assert Syncer(server.face(), store).backfill_all(budget=5) == 0
    assert len(server.asked("messages")) == 1


@pytest.mark.parametrize("error", [UnreachableError("down"), RateLimitedError("slow"), ServerError("oops", status=500)])
def test_what_passes_is_the_caller_s_and_leaves_the_gap(
    server: Scripted, store: SyncStore, gap: Gap, error: Exception
) -> None:
    server.will("messages", error, page(message("$y")))
    syncer = Syncer(server.face(), store)
    with pytest.raises(type(error)):
        syncer.backfill(gap)
    assert store.gaps() == [gap]
    assert syncer.backfill(gap).closed  # its lease was given back


def test_p13_while_another_one_asks_nothing_is_done(server: Scripted, store: SyncStore, gap: Gap, path: Path) -> None:
    with SyncStore.open(path) as other, other.lease_gap(gap, 60):
        assert Syncer(server.face(), store).backfill(gap).gap == gap
        assert Syncer(server.face(), store).backfill_all(budget=5) == 0
    assert server.calls == []


def test_p13_a_process_that_was_killed_holds_nothing(server: Scripted, store: SyncStore, gap: Gap, path: Path) -> None:
    """It died while it asked; whoever comes next need not wait for its lease to run out."""
    script = (
        "import os, sys; from syncstore import SyncStore; store = SyncStore.open(sys.argv[1])\n"
        "with store.lease_gap(store.gaps()[0], 600) as row: os.kill(os.getpid(), 9 if row else 0)"
    )
    died = subprocess.run([sys.executable, "-c", script, path], check=False, capture_output=True)
    assert died.returncode == -9, died.stderr
    server.will("messages", page(message("$y")))
    assert Syncer(server.face(), store).backfill(gap).closed


def test_p13_a_page_that_comes_too_late_is_discarded(server: Scripted, store: SyncStore, gap: Gap) -> None:
    def late() -> bytes:
        store.apply_page(gap, "p2", page(message("$y"), end="q1"))  # somebody else's page, and the lease has run out
        return page(message("$y"), message("$x"))

    server.will("messages", late)
    assert Syncer(server.face(), store).backfill(gap).events_added == 0
    assert placed(store) == ["$a", "$y", "$z"]
    assert [one.prev_batch for one in store.gaps()] == ["q1"]


def test_a_gap_that_is_closed_meanwhile_is_not_asked_for(server: Scripted, store: SyncStore, gap: Gap) -> None:
    store.apply_page(gap, "p2", page())
    assert Syncer(server.face(), store).backfill(gap).closed
    assert server.calls == []


def test_the_budget_is_kept(server: Scripted, store: SyncStore, gap: Gap) -> None:
    server.will("messages", *[page(message(f"${n}"), end=f"q{n}") for n in range(10)])
    assert Syncer(server.face(), store).backfill_all(budget=3) == 3
    assert len(server.asked("messages")) == 3


def history(account: Account, sync: Callable[[], object]) -> None:
    """Gaps of every kind: limited, an absence, a late arrival inside a gap."""
    room = account.create()
    account.move(room, "join")
    for step in range(4):
        for _ in range(8):
            account.send(room)
        if step == 1:
            account.send(room, late=True)
        sync()
    account.move(room, "leave")
    sync()
    for _ in range(6):
        account.send(room)
    account.move(room, "invite")
    sync()
    account.move(room, "join")
    account.send(room)
    sync()


@pytest.mark.parametrize("ending", ["bounded", "same", "deaf"])
def test_p14_filling_all_gaps_finds_every_event(tmp_path: Path, ending: Ending) -> None:
    account = Account({"rejoin": "full"})
    with SyncStore.open(tmp_path / "a.db", user_id=ME) as store:
        server = Modelled(account, ending)
        syncer = Syncer(server.face(), store)
        history(account, syncer.run_once)
        assert {gap.kind for gap in store.gaps()} == {"start", "limited", "absence"}
        syncer.backfill_all(budget=500, limit=4)
        assert store.gaps() == []
        room_id = next(iter(account.rooms))
        found = [item.event_id for item in store.room(room_id).timeline(1000).items if isinstance(item, Event)]
        assert len(found) == len(set(found))
        assert set(found) == {item["event"]["event_id"] for item in account.rooms[room_id]["log"]}
        assert store.check() == []

"""No statement of the store walks through a table that grows, or sorts it aside (promise 30)."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from syncstore import SyncStore
from tests.store import plans
from tests.store.bodies import ANN, ME, OTHER, ROOM, member, message, page, redaction, topic
from tests.store.rich import fill
from tests.store.test_relations import edit, reaction, reply

_EDITS = "sorts the edits of one event"
_ONE_ROW = "the table has one row"
_ROOMS = "asks about all rooms, of which an account has few"
_RELATED = "sorts what relates to one event, all of which is the answer"
_ON_ITS_WAY = "looks at what is on its way, which is little"
_INBOX = "what nobody has handled yet, and who is to"
_RARE = "not of every day: a report, a check, a new login"
_PARTS = "a row for 32,768 events"
_LATE = "what was decrypted since the last search"
_DROPS = "what is dropped is looked through"
# The only statements that may: what they read whole or whether they sort, and the reason.
MAY: dict[str, tuple[str, str]] = {
    "account.MARK_ALL_DEVICE_LISTS": ("device_list", "a snapshot marks every device list"),
    "account.SET_KEYS": ("own_account", _ONE_ROW),
    "account.SUSPECT": ("room", "a reset concerns all rooms"),
    "apply.ROOMS_WE_ARE_IN": ("room", "a snapshot is compared with all rooms"),
    "check.DIRECT": ("direct_room", _RARE),
    "check.LIFTED": ("room", _RARE),
    "check.OWN_USER": ("own_account", _ONE_ROW),
    "check.ROOM_IDS": ("room", _RARE),
    "consumer.ALL": ("c m l", _INBOX + "; asked by a person"),
    "consumer.ARRIVALS": ("sort", _EDITS),
    "copies.LATE_COPIES": ("sort", "drops the doubles of what came late"),
    "decryption.LACKING": ("u sort", "from the newest on, no further than asked; " + _EDITS),
    "decryption.LACKING_OF_SESSION": ("sort", _EDITS),
    "decryption.MISPLACED.0": ("decrypted e", _RARE),
    "decryption.MISPLACED.1": ("undecrypted e", _RARE),
    "decryption.MISPLACED.2": ("e", _RARE),
    "decryption.REBUILD.0": ("decrypted e", _RARE),
    "decryption.REBUILD.1": ("undecrypted e", _RARE),
    "decryption.REBUILD.2": ("e", _RARE),
    "echo.BY_ID": ("o", _ON_ITS_WAY),
    "echo.BY_TRANSACTION": ("o", _ON_ITS_WAY),
    "gap.WAS_THERE": ("sqlite_sequence", "SQLite's own counters are few"),
    "inbox.DONE_BY_ALL": ("c", _INBOX),
    "inbox.DONE_BY_SOME": ("to_device_done", _INBOX),
    "inbox.KEYS": ("own_account", _ONE_ROW),
    "inbox.LISTS": ("device_list", _INBOX),
    "inbox.WAITING": ("m", _INBOX),
    "lease.SWEEP": ("lease", "as many rows as there are processes at work"),
    "naming.STRIPPED_MEMBERS": ("sort", "sorts the few members that an invite tells of"),
    "prune.DROP_COPIES": ("room", _DROPS),
    "prune.DROP_DECRYPTED": ("room", _DROPS),
    "prune.DROP_UNDECRYPTED": ("room", _DROPS),
    "prune.DROP_EVENTS": ("room", _DROPS),
    "prune.ROOMS": ("room", _ROOMS),
    "query.account.ACCOUNT": ("a", _ONE_ROW),
    "query.account.COUNTS": ("event g quarantined room", _RARE),
    "query.account.READ_UP_TO": ("sort", "sorts the receipts of one user in one room"),
    "query.account.RECEIPTS": ("sort", "sorts the receipts of one room, all of which are the answer"),
    "query.account.ROOM_COUNTS": ("r sort", _RARE),
    "query.account.TOKEN": ("a", _ONE_ROW),
    "query.history.KEYS": ("room", "every key that a room ever had, by an index of those alone"),
    "query.history.REPLACED": ("sort", "sorts what the keys asked for held"),
    "query.history.ROOM": ("a", _ONE_ROW),
    "query.history.SEGMENTS": ("s", "s are the segments of one room, found from index entry to index entry"),
    "query.history.SENT": ("sort", "sorts what was sent for the keys asked for"),
    "query.account.OWN_USER": ("a", _ONE_ROW),
    "query.outbox.ALL": ("o", _ON_ITS_WAY),
    "query.outbox.ECHOES": ("own_account", _ONE_ROW),
    "query.outbox.TO_SEND": ("o sort", _ON_ITS_WAY),
    "query.past.EVENT": ("sort", _EDITS),
    "query.relations.LATEST_OF_THREAD": ("sort", _RELATED),
    "query.relations.OWN_USER": ("a", _ONE_ROW),
    "query.relations.REACTIONS": ("sort", _RELATED),
    "query.relations.RELATIONS": ("sort", _RELATED),
    "query.relations.RELATIONS_OF": ("sort", _RELATED),
    "query.relations.REPLIES": ("sort", _RELATED),
    "query.relations.THREADS": ("a sort", _ONE_ROW + "; groups what stands in threads of one room"),
    "query.rooms.BY_ALIAS": ("r", _ROOMS),
    "query.rooms.BY_NAME": ("r", _ROOMS),
    "query.rooms.ROOMS": ("r sort", _ROOMS),
    "query.rooms.ROOMS_OF": ("r sort", _ROOMS),
    "query.rooms.ROOM_COLUMNS": ("r", _ROOMS),
    "query.state.STATE": ("sort", _EDITS),
    "query.state.STATE_ALL": ("sort", _EDITS),
    "query.state.STATE_OF_KEY": ("sort", _EDITS),
    "query.state.STATE_OF_TYPE": ("sort", _EDITS),
    "query.timeline.ANYWHERE": ("r sort", "asks every room for one id, by the index; " + _EDITS),
    "query.timeline.GAPS": ("r g sort", "in the order of rooms; gaps and events are found by their indices"),
    "query.timeline.NEWER": ("sort", _EDITS),
    "query.timeline.OLDER": ("sort", _EDITS),
    "query.timeline.ONE": ("sort", _EDITS),
    "recover.AFTER_CONSUMERS": ("consumer", _RARE),
    "recover.COUNT_MEMBERS": ("room", _RARE),
    "recover.FREEZE_COVERAGE": ("room", _RARE),
    "recover.LAST_PLACES": ("room", _RARE),
    "recover.MEMBERS": ("s", _RARE),
    "recover.OTHER_KEYS": ("room_state", _RARE),
    "recover.OTHER_KEYS_BEFORE": ("replaced_state", _RARE),
    "search.ADD_LATE": ("search_late", _LATE),
    "search.ANY_LATE": ("search_late", _LATE),
    "search.FOUND": ("sort", "sorts what was found by the senders' clocks; " + _EDITS),
    "search.MADE": ("sqlite_schema", "as many rows as there are tables"),
    "search.PARTS": ("search_part", _PARTS),
    "search.STALE": ("search_part", _PARTS),
    "sending.HOLES": ("sort", "sorts the holes of one room, after a doubtful attempt"),
    "sending.OWN_STATES": ("own_account sort", "sorts what one key held, after a doubtful attempt"),
    "upkeep.FORGET.13": ("room", _DROPS),
    "upkeep.FORGET.14": ("room", _DROPS),
    "upkeep.FORGET.15": ("room", _DROPS),
    "upkeep.FORGET.16": ("touched", "notes are read by batch; a room is forgotten rarely"),
    "upkeep.FREEZE_COVERAGE": ("room", _RARE),
    "upkeep.NEW_DEVICE": ("own_account", _ONE_ROW),
    "upkeep.REBIND.0": ("outgoing", _ON_ITS_WAY),
    "upkeep.SET_HOMESERVER": ("own_account", _ONE_ROW),
    "write.START": ("own_account waiting_redaction outgoing", _ONE_ROW + "; of the others, whether there is any"),
}

# Sent while a store is opened.
ONCE = {
    "SELECT 1 FROM sqlite_schema LIMIT 1": {"sqlite_schema"},
    "SELECT user_id, device_id FROM own_account": {"own_account"},
    "SELECT user_id, device_id, homeserver FROM account": {"a"},
}


@pytest.fixture
def db(store: SyncStore, path: Path) -> Iterator[sqlite3.Connection]:
    fill(store)
    store.search("hello")  # makes the index
    with closing(sqlite3.connect(path)) as connection:
        yield connection


def faults(db: sqlite3.Connection, statements: dict[str, str]) -> dict[str, set[str]]:
    found = {name: plans.costs(plans.plan(db, text)) for name, text in statements.items()}
    allowed = {name: set(costs.split()) for name, (costs, _) in MAY.items()}
    return {name: costs - allowed.get(name, set()) for name, costs in found.items() if costs - allowed.get(name, set())}


@pytest.mark.parametrize("analysed", [False, True])
def test_p30_no_statement_walks_through_what_grows(db: sqlite3.Connection, analysed: bool) -> None:
    if analysed:
        _pretend_large(db)
    statements = plans.constants()
    assert len(statements) > 150
    assert faults(db, statements) == {}


def _pretend_large(db: sqlite3.Connection) -> None:
    """ANALYZE, and then the counts of an account of a thousand rooms and ten million events."""
    db.execute("ANALYZE")
    db.execute("DELETE FROM sqlite_stat1 WHERE tbl = 'outgoing'")  # what is on its way stays as little as it is
    for table, index, columns in db.execute("SELECT tbl, idx, stat FROM sqlite_stat1").fetchall():
        rows = 1000 if table in ("room", "gap") else 1 if table in ("own_account", "stream") else 10**7
        first, *others = columns.split()
        assert first.isdigit()
        depth = len(others)
        # Evenly less with each column, down to one row.
        kept = [max(1, int(rows ** (1 - (at + 1) / depth))) for at in range(depth)]
        stat = " ".join(str(one) for one in (rows, *kept))
        db.execute("UPDATE sqlite_stat1 SET stat = ? WHERE tbl = ? AND idx IS ?", (stat, table, index))
    db.execute("ANALYZE sqlite_schema")


def test_p30_every_exception_is_needed(db: sqlite3.Connection) -> None:
    statements = plans.constants()
    needed = {name for name, text in statements.items() if plans.costs(plans.plan(db, text))}
    assert set(MAY) == needed


@pytest.mark.parametrize(
    "index", ["event_by_place", "event_by_id", "event_by_relation", "event_by_replaces", "replaced_state_by_key"]
)
def test_p30_a_lost_index_is_noticed(db: sqlite3.Connection, index: str) -> None:
    db.execute("DROP INDEX " + index)
    statements = {name: text for name, text in plans.constants().items() if index not in text}
    assert faults(db, statements)


def test_p30_no_statement_is_made_elsewhere(tmp_path: Path) -> None:
    """What the library really sends, but for the pieces made for a number of values or columns, is in the list."""
    with plans.recorded() as seen, SyncStore.open(tmp_path / "seen.db", user_id=ME) as store:
        _use(store)
    known = set(plans.constants().values())
    made = {text for text in seen - known if not text.startswith(("UPDATE room SET ", "INSERT INTO alembic_version"))}
    whole = re.compile(r"SELECT [a-z_, ]+ FROM [a-z_]+")  # check reads every table
    made = {text for text in made if text in ONCE or not whole.fullmatch(text)}
    with closing(sqlite3.connect(tmp_path / "seen.db")) as db:
        assert len(seen & known) > 60
        assert {text: costs for text in made if (costs := plans.costs(plans.plan(db, text)))} == ONCE


def _use(store: SyncStore) -> None:
    """Everything that writes, and every read."""
    feed = fill(store)
    store.search("hello")
    feed.take(feed.next.join(ROOM, message("$m3"), edit("$e", "$m3"), reaction("$x", "$m3", "+"), reply("$y", "$m3")))
    gap = store.room(ROOM).gaps()[-1]
    with store.lease_gap(gap, 60) as row:
        assert row is not None and row.walk is not None
        store.apply_page(gap, row.walk, page(message("$old"), topic("$old_topic", "Old"), end="p3"))
    context = {"event": message("$far"), "events_before": [], "events_after": [], "start": "c1", "end": "c2"}
    store.apply_context(ROOM, json.dumps(context).encode())
    store.apply_members(ROOM, json.dumps({"chunk": [member("$ann", ANN, "join")]}).encode(), asked_at=store.seq)
    feed.take(feed.next.join(ROOM, redaction("$r2", "$m3"), redaction("$r3", "$nowhere")))
    assert {room.room_id for room in store.rooms()} == {ROOM, OTHER}
    store.rooms("join"), store.events("$m2"), store.gaps(), store.gap(gap.id), store.spaces(), store.info()
    store.account_data("m.direct"), store.check(), store.room_named("One")
    for room in store.rooms():
        room.state("m.room.name"), room.state_map(), room.state_map("m.room.member"), room.members()
        room.members("join"), room.member(ANN), room.children(), room.parents(), room.upgrades(), room.direct_users()
        room.fully_read(), room.invite_state(), room.knock_state(), room.timeline(), room.timeline(around="$m1")
        room.event("$m1"), room.state_at("$m1", "m.room.name"), room.state_map_at("$m1"), room.relations("$m1")
        room.relations("$m1", "m.thread"), room.replies("$m1"), room.reactions("$m1"), room.threads(), room.gaps()
        room.receipts(), room.read_up_to(ANN), room.typing()

"""An argument is a value: never SQL, a pattern or a path into JSON. And `sql` reads, and does nothing else."""

from __future__ import annotations

import hashlib
import inspect
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from syncstore import SyncStore
from syncstore.cli import sql
from syncstore.errors import SyncStoreError
from syncstore.reads import Reads
from syncstore.room import Room
from syncstore.room_sending import RoomSending
from tests.cli import bodies
from tests.cli.conftest import Run, store

# Without the odd room of the other tests here: nothing in it is one of the tricks.
__all__ = ["store"]

TRICKS = [
    "'",
    '"',
    "x' OR '1'='1",
    'x" OR "1"="1',
    "'; DROP TABLE event; --",
    "x\0y",
    "%",
    "_",
    "!room%",
    "$m_",
    "$.content",
    '$."a"[0]',
    "[1]",
    "*",
    "m.room.%",
    ":name",
    "?1",
    "a) UNION SELECT token FROM stream --",
    "NEAR(a b) OR a*",
    "\ud800",
    "\\",
    "x" * 100_000,
]


def _texts(method: Callable[..., Any]) -> dict[str, bool]:
    """The parameters that take text, and whether each must be given."""
    told = inspect.signature(method).parameters.values()
    return {one.name: one.default is one.empty for one in told if str(one.annotation).startswith("str")}


SENDING = tuple(vars(RoomSending))  # they write, what they are given


def _asking(kind: type, *, also: tuple[str, ...] = ()) -> list[str]:
    names = [name for name, method in inspect.getmembers(kind, inspect.isfunction) if _texts(method)]
    return [name for name in names if not name.startswith("_") and name not in also]


def _tables(path: Path) -> str:
    with closing(sqlite3.connect(path)) as raw:
        return hashlib.sha256("\n".join(raw.iterdump()).encode()).hexdigest()


def _ask(method: Callable[..., Any], trick: str) -> Any:
    found = []
    needed = {name: trick for name, must in _texts(method).items() if must}
    for name in _texts(method):
        # A text that is no id finds nothing, or is refused in words.
        with suppress(SyncStoreError):
            found.append(method(**needed | {name: trick}))
    return [one for one in found if one and not (isinstance(one, dict) and not any(map(bool, one.values())))]


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: ascii(trick)[:20])
def test_p28_no_argument_of_a_read_finds_what_it_does_not_name(store: Path, trick: str) -> None:
    before = _tables(store)
    with SyncStore.open(store) as opened:
        assert len(_asking(Reads)) >= 4 and len(_asking(Room, also=SENDING)) >= 9
        for name in _asking(Reads):
            assert not _ask(getattr(opened, name), trick), name
        room = opened.room(bodies.ROOM)
        for name in _asking(Room, also=SENDING):
            method = getattr(room, name)
            assert not _ask(method, trick), name
    assert _tables(store) == before


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: ascii(trick)[:20])
def test_p28_no_argument_of_a_write_reaches_another_row(store: Path, trick: str) -> None:
    before = _tables(store)
    with SyncStore.open(store) as opened:
        for name in ("forget", "mark_left", "walk_again", "drop_filter", "retry", "cancel"):
            with suppress(SyncStoreError):
                getattr(opened, name)(trick)
        opened.close()
    assert _tables(store) == before
    with SyncStore.open(store) as opened:
        if trick.isprintable():
            opened.keep_filter(trick, f"id of {trick}")
            assert opened.filter_id(trick) == f"id of {trick}" and opened.filter_id("{}") is None
        assert {room.room_id for room in opened.rooms()} == {bodies.ROOM, bodies.LEFT, bodies.INVITED}


@pytest.mark.parametrize(
    "words",
    [
        "hello OR later",
        "later NOT hello",
        "NEAR(hello later)",
        "body:hello",
        "rowid:1",
        "hello + later",
        "^later hello",
        "(hello later)",
        "{hello later}",
        *(f"nowhere {trick}" for trick in TRICKS if trick.isprintable()),
    ],
    ids=lambda words: ascii(words)[:20],
)
def test_p28_words_of_a_search_are_no_operators(store: Path, words: str) -> None:
    """Each asks for all its words: "hello" and "later" are in one message each, never in the same."""
    with SyncStore.open(store) as opened:
        assert len(opened.search("hello")) == len(opened.search("later")) == 1
        before = _tables(store)
        assert opened.search(words) == []
    assert _tables(store) == before


def test_p28_tricks_are_stored_as_they_are(path: Path) -> None:
    names = [trick for trick in TRICKS if trick.isprintable() and len(trick) < 200]
    event = {"origin_server_ts": 1, "content": {name: name for name in names}}
    timeline = [{**event, "event_id": f"${name}", "type": name, "sender": name, "state_key": name} for name in names]
    joined = {f"!{name}": {"timeline": {"events": timeline}} for name in names}
    with SyncStore.open(path, user_id=bodies.ALICE) as store:
        store.apply(json.dumps({"next_batch": "'; --", "rooms": {"join": joined}}).encode())
        assert store.token == "'; --" and len(store.rooms()) == len(names)
        for name in names:
            room = store.room(f"!{name}")
            for one in names:
                found = room.state(one, one)
                assert found is not None and found.sender == one and found.content == event["content"]
            assert len(room.state_map(name)) == 1
        assert store.check() == []


@pytest.mark.parametrize("trick", [trick for trick in TRICKS if "\0" not in trick], ids=lambda trick: ascii(trick)[:20])
def test_p28_no_argument_of_a_command_reaches_another_row(store: Path, run: Run, trick: str) -> None:
    before = _tables(store)
    calls = [[name, trick] for name in ("timeline", "state", "members", "gaps", "event", "forget")]
    calls += [["state", bodies.ROOM, trick], ["state", bodies.ROOM, "m.room.name", trick]]
    calls += [["state", bodies.ROOM, "--at", trick], ["timeline", bodies.ROOM, "--around", trick]]
    calls += [["timeline", bodies.ROOM, "--before", trick], ["sql", "select :v as v", "-p", "v", trick, "--csv"]]
    for words in calls:
        done = run(*words)
        assert done.code in (0, 1, 2) and "unexpected" not in done.err, (words, done)
        if done.code == 0 and words[0] != "sql":
            assert len(done.out.splitlines()) <= 1, "no row but the titles"
    assert _tables(store) == before


HOSTILE = [
    "insert into room (room_id) values ('x')",
    "update sqlite_master set sql = ''",
    "insert into sqlite_master (name) values ('x')",
    "update event set content = '{}'",
    "delete from own_account",
    "replace into own_account (id) values (1)",
    "drop table event",
    "alter table event rename to gone",
    "create table x (a)",
    "create temp table x (a)",
    "create temp view x as select 1",
    "create temp trigger x after insert on event begin select 1; end",
    "create virtual table temp.x using fts5(a)",
    "create index x on event (id)",
    "with x as (select 1) delete from event",
    "insert into o.t values (8)",
    "delete from o.t returning a",
    "attach '{folder}/new.db' as n",
    "attach 'file:{folder}/new.db?mode=rwc' as n",
    "attach ':memory:' as n",
    "detach o",
    "vacuum",
    "vacuum into '{folder}/new.db'",
    "vacuum o into '{folder}/new.db'",
    "reindex",
    "analyze",
    "begin immediate",
    "savepoint x",
    "pragma writable_schema = on",
    "pragma query_only = off",
    "pragma query_only(0)",
    "pragma main.query_only = 0",
    "pragma journal_mode = delete",
    "pragma o.journal_mode = wal",
    "pragma user_version = 7",
    "pragma application_id(7)",
    "pragma temp_store_directory = '{folder}'",
    "pragma temp_store = file",
    "pragma wal_checkpoint",
    "pragma wal_checkpoint(truncate)",
    "pragma optimize",
    "pragma incremental_vacuum",
    "pragma secure_delete = off",
    "pragma locking_mode = exclusive",
    "select load_extension('{folder}/x.so')",
    "select writefile('{folder}/new.db', 'x')",
    "select fts3_tokenizer('simple', x'00')",
    "select readfile('/etc/passwd')",
    "select edit('x', 'touch {folder}/new.db')",
    "select * from fsdir('/')",
    "select 1; drop table event",
]


@pytest.mark.parametrize("query", HOSTILE)
def test_p28_sql_reads_and_makes_no_file(store: Path, run: Run, tmp_path: Path, query: str) -> None:
    other = tmp_path / "o.db"
    with closing(sqlite3.connect(other)) as raw:
        raw.execute("CREATE TABLE t (a)")
        raw.commit()
    before = {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in tmp_path.iterdir() if one.is_file()}
    done = run("sql", query.replace("{folder}", str(tmp_path)), "--attach", f"o={other}")
    assert done.code == 1 and done.out == "" and done.err.startswith("syncstore: sql: ")
    after = {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in tmp_path.iterdir() if one.is_file()}
    assert {name for name in after if not name.endswith(("-shm", "-wal"))} == before.keys()
    assert all(after[name] == digest for name, digest in before.items())


def test_p28_sql_allows_reading_and_nothing_else() -> None:
    """Every action that SQLite asks leave for, of this version and of coming ones."""
    reading = {"SELECT", "READ", "RECURSIVE", "FUNCTION", "PRAGMA"}
    refused = [
        "CREATE",
        "DROP",
        "ALTER",
        "INSERT",
        "UPDATE",
        "DELETE",
        "ATTACH",
        "DETACH",
        "REINDEX",
        "ANALYZE",
        "TRANSACTION",
        "SAVEPOINT",
    ]
    prefixes = tuple(f"SQLITE_{one}" for one in refused)
    names = [name for name in dir(sqlite3) if name.startswith(prefixes)]
    assert len(names) > 20
    for name in names:
        assert sql._may(getattr(sqlite3, name), "a", "b") == sqlite3.SQLITE_DENY, name
    assert sql._may(9999, None, None) == sqlite3.SQLITE_DENY
    assert all(sql._may(getattr(sqlite3, f"SQLITE_{name}"), "table_info", "x") == sqlite3.SQLITE_OK for name in reading)


@pytest.mark.parametrize(
    "query",
    [
        "select count(*) from events",
        "pragma table_info(event)",
        "select name from pragma_table_info('event')",
        "pragma integrity_check",
        "pragma user_version",
        "explain query plan select * from messages",
        "with recursive n(i) as (select 1 union all select i + 1 from n limit 3) select sum(i) from n",
        "values (1)",
        "select value from events, json_each(content)",
        "select value from json_tree('[1]')",
    ],
)
def test_p28_sql_answers_what_is_a_question(store: Path, run: Run, query: str) -> None:
    assert run("sql", query).code == 0

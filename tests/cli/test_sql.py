from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from . import bodies
from .conftest import Run, refused


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_query_in_every_dress(store: Path, run: Run) -> None:
    query = "select sender, body, null as void, x'00ff' as bytes from messages order by body limit 1"
    assert run("sql", query).out.splitlines()[0].split() == ["SENDER", "BODY", "VOID", "BYTES"]
    assert "\x1b" not in run("sql", query).out
    (row,) = json.loads(run("sql", query, "--json").out)
    assert row == {
        "sender": bodies.BOB,
        "body": f"hello {bodies.NASTY}",
        "void": None,
        "bytes": {"base64": "AP8="},
    }
    csv = run("sql", query, "--csv").out
    assert csv.startswith("sender,body,void,bytes\n") and csv.endswith(",,x'00ff'\n")


def test_values_by_name(store: Path, run: Run) -> None:
    query = "select event_id from messages where body = :body and sender = :who"
    done = run("sql", "-p", "body", "later", query, "-p", "who", bodies.BOB, "--csv")
    assert done.out == "event_id\n$m2\n"
    assert ":who" in refused(run("sql", query, "-p", "body", "later"))
    assert ":bdoy" in refused(run("sql", "select 1", "-p", "bdoy", "x"))
    assert run("sql", "select 1", "-p", "half").code == 2


def test_the_query_can_come_by_stdin(store: Path, spawn: Run) -> None:
    assert spawn("sql", "-", "--csv", stdin="select 1 as one").out == "one\n1\n"


def test_another_file_beside(store: Path, run: Run, tmp_path: Path) -> None:
    other = tmp_path / "o.db"
    with closing(sqlite3.connect(other)) as raw:
        raw.execute("CREATE TABLE t (a)")
        raw.execute("INSERT INTO t VALUES (7)")
        raw.commit()
    done = run("sql", "select a from o.t", "--attach", f"o={other}", "--csv")
    assert done.out == "a\n7\n", done.err
    assert "does not exist" in refused(run("sql", "select 1", "--attach", f"o={tmp_path}/none.db"))
    other.write_text("no database at all, but long enough to look like one" * 100)
    assert "o.db" in refused(run("sql", "select 1", "--attach", f"o={other}"))
    assert run("sql", "select 1", "--attach", "nonsense").code == 2


@pytest.mark.parametrize(
    "query",
    [
        "delete from room",
        "create table x (a)",
        "pragma user_version = 7",
        "pragma query_only = 0",
        "pragma journal_mode = delete",
        "vacuum",
        "vacuum into '{folder}/new.db'",
        "attach '{folder}/new.db' as n",
        "attach 'file:{folder}/new.db?mode=rwc' as n",
        "select 1; select 2",
        "select 1; delete from room",
        "select nonsense",
        "",
    ],
)
def test_what_is_no_single_question_is_refused_and_changes_nothing(store: Path, run: Run, query: str) -> None:
    before = _digest(store)
    refused(run("sql", query.format(folder=store.parent)))
    assert _digest(store) == before and not (store.parent / "new.db").exists()


def test_one_format_at_a_time(store: Path, run: Run) -> None:
    assert run("sql", "select 1", "--csv", "--json").code == 2


def test_infinite_numbers_stay_json(store: Path, run: Run) -> None:
    assert '"n": 1e999, "m": -1e999' in run("sql", "select 9e999 as n, -9e999 as m", "--json").out

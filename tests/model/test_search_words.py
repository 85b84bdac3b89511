"""What people type, as an expression that can mean nothing else."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncstore.model.search_words import expression


@pytest.mark.parametrize(
    ("typed", "made"),
    [
        ("hello", '"hello"'),
        ("  hello\tWorld ", '"hello" AND "World"'),
        ('say "hello world" twice', '"say" AND "hello world" AND "twice"'),
        ("hel*", '"hel"*'),
        ("hel**", '"hel"*'),
        ("a*b", '"a*b"'),
        ("OR NOT near body:x ^y", '"OR" AND "NOT" AND "near" AND "body:x" AND "^y"'),
        ('an "open quote', '"an" AND "open" AND "quote"'),
        ("well - yes!", '"well" AND "yes!"'),
        ("nul\0byte \ud800x", '"nul\ufffdbyte" AND "\ufffdx"'),
        ("été 日本", '"été" AND "日本"'),
    ],
)
def test_words_become_an_expression(typed: str, made: str) -> None:
    assert expression(typed) == made


@pytest.mark.parametrize("typed", ["", "  ", '""', "!?", '"- -"', "*", "\0"])
def test_nothing_to_search_for_is_said(typed: str) -> None:
    with pytest.raises(ValueError, match="nothing to search for"):
        expression(typed)


@given(typed=st.text() | st.text(alphabet='ab"*()^:-+{}\\ \0', max_size=12))
def test_whatever_is_typed_is_a_legal_expression(typed: str) -> None:
    try:
        made = expression(typed)
    except ValueError:
        return
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE VIRTUAL TABLE t USING fts5 (body)")
        db.execute("INSERT INTO t VALUES ('a b ab')")
        db.execute("SELECT * FROM t WHERE t MATCH ?", (made,)).fetchall()

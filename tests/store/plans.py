"""How SQLite would run each statement of the store, and which statements there are."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import syncstore.store
from tests.encrypted import module

_VERB = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE|WITH)\s")
_WHOLE_ROOM = re.compile(r"^SEARCH .* INDEX event_\w+ \(room=\?\)$")
_NEEDS = re.compile(r"uses (\d+)")
Connect = Callable[..., sqlite3.Connection]


def constants() -> dict[str, str]:
    """Every SQL text that stands at the top of a module of the store: {"event.KNOWN": "SELECT …"}."""
    found: dict[str, str] = {}
    for part in pkgutil.walk_packages(syncstore.store.__path__, "syncstore.store."):
        names = vars(importlib.import_module(part.name))
        for name, value in names.items():
            texts = value if isinstance(value, tuple) else (value,)
            # A name that begins with _ is a part of others.
            if not name.startswith("_") and all(isinstance(text, str) and _VERB.match(text) for text in texts):
                where = f"{part.name.removeprefix('syncstore.store.')}.{name}"
                found |= {where if len(texts) == 1 else f"{where}.{at}": text for at, text in enumerate(texts)}
    places = {"({})": "(?)", "VALUES {}": "VALUES (?, ?)", "{part}": "0"}
    return {name: _filled(text, places) for name, text in found.items()}


def _filled(text: str, places: dict[str, str]) -> str:
    for place, value in places.items():
        text = text.replace(place, value)
    return text


def plan(db: sqlite3.Connection, statement: str) -> list[str]:
    """The steps of EXPLAIN QUERY PLAN, each parameter null: without samples SQLite does not look at values."""
    try:
        rows = _explain(db, statement, 0)
    except module().ProgrammingError as error:
        needed = _NEEDS.search(str(error))
        assert needed is not None, error
        rows = _explain(db, statement, int(needed[1]))
    return [row[3] for row in rows]


def _explain(db: sqlite3.Connection, statement: str, parameters: int) -> list[tuple[Any, ...]]:
    return db.execute("EXPLAIN QUERY PLAN " + statement, (None,) * parameters).fetchall()


class _Cursor(module().Cursor):  # type: ignore[misc]
    def execute(self, sql: str, parameters: Any = ()) -> _Cursor:
        _note(self.connection, sql)
        super().execute(sql, parameters)
        return self

    def executemany(self, sql: str, parameters: Any) -> _Cursor:
        _note(self.connection, sql)
        super().executemany(sql, parameters)
        return self


class _Connection(module().Connection):  # type: ignore[misc]
    seen: set[str]

    def cursor(self, factory: Any = _Cursor) -> Any:
        return super().cursor(factory)


def _note(connection: sqlite3.Connection, sql: str) -> None:
    if isinstance(connection, _Connection) and _VERB.match(sql):
        connection.seen.add(sql)


@contextmanager
def recorded() -> Iterator[set[str]]:
    """Every statement that connections made in this block are given, by whatever module."""
    seen: set[str] = set()
    plain: Connect = module().connect

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        made = plain(*args, **options, factory=_Connection)
        assert isinstance(made, _Connection)
        made.seen = seen
        return made

    with patch.object(module(), "connect", connect):
        yield seen


def costs(steps: Sequence[str]) -> set[str]:
    """What a plan reads as a whole, by the names in the statement; "room" if that is all events of a room; and "sort"
    if it sorts rows aside, to drop doubles too.
    """
    read = {step.split()[1] for step in steps if step.startswith("SCAN") and not _is_free(step)}
    # An index made for this one statement: out of the whole table.
    read |= {step.split()[1] for step in steps if " AUTOMATIC " in step}
    read |= {"room" for step in steps if _WHOLE_ROOM.search(step)}
    return read | {"sort" for step in steps if "TEMP B-TREE" in step}


def _is_free(step: str) -> bool:
    """The values of a parameter, or no table at all."""
    return "VIRTUAL TABLE" in step or "CONSTANT ROW" in step or step == "SCAN wanted"

"""Rows of a damaged file, table by table, going around every page that cannot be read."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import LargeBinary, Table

from syncstore.errors import CorruptStoreError
from syncstore.model.json_text import decode

Row = dict[str, Any]

_JSON = {"content", "unsigned", "extra", "heroes", "one_time_keys", "fallback_keys"}
# What a row takes at the least: bounds how many there can be in a file whose last page is lost.
_SMALLEST_ROW = 8


class Found(NamedTuple):
    """What a table gave: its whole rows, and whether any place of it could not be read."""

    rows: list[Row]
    unreadable: int


def open_copy(path: Path, folder: Path, sound_header: bytes) -> sqlite3.Connection:
    """A connection to a copy of a damaged file and its WAL; the original is only read.

    sound_header: the first 100 bytes of a sound store, put in place of its own, which may be lost or lie.
    """
    copy = folder / "damaged.db"
    shutil.copyfile(path, copy)
    wal = Path(f"{path}-wal")
    if wal.exists():
        shutil.copyfile(wal, f"{copy}-wal")
    pages = copy.stat().st_size // int.from_bytes(sound_header[16:18], "big")
    # The counter of changes and its twin say that the number of pages may be trusted; no page is free.
    header = sound_header[:28] + pages.to_bytes(4, "big") + bytes(8) + sound_header[40:92]
    with copy.open("r+b") as file:
        file.write(header + sound_header[24:28] + sound_header[96:100])
    raw = sqlite3.connect(copy, isolation_level=None)
    # Bytes, for text that is no UTF-8 must be told from text that is.
    raw.text_factory = bytes
    # Tolerates a schema with broken entries, and a file shorter than its header says.
    raw.execute("PRAGMA writable_schema = ON")
    raw.execute("PRAGMA cell_size_check = ON")
    return raw


def read_table(raw: sqlite3.Connection, table: Table, size: int) -> Found:
    """Every row of a table that can be read. size: bytes of the file."""
    names = _columns(raw, table)
    if not names:
        return Found([], 1)
    if table.dialect_options["sqlite"]["with_rowid"]:
        lines, holes = _by_rowid(raw, table, names, size)
    else:
        lines, holes = _by_key(raw, table, names)
    rows, bad = [], 0
    for line in lines:
        row = decoded(table, dict(zip(names, line, strict=True)))
        if row is None:
            bad += 1
        else:
            rows.append(row)
    return Found(rows, holes + bad)


def _columns(raw: sqlite3.Connection, table: Table) -> list[str]:
    """Those of the table that the file has; none if its schema is lost."""
    try:
        found = {row[1].decode() for row in raw.execute(f"PRAGMA table_info({table.name})")}
    except (sqlite3.Error, UnicodeDecodeError):
        return []
    return [column.name for column in table.columns if column.name in found]


def _by_rowid(raw: sqlite3.Connection, table: Table, names: list[str], size: int) -> tuple[list[tuple[Any, ...]], int]:
    what = f"SELECT rowid, {', '.join(names)} FROM {table.name} NOT INDEXED"
    up, failed = _run(raw, f"{what} ORDER BY rowid")
    if not failed:
        return [row[1:] for row in up], 0
    first = up[-1][0] + 1 if up else 1
    down, _ = _run(raw, f"{what} WHERE rowid >= {first} ORDER BY rowid DESC")
    last = down[-1][0] - 1 if down else max(_newest(raw, table), first)
    if not down and last == first:
        last = first + size // _SMALLEST_ROW
    rows = {row[0]: row[1:] for row in (*up, *down)}
    holes = 1
    spans = [(first, last)]
    while spans:
        low, high = spans.pop()
        if low > high:
            continue
        some, failed = _run(raw, f"{what} WHERE rowid BETWEEN {low} AND {high} ORDER BY rowid")
        rows |= {row[0]: row[1:] for row in some}
        if failed and low < high:
            low = some[-1][0] + 1 if some else low
            middle = (low + high) // 2
            spans += [(low, middle), (middle + 1, high)]
    return list(rows.values()), holes


def _newest(raw: sqlite3.Connection, table: Table) -> int:
    """The highest row id that an index knows, or that was ever given."""
    found = [0]
    for index in sorted(table.indexes, key=str):
        seen, _ = _run(raw, f"SELECT rowid FROM {table.name} INDEXED BY {index.name}")
        found += [row[0] for row in seen]
    seen, _ = _run(raw, f"SELECT seq FROM sqlite_sequence WHERE name = '{table.name}'")
    return max(found + [row[0] for row in seen if isinstance(row[0], int)])


def _by_key(raw: sqlite3.Connection, table: Table, names: list[str]) -> tuple[list[tuple[Any, ...]], int]:
    """From both ends, and where the key begins with a room, from both ends of each room."""
    key = [column.name for column in table.primary_key.columns]
    what = f"SELECT {', '.join(names)} FROM {table.name}"
    orders = [", ".join(key), ", ".join(f"{name} DESC" for name in key)]
    rows, failed = _run(raw, f"{what} ORDER BY {orders[0]}")
    if not failed:
        return rows, 0
    found = dict.fromkeys(rows)
    found |= dict.fromkeys(_run(raw, f"{what} ORDER BY {orders[1]}")[0])
    if key[0] in ("room", "batch"):
        for number in range(_most(raw, key[0]) + 1):
            for order in orders:
                found |= dict.fromkeys(_run(raw, f"{what} WHERE {key[0]} = {number} ORDER BY {order}")[0])
    return list(found), 1


def _most(raw: sqlite3.Connection, table: str) -> int:
    seen, _ = _run(raw, f"SELECT max(id) FROM {table}")
    return seen[0][0] if seen and isinstance(seen[0][0], int) else 10_000


def _run(raw: sqlite3.Connection, query: str) -> tuple[list[tuple[Any, ...]], bool]:
    """The rows up to the first that cannot be read, and whether there was one."""
    rows: list[tuple[Any, ...]] = []
    try:
        # Row by row: what came before the first that fails is kept.
        rows.extend(iter(raw.execute(query)))
    except sqlite3.Error:
        return rows, True
    return rows, False


def decoded(table: Table, row: Row) -> Row | None:
    """The row with its text decoded; None if a value cannot be what was written."""
    for column in table.columns:
        value = row.get(column.name)
        if value is None:
            if column.name in row and not column.nullable:
                return None
            continue
        if isinstance(column.type, LargeBinary):
            row[column.name] = value
            continue
        if (isinstance(value, int) and not isinstance(value, bool)) != (column.type.python_type is int):
            return None
        if isinstance(value, bytes):
            with suppress(ValueError):
                row[column.name] = value.decode()
                if column.name not in _JSON or table.name == "unknown_key":
                    continue
                decode(row[column.name])
                continue
            return None
        if not isinstance(value, int):
            return None
    return row


def tables_of(raw: sqlite3.Connection, path: Path) -> Iterator[str]:
    """Names of the tables that the file still knows."""
    rows, _ = _run(raw, "SELECT name FROM sqlite_schema WHERE type = 'table'")
    found = [row[0].decode(errors="replace") for row in rows if isinstance(row[0], bytes)]
    if found and "own_account" not in found and "event" not in found:
        raise CorruptStoreError(f"{path} is a SQLite database of another program, not a store")
    yield from found

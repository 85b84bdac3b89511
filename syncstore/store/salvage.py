"""Rows of a damaged file, table by table, going around every page that cannot be read."""

from __future__ import annotations

import shutil
import sqlite3
from collections import deque
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import LargeBinary, Table

from syncstore.errors import CorruptStoreError, PassphraseError
from syncstore.model.json_text import decode
from syncstore.store import driver
from syncstore.store.key import Key

Row = dict[str, Any]

# The name of a column, out of a damaged schema.
_NO_TEXT = (UnicodeDecodeError,)
_JSON = {"content", "unsigned", "extra", "heroes", "one_time_keys", "fallback_keys"}
# What a row takes at the least: bounds how many there can be in a file whose last page is lost.
_SMALLEST_ROW = 8
# So many queries in a row that found nothing, and what they asked for is lost.
_ENOUGH = 1_000


class Found(NamedTuple):
    """What a table gave: its whole rows, and whether any place of it could not be read."""

    rows: list[Row]
    unreadable: int


class Damaged:
    """A copy of a damaged file and its WAL; the original is only read."""

    def __init__(self, path: Path, folder: Path, sound_header: bytes, key: Key | None) -> None:
        """sound_header: the first 100 bytes of a sound store, put in place of the file's own, which may be lost or lie.

        key: of an encrypted file, whose header cannot be mended: each page answers for itself or is lost.
        """
        self._copy = folder / "damaged.db"
        self._key = key
        shutil.copyfile(path, self._copy)
        wal = Path(f"{path}-wal")
        if wal.exists():
            shutil.copyfile(wal, f"{self._copy}-wal")
        if key is None:
            _mend_header(self._copy, sound_header)
        self._raw = self._connect()

    def _connect(self) -> sqlite3.Connection:
        raw = driver.connect(self._copy, self._key, "mode=rw")
        # Bytes, for text that is no UTF-8 must be told from text that is.
        raw.text_factory = bytes
        # Tolerates a schema with broken entries, and a file shorter than its header says.
        raw.execute("PRAGMA writable_schema = ON")
        raw.execute("PRAGMA cell_size_check = ON")
        return raw

    def rows(self, query: str) -> tuple[list[tuple[Any, ...]], bool]:
        """The rows up to the first that cannot be read, and whether there was one."""
        rows: list[tuple[Any, ...]] = []
        try:
            # Row by row: what came before the first that fails is kept.
            rows.extend(iter(self._raw.execute(query)))
        except driver.errors() + _NO_TEXT:
            # SQLCipher reads nothing right any more once it has met a page that it cannot decrypt.
            if self._key is not None:
                self._raw.close()
                self._raw = self._connect()
            return rows, True
        return rows, False

    def check_key(self, path: Path) -> None:
        """PassphraseError or CorruptStoreError for an encrypted file of which nothing can be read."""
        if self._key is None:
            return
        if self.rows("PRAGMA user_version")[1]:  # the first page alone
            message = f"{path} does not open with this passphrase: it is another one, or the first page is lost"
            raise PassphraseError(message)
        # SQLCipher reads the list of tables first: where it fails there is nothing behind it.
        if self.rows("SELECT count(*) FROM sqlite_schema")[1]:
            raise CorruptStoreError(f"{path} has lost its list of tables, and with it all that is encrypted")

    def close(self) -> None:
        """Let go of the copy; whoever made its folder removes it."""
        self._raw.close()


def _mend_header(copy: Path, sound: bytes) -> None:
    pages = copy.stat().st_size // int.from_bytes(sound[16:18], "big")
    # The counter of changes and its twin say that the number of pages may be trusted; no page is free.
    header = sound[:28] + pages.to_bytes(4, "big") + bytes(8) + sound[40:92]
    with copy.open("r+b") as file:
        file.write(header + sound[24:28] + sound[96:100])


def read_table(damaged: Damaged, table: Table, size: int) -> Found:
    """Every row of a table that can be read. size: bytes of the file."""
    names = _columns(damaged, table)
    if not names:
        return Found([], 1)
    if table.dialect_options["sqlite"]["with_rowid"]:
        lines, holes = _by_rowid(damaged, table, names, size)
    else:
        lines, holes = _by_key(damaged, table, names)
    rows, bad = [], 0
    for line in lines:
        row = decoded(table, dict(zip(names, line, strict=True)))
        if row is None:
            bad += 1
        else:
            rows.append(row)
    return Found(rows, holes + bad)


def _columns(damaged: Damaged, table: Table) -> list[str]:
    """Those of the table that the file has; none if its schema is lost."""
    rows, failed = damaged.rows(f"PRAGMA table_info({table.name})")
    found = {row[1].decode(errors="replace") for row in rows}
    if failed:
        return []
    return [column.name for column in table.columns if column.name in found]


def _by_rowid(damaged: Damaged, table: Table, names: list[str], size: int) -> tuple[list[tuple[Any, ...]], int]:
    what = f"SELECT rowid, {', '.join(names)} FROM {table.name} NOT INDEXED"
    up, failed = damaged.rows(f"{what} ORDER BY rowid")
    if not failed:
        return [row[1:] for row in up], 0
    first = up[-1][0] + 1 if up else 1
    down, _ = damaged.rows(f"{what} WHERE rowid >= {first} ORDER BY rowid DESC")
    last = down[-1][0] - 1 if down else max(_newest(damaged, table), first)
    if not down and last == first:
        last = first + size // _SMALLEST_ROW
    # A damaged page may tell a row twice.
    rows = {row[0]: row[1:] for row in (*up, *down)}
    # Broad before deep: what can be read of a wide span is found early, and a lost page is probed row by row last.
    spans = deque([(first, last)])
    misses = 0
    while spans and misses < _ENOUGH:
        low, high = spans.popleft()
        some, low, high = _from_both_ends(damaged, what, low, high)
        rows |= {row[0]: row[1:] for row in some}
        misses = 0 if some else misses + 1
        middle = (low + high) // 2
        # Both ends cannot be read.
        spans += [(a, b) for a, b in ((low + 1, middle), (middle + 1, high - 1)) if a <= b]
    return list(rows.values()), 1


def _from_both_ends(damaged: Damaged, what: str, low: int, high: int) -> tuple[list[tuple[Any, ...]], int, int]:
    """Rows of a span up to the first that cannot be read, and down to the last; and what lies between the two."""
    span = f"{what} WHERE rowid BETWEEN {low} AND {high} ORDER BY rowid"
    up, failed = damaged.rows(span)
    if not failed:
        return up, high, low
    down, _ = damaged.rows(f"{span} DESC")
    # A damaged page may tell numbers from anywhere: what is left to read must shrink.
    return up + down, max(low, up[-1][0] + 1) if up else low, min(high, down[-1][0] - 1) if down else high


def _newest(damaged: Damaged, table: Table) -> int:
    """The highest row id that an index knows, or that was ever given."""
    found = [0]
    for index in sorted(table.indexes, key=str):
        seen, _ = damaged.rows(f"SELECT rowid FROM {table.name} INDEXED BY {index.name}")
        found += [row[0] for row in seen]
    seen, _ = damaged.rows(f"SELECT seq FROM sqlite_sequence WHERE name = '{table.name}'")
    return max(found + [row[0] for row in seen if isinstance(row[0], int)])


def _by_key(damaged: Damaged, table: Table, names: list[str]) -> tuple[list[tuple[Any, ...]], int]:
    """From both ends, and where the key begins with a room, from both ends of each room."""
    key = [column.name for column in table.primary_key.columns]
    what = f"SELECT {', '.join(names)} FROM {table.name}"
    orders = [", ".join(key), ", ".join(f"{name} DESC" for name in key)]
    rows, failed = damaged.rows(f"{what} ORDER BY {orders[0]}")
    if not failed:
        return rows, 0
    found = dict.fromkeys(rows)
    found |= dict.fromkeys(damaged.rows(f"{what} ORDER BY {orders[1]}")[0])
    numbers = range(_most(damaged, key[0]) + 1) if key[0] in ("room", "batch") else ()
    misses = 0
    for number, order in product(numbers, orders):
        some, failed = damaged.rows(f"{what} WHERE {key[0]} = {number} ORDER BY {order}")
        found |= dict.fromkeys(some)
        misses = 0 if some else misses + failed
        if misses >= _ENOUGH:
            break
    return list(found), 1


def _most(damaged: Damaged, table: str) -> int:
    seen, _ = damaged.rows(f"SELECT max(id) FROM {table}")
    return seen[0][0] if seen and isinstance(seen[0][0], int) else 10_000


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


def tables_of(damaged: Damaged, path: Path) -> set[str]:
    """Names of the tables that the file still knows."""
    rows, _ = damaged.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")
    found = {row[0].decode(errors="replace") for row in rows if isinstance(row[0], bytes)}
    if found and "own_account" not in found and "event" not in found:
        raise CorruptStoreError(f"{path} is a SQLite database of another program, not a store")
    return found

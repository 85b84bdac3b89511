"""SQL text made once from the tables, so that no column list is written twice."""

from __future__ import annotations

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite

_QUOTED = sqlite.dialect().identifier_preparer.quote


def insert(table: Table, *columns: str) -> str:
    """INSERT of a row, parameters in the order of the columns that are named, or of all of the table's.

    The others become NULL. The driver takes longer to bind a None than a number or a text: it asks its adapters first.
    """
    names = [_QUOTED(table.columns[name].name) for name in columns or table.columns.keys()]
    return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"


def replace(table: Table) -> str:
    """INSERT of a whole row that takes the place of the row with the same key."""
    return insert(table).replace("INSERT", "INSERT OR REPLACE", 1)

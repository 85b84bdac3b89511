"""SQL text made once from the tables, so that no column list is written twice."""

from __future__ import annotations

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite

_DIALECT = sqlite.dialect(paramstyle="qmark")


def insert(table: Table, *columns: str) -> str:
    """INSERT of a row, parameters in the order of the table's columns: of all, or of those that are named.

    The others become NULL. The driver takes longer to bind a None than a number or a text: it asks its adapters first.
    """
    values = {column.name: None for column in table.columns if not columns or column.name in columns}
    return str(table.insert().values(values).compile(dialect=_DIALECT))


def replace(table: Table) -> str:
    """INSERT of a whole row that takes the place of the row with the same key."""
    return insert(table).replace("INSERT", "INSERT OR REPLACE", 1)

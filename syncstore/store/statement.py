"""SQL text made once from the tables, so that no column list is written twice."""

from __future__ import annotations

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite

_DIALECT = sqlite.dialect(paramstyle="qmark")


def insert(table: Table) -> str:
    """INSERT of a whole row, parameters in the order of the table's columns."""
    return str(table.insert().values({column.name: None for column in table.columns}).compile(dialect=_DIALECT))


def replace(table: Table) -> str:
    """INSERT of a whole row that takes the place of the row with the same key."""
    return insert(table).replace("INSERT", "INSERT OR REPLACE", 1)

"""Runs the migrations of one store file. Read by Alembic, started by syncstore.store.upgrade.

foreign_keys stay off while tables are rebuilt (with them on, dropping a table empties those that point to it), the
views are dropped first and made again last (SQLite refuses to rebuild a table under a view), and everything is one
transaction that ends with foreign_key_check.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from alembic import context
from syncstore.errors import CorruptStoreError
from syncstore.store import driver, search
from syncstore.store.connection import driver_of
from syncstore.store.format import APPLICATION_ID
from syncstore.store.key import Key
from syncstore.store.schema import metadata
from syncstore.store.views import CREATE_VIEWS, DROP_VIEWS

# What foreign keys cannot say (docs/decisions/0025).
LOST = """
    SELECT 'room_state' FROM room_state WHERE event NOT IN (SELECT id FROM event)
    UNION ALL SELECT 'replaced_state' FROM replaced_state WHERE event NOT IN (SELECT id FROM event)
"""


def _connect(path: Path, key: Key | None) -> sqlite3.Connection:
    raw = driver.connect(path, key, "mode=rw", timeout=30)
    raw.execute("PRAGMA foreign_keys = OFF")
    raw.execute("PRAGMA secure_delete = ON")
    return raw


def _stamp(connection: Connection) -> None:
    """The header's format number: how many migrations stand behind this file."""
    scripts = ScriptDirectory.from_config(context.config)
    number = len(list(scripts.walk_revisions()))
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID:d}")
    connection.exec_driver_sql(f"PRAGMA user_version = {number:d}")
    connection.exec_driver_sql("UPDATE own_account SET format = ?", (number,))


def _check(connection: Connection, path: Path) -> None:
    checks = ("PRAGMA foreign_key_check", LOST)
    broken = [row for check in checks for row in connection.exec_driver_sql(check)]
    if broken:
        raise CorruptStoreError(
            f"{path} was not upgraded: {len(broken)} rows of {broken[0][0]} and others point nowhere"
        )


def run() -> None:
    path: Path = context.config.attributes["store"]
    key: Key | None = context.config.attributes["key"]
    module = driver.module(key)
    engine = create_engine("sqlite://", module=module, creator=lambda: _connect(path, key), poolclass=StaticPool)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            for statement in DROP_VIEWS:
                connection.exec_driver_sql(statement)
            # Its triggers would go with a table that is rebuilt, and what it says be true no more.
            search.drop(driver_of(connection.connection).cursor())
            # transactional_ddl: Alembic must not commit between two migrations.
            context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
            context.run_migrations()
            for statement in CREATE_VIEWS:
                connection.exec_driver_sql(statement)
            _stamp(connection)
            _check(connection, path)
            connection.commit()
    finally:
        engine.dispose()


run()

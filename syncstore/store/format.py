"""The file's format: what a new file holds, how an old one is brought up to date, which ones are refused."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from syncstore.errors import CorruptStoreError, NewerFormatError, OlderFormatError, OtherAccountError, StoreError
from syncstore.store.connection import Connections
from syncstore.store.views import CREATE_VIEWS

# Written to the file's header: "sync" as a number tells our files from other SQLite databases.
APPLICATION_ID = 0x73796E63
# One number per migration in alembic/versions, oldest first; the file's header carries the newest it has seen.
REVISIONS = ("0001", "0002", "0003", "0004", "0005")
FORMAT = len(REVISIONS)

# The table in which Alembic keeps what it has done, in Alembic's own words.
ALEMBIC_VERSION = """
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
)
"""


def create_statements() -> list[str]:
    """The whole schema of a new file, in order."""
    # Imported only here: a store that exists is read without the tables of SQLAlchemy.
    from sqlalchemy.dialects import sqlite
    from sqlalchemy.schema import CreateIndex, CreateTable

    from syncstore.store.schema import metadata

    dialect = sqlite.dialect()
    made: list[str] = []
    for table in metadata.sorted_tables:
        made.append(str(CreateTable(table).compile(dialect=dialect)))
        made += [str(CreateIndex(index).compile(dialect=dialect)) for index in sorted(table.indexes, key=str)]
    return [*made, ALEMBIC_VERSION, *CREATE_VIEWS]


def prepare(connections: Connections, user_id: str | None, device_id: str | None) -> None:
    """Bring the file to today's format and check whose it is; a file without tables becomes a new store.

    Raises NewerFormatError, OlderFormatError (read-only), OtherAccountError, CorruptStoreError (another program's
    database), StoreError.
    """
    path = connections.path
    with connections.read() as cursor:
        found = _format(cursor, path)
    if found is None:
        if connections.read_only:
            raise CorruptStoreError(f"{path} is empty, not a store")
        _create(connections, user_id, device_id)
    elif found < FORMAT:
        if connections.read_only:
            raise OlderFormatError(f"{path} has format {found}, older than {FORMAT}: open it for writing once")
        # Imported only here: a store at head must open without Alembic.
        from syncstore.store.upgrade import upgrade

        upgrade(path, key=connections.key)
    with connections.read() as cursor:
        _check_account(cursor, path, user_id, device_id)


def _format(cursor: sqlite3.Cursor, path: Path) -> int | None:
    """The file's format, None for a file without tables."""
    application, version = (
        cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
    )
    if application == APPLICATION_ID:
        if version > FORMAT:
            raise NewerFormatError(f"{path} has format {version}; this syncstore knows up to {FORMAT}: upgrade it")
        return int(version)
    if application or cursor.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
        raise CorruptStoreError(f"{path} is a SQLite database of another program, not a store")
    return None


def _create(connections: Connections, user_id: str | None, device_id: str | None) -> None:
    if user_id is None:
        raise StoreError(f"{connections.path} is a new store: say whose it is (user_id)")
    with connections.write(durable=True) as cursor:
        if _format(cursor, connections.path) is not None:
            return  # another process was faster
        for statement in create_statements():
            cursor.execute(statement)
        cursor.execute("INSERT INTO alembic_version VALUES (?)", (REVISIONS[-1],))
        cursor.execute(
            "INSERT INTO own_account (id, user_id, device_id, format, created_at) VALUES (1, ?, ?, ?, ?)",
            (user_id, device_id, FORMAT, int(time.time() * 1000)),
        )
        cursor.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")
        cursor.execute(f"PRAGMA user_version = {FORMAT:d}")


def _check_account(cursor: sqlite3.Cursor, path: Path, user_id: str | None, device_id: str | None) -> None:
    row = cursor.execute("SELECT user_id, device_id FROM own_account").fetchone()
    if row is None:
        raise CorruptStoreError(f"{path} names no account")
    if user_id is not None and row[0] != user_id:
        raise OtherAccountError(f"{path} belongs to {row[0]}, not to {user_id}")
    if device_id is not None and row[1] is not None and row[1] != device_id:
        raise OtherAccountError(
            f"{path} belongs to device {row[1]} of {row[0]}, not to {device_id}: rebind it to the new login, "
            "or use another file"
        )

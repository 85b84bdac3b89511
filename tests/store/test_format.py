"""The file's format: a new file is what the migrations make, and upgrades lose nothing."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from syncstore import SyncStore
from syncstore.errors import CorruptStoreError, NewerFormatError, OlderFormatError, OtherAccountError, StoreError
from syncstore.store import format as file_format
from syncstore.store.format import APPLICATION_ID
from syncstore.store.upgrade import migrations, upgrade
from syncstore.store.views import DROP_VIEWS
from tests.account.readback import read
from tests.encrypted import key_of
from tests.store import rich
from tests.store.bodies import ME, ROOM, Body, event
from tests.store.conftest import Sql

HEAD = len(file_format.REVISIONS)
NEXT = f'''"""One more column, and a table rebuilt under foreign keys.

Revision ID: {HEAD + 1:04}
"""

from alembic import op

revision = "{HEAD + 1:04}"
down_revision = "{HEAD:04}"


def upgrade():
    op.execute("ALTER TABLE room ADD COLUMN colour TEXT")
    with op.batch_alter_table("event") as batch:
        batch.alter_column("sender", nullable=True)
'''
# Not the order in which they were made.
INDICES = """SELECT name, "unique", origin, partial FROM pragma_index_list(?) ORDER BY name"""
BREAKS = NEXT.replace('    op.execute("ALTER', '    op.execute("DELETE FROM room")\n    op.execute("ALTER')


def picture(path: Path) -> dict[str, str]:
    """Every table, index and view with its SQL, white space and quotes made alike."""
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    return {name: re.sub(r"\s+", "", sql.replace('"', "")) for name, sql in rows}


def columns(path: Path) -> dict[str, list[object]]:
    """What SQLite itself understood of each table: no way of writing it down can differ here."""
    with closing(sqlite3.connect(path)) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        asked = ("SELECT * FROM pragma_table_xinfo(?)", "SELECT * FROM pragma_foreign_key_list(?)", INDICES)
        return {table: [db.execute(one, (table,)).fetchall() for one in asked] for table in sorted(tables)}


@pytest.fixture
def filled(path: Path) -> Path:
    """A file of today's format with rows in it, and a table of the user's."""
    with SyncStore.open(path, user_id=ME) as store:
        rich.fill(store)
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE app_notes (room_id TEXT, note TEXT)")
        db.execute("INSERT INTO app_notes VALUES ('!r', 'mine')")
        db.execute("CREATE VIEW app_view AS SELECT note FROM app_notes")
        db.commit()
    return path


def scripts(tmp_path: Path, revision: str) -> Path:
    folder = tmp_path / "alembic"
    shutil.copytree(migrations(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / f"{HEAD + 1:04}_test.py").write_text(revision)
    return folder


def test_a_new_file_is_what_the_migrations_make(store: SyncStore, path: Path, tmp_path: Path) -> None:
    migrated = tmp_path / "migrated.db"
    migrated.touch()
    upgrade(migrated)
    assert picture(migrated) == picture(path)
    assert columns(migrated) == columns(path)


def test_every_revision_has_its_number(store: SyncStore, sql: Sql) -> None:
    found = sorted(one.name[:4] for one in (migrations() / "versions").glob("[0-9]*.py"))
    assert tuple(found) == file_format.REVISIONS
    assert sql("SELECT version_num FROM alembic_version") == [(found[-1],)]
    assert sql("PRAGMA user_version") == [(len(found),)]
    assert sql("PRAGMA application_id") == [(APPLICATION_ID,)]
    assert sql("SELECT format FROM account") == [(len(found),)]


def test_an_upgrade_keeps_rows_views_and_the_user_s_tables(filled: Path, tmp_path: Path, sql: Sql) -> None:
    before, picture_before = read(filled), picture(filled)
    pending = sql("SELECT * FROM outbox"), sql("SELECT * FROM drafts")
    assert all(pending)
    upgrade(filled, scripts(tmp_path, NEXT), key=key_of(filled))
    assert (sql("SELECT * FROM outbox"), sql("SELECT * FROM drafts")) == pending
    assert read(filled) == before
    after = picture(filled)
    assert set(after) == set(picture_before)
    assert {name for name in after if after[name] != picture_before[name]} == {"table room", "table event"}
    assert sql("SELECT * FROM app_notes") == [("!r", "mine")]
    assert sql("SELECT * FROM app_view") == [("mine",)]
    assert (sql("PRAGMA user_version"), sql("SELECT version_num FROM alembic_version")) == (
        [(HEAD + 1,)],
        [(f"{HEAD + 1:04}",)],
    )
    assert (sql("PRAGMA foreign_key_check"), sql("PRAGMA integrity_check")) == ([], [("ok",)])


def test_an_upgrade_that_breaks_foreign_keys_is_not_done(filled: Path, tmp_path: Path) -> None:
    before, picture_before = read(filled), picture(filled)
    with pytest.raises(CorruptStoreError, match="not upgraded"):
        upgrade(filled, scripts(tmp_path, BREAKS), key=key_of(filled))
    assert (read(filled), picture(filled)) == (before, picture_before)


def test_an_upgrade_that_fails_changes_nothing(filled: Path, tmp_path: Path) -> None:
    before, picture_before = read(filled), picture(filled)
    with pytest.raises(StoreError):
        upgrade(
            filled, scripts(tmp_path, NEXT + '    op.execute("SELECT nonsense FROM nowhere")\n'), key=key_of(filled)
        )
    assert (read(filled), picture(filled)) == (before, picture_before)


def test_p38_an_upgrade_drops_the_search_index(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its triggers go with a table that is rebuilt: what is redacted after that would stay in it."""
    with SyncStore.open(filled) as store:
        found = store.search("hello")
        assert found
    upgrade(filled, scripts(tmp_path, NEXT), key=key_of(filled))
    monkeypatch.setattr(file_format, "FORMAT", HEAD + 1)
    with SyncStore.open(filled) as store:
        assert not [name for name in picture(filled) if "search" in name]
        assert store.search("hello") == found


def test_opening_an_older_file_upgrades_it(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from syncstore.store import upgrade as upgrades

    folder = scripts(tmp_path, NEXT)
    monkeypatch.setattr(upgrades, "migrations", lambda: folder)
    monkeypatch.setattr(file_format, "FORMAT", HEAD + 1)
    with pytest.raises(OlderFormatError, match="open it for writing"):
        SyncStore.open(filled, read_only=True)
    before = read(filled)
    with SyncStore.open(filled) as store:
        assert store.info().format == HEAD + 1
    assert read(filled) == before


# What 0005 changed, undone: a file as version 4 of the format left it.
TO_FORMAT_4 = (
    *DROP_VIEWS,
    "ALTER TABLE room_state RENAME TO room_state_now",
    """
    CREATE TABLE room_state (
        room INTEGER NOT NULL, type TEXT NOT NULL, state_key TEXT NOT NULL, event INTEGER NOT NULL, membership TEXT,
        segment INTEGER, position INTEGER, batch INTEGER NOT NULL, PRIMARY KEY (room, type, state_key),
        FOREIGN KEY(room) REFERENCES room (id), FOREIGN KEY(event) REFERENCES event (id)
    ) WITHOUT ROWID
    """,
    "INSERT INTO room_state SELECT * FROM room_state_now",
    "DROP TABLE room_state_now",
    "CREATE INDEX room_state_by_event ON room_state (event)",
    """
    CREATE INDEX room_state_members ON room_state (room, membership, state_key)
    WHERE type = 'm.room.member' AND membership <> 'join'
    """,
    "ALTER TABLE replaced_state RENAME TO replaced_state_now",
    """
    CREATE TABLE replaced_state (
        id INTEGER NOT NULL, room INTEGER NOT NULL, type TEXT NOT NULL, state_key TEXT NOT NULL,
        event INTEGER NOT NULL, segment INTEGER, position INTEGER, batch INTEGER NOT NULL,
        until_batch INTEGER NOT NULL, until_segment INTEGER, until_position INTEGER, until_event_id TEXT,
        PRIMARY KEY (id), FOREIGN KEY(room) REFERENCES room (id), FOREIGN KEY(event) REFERENCES event (id)
    )
    """,
    "INSERT INTO replaced_state SELECT * FROM replaced_state_now",
    "DROP TABLE replaced_state_now",
    "CREATE INDEX replaced_state_by_key ON replaced_state (room, type, state_key)",
    "CREATE INDEX replaced_state_by_event ON replaced_state (event)",
    "UPDATE alembic_version SET version_num = '0004'",
    "PRAGMA user_version = 4",
)
# And what 0002 to 0004 changed: a file as version 1 of the format left it.
TO_FORMAT_1 = (
    *TO_FORMAT_4,
    *(f"DROP TABLE {name}" for name in ("outgoing", "draft", "lease", "consumer", "decrypted", "undecrypted")),
    "DROP TABLE to_device_done",
    "ALTER TABLE to_device_message DROP COLUMN acked",
    "DROP INDEX event_by_transaction",
    "ALTER TABLE touched RENAME TO touched_now",
    """
    CREATE TABLE touched (
        batch INTEGER NOT NULL, room INTEGER NOT NULL, what TEXT NOT NULL, PRIMARY KEY (batch, room, what)
    ) WITHOUT ROWID
    """,
    "INSERT OR IGNORE INTO touched SELECT batch, room, what FROM touched_now",
    "DROP TABLE touched_now",
    "DROP INDEX room_state_members",
    "CREATE INDEX room_state_members ON room_state (room, membership, state_key) WHERE type = 'm.room.member'",
    "DROP INDEX event_by_reply",
    "DROP INDEX event_by_key",
    "DROP INDEX event_by_relation",
    "ALTER TABLE event DROP COLUMN in_reply_to",
    "ALTER TABLE gap ADD COLUMN leased_until INTEGER",
    "ALTER TABLE gap DROP COLUMN older_than",
    "ALTER TABLE gap DROP COLUMN last_walk",
    "ALTER TABLE gap DROP COLUMN ended_at",
    "ALTER TABLE room DROP COLUMN covered_batch",
    "CREATE INDEX event_by_relation ON event (room, relates_to) WHERE relates_to IS NOT NULL",
    "UPDATE alembic_version SET version_num = '0001'",
    "PRAGMA user_version = 1",
)


def test_a_file_of_format_1_gets_its_replies(store: SyncStore, path: Path, tmp_path: Path, sql: Sql) -> None:
    """Also where SQL must not look into the content; a thread's fallback is no reply."""
    reply = {"m.in_reply_to": {"event_id": "$m1"}}
    fallback = {"rel_type": "m.thread", "event_id": "$m1", "is_falling_back": True, **reply}
    texts = {
        "$reply": json.dumps({"m.relates_to": reply}),
        "$escaped": json.dumps({"m.relates_to": reply}).replace("m.in", "\\u006d.in"),
        "$odd": json.dumps({"m.relates_to": reply, "body": "\udc00"}),
        "$fallback": json.dumps({"m.relates_to": fallback}),
        "$text": json.dumps({"m.relates_to": "m.in_reply_to"}),
        "$number": json.dumps({"m.relates_to": {"m.in_reply_to": {"event_id": 5}}}),
    }
    events = [event(id, "m.room.message", {"as": id}) for id in texts]
    body = Body("s1").join(ROOM, *events).done()
    for id, text in texts.items():
        body = body.replace(json.dumps({"as": id}).encode(), text.encode())
    store.apply(body)
    said = sql("SELECT event_id, in_reply_to FROM events ORDER BY event_id")
    assert {id for id, found in said if found} == {"$reply", "$escaped", "$odd"}
    store.close()
    with closing(sqlite3.connect(path)) as db:
        for statement in TO_FORMAT_1:
            db.execute(statement)
        db.commit()
    with SyncStore.open(path) as again:
        assert (again.info().format, again.check()) == (file_format.FORMAT, [])
    assert sql("SELECT event_id, in_reply_to FROM events ORDER BY event_id") == said


def test_a_file_of_format_4_keeps_its_piles(filled: Path, tmp_path: Path, sql: Sql) -> None:
    """Rows, history and views are the same; nothing but the two indices is gone."""
    before, picture_before = read(filled), picture(filled)
    history = sql("SELECT * FROM state_history ORDER BY event_id, until_event_id")
    assert history
    with closing(sqlite3.connect(filled)) as db:
        for statement in TO_FORMAT_4:
            db.execute(statement)
        db.commit()
    assert "index room_state_by_event" in picture(filled)
    with SyncStore.open(filled) as again:
        assert (again.info().format, again.check()) == (file_format.FORMAT, [])
    assert read(filled) == before
    assert sql("SELECT * FROM state_history ORDER BY event_id, until_event_id") == history
    assert picture(filled) == picture_before


def test_a_file_of_format_4_whose_piles_point_nowhere_is_not_upgraded(filled: Path) -> None:
    """Its foreign keys said so; afterwards none would."""
    with closing(sqlite3.connect(filled)) as db:
        for statement in TO_FORMAT_4:
            db.execute(statement)
        db.execute("DELETE FROM event WHERE id = (SELECT event FROM room_state WHERE type = 'm.room.topic')")
        db.commit()
    picture_before = picture(filled)
    with pytest.raises(CorruptStoreError, match="not upgraded: 1 rows of room_state"):
        SyncStore.open(filled)
    assert picture(filled) == picture_before


def test_a_newer_file_is_refused(filled: Path) -> None:
    with closing(sqlite3.connect(filled)) as db:
        db.execute("PRAGMA user_version = 99")
    for read_only in (False, True):
        with pytest.raises(NewerFormatError, match="99"):
            SyncStore.open(filled, read_only=read_only)


def test_a_file_of_another_account_or_device_is_refused(store: SyncStore, path: Path) -> None:
    with pytest.raises(OtherAccountError, match="@other:x"):
        SyncStore.open(path, user_id="@other:x")
    with pytest.raises(OtherAccountError, match="OTHER"):
        SyncStore.open(path, user_id=ME, device_id="OTHER")
    with SyncStore.open(path, user_id=ME, device_id="DEV") as again:
        assert (again.user_id, again.device_id) == (ME, "DEV")


def test_another_program_s_database_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE theirs (a)")
        db.commit()
    before = path.read_bytes()
    with pytest.raises(CorruptStoreError, match="another program"):
        SyncStore.open(path, user_id=ME)
    assert path.read_bytes() == before


def test_opening_at_head_imports_no_alembic(filled: Path) -> None:
    script = (
        "import sys; from syncstore import SyncStore; s = SyncStore.open(sys.argv[1]);"
        ' s.apply(b\'{"next_batch": "x"}\'); s.close();'
        " sys.exit(any(name.split('.')[0] in ('alembic', 'mako') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script, filled], check=False).returncode == 0


def test_making_a_new_store_imports_no_alembic(path: Path) -> None:
    script = (
        "import sys; from syncstore import SyncStore; SyncStore.open(sys.argv[1], user_id='@me:x').close();"
        " sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script, path], check=False).returncode == 0

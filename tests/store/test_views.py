"""The documented views: their columns, and that every SQLite can read them over any content."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from syncstore import SyncStore
from syncstore.model.records import Event
from syncstore.store.format import FORMAT
from tests import encrypted
from tests.store import oddities
from tests.store.bodies import ANN, BOB, ME, ROOM, create, event, member, message, name, wrapped
from tests.store.conftest import Feed, Sql

EVENT = (
    "room_id event_id type state_key sender origin_server_ts content unsigned extra redacts redacted_by rel_type"
    " relates_to transaction_id source segment position batch in_reply_to edited_by decrypted_type decrypted_content"
)
STATE = "room_id room_membership type state_key event_id sender origin_server_ts content batch"
COLUMNS = {
    "account": "user_id device_id homeserver next_batch format created_at last_sync_at",
    "batches": "batch since next_batch initial full_state received_at fetch_ms apply_ms body_bytes event_count"
    " known_count quarantined_count form",
    "rooms": "room_id membership display_name name topic avatar_url canonical_alias room_type room_version encryption"
    " inviter is_direct joined_member_count invited_member_count members_synced notification_count highlight_count"
    " recency_ts latest_event_id gap_count batch tags marked_unread predecessor successor",
    "state": STATE,
    "current_state": STATE,
    "archived_state": STATE,
    "invite_state": "room_id type state_key sender content batch",
    "knock_state": "room_id type state_key sender content batch",
    "state_history": "room_id type state_key event_id sender origin_server_ts content batch until_batch until_segment"
    " until_position until_event_id",
    "members": "room_id user_id membership display_name avatar_url event_id batch",
    "events": EVENT,
    "timeline": EVENT,
    "messages": "room_id event_id sender origin_server_ts sent_at msgtype body in_reply_to segment position batch"
    " edited_by thread_id",
    "reactions": "room_id event_id key sender reaction_id origin_server_ts",
    "gaps": "id room_id kind segment prev_batch since newest_before oldest_after status reason attempts opened_by",
    "account_data": "room_id type content batch",
    "receipts": "room_id user_id receipt_type thread_id event_id ts batch",
    "thread_unread": "room_id thread_id notification_count highlight_count",
    "typing": "room_id user_id batch",
    "presence": "user_id presence last_active_ts status_msg batch",
    "to_device": "id sender type content batch",
    "quarantine": "id batch room_id section event_id reason_code reason raw",
    "changes": "seq batch kind room_id type key event_id op origin",
    "outbox": "transaction_id room_id type content state reason attempts event_id created_at kind state_key target"
    " batch",
    "drafts": "room_id content updated_at",
    "device_lists": "user_id change batch",
}


def test_views_have_exactly_the_documented_columns(store: SyncStore, sql: Sql) -> None:
    found = {
        view: " ".join(row[0] for row in sql("SELECT name FROM pragma_table_info(?) ORDER BY cid", view))
        for (view,) in sql("SELECT name FROM sqlite_schema WHERE type = 'view'")
    }
    assert {view: found.get(view) for view in COLUMNS} == COLUMNS
    assert set(found) - set(COLUMNS) == {"suspects"}


def test_no_table_is_named_like_a_view_or_like_the_user_s(store: SyncStore, sql: Sql) -> None:
    tables = [row[0] for row in sql("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    assert not [table for table in tables if table.startswith("app_")]


@pytest.fixture
def odd(path: Path) -> Path:
    """The file of a store full of oddities."""
    with SyncStore.open(path, user_id=ME) as store:
        oddities.fill(store)
        assert store.check() == []
    return path


def test_every_view_is_readable_with_the_standard_library(odd: Path) -> None:
    with closing(sqlite3.connect(odd)) as db:
        counts = {view: len(db.execute(f"SELECT * FROM {view}").fetchall()) for view in COLUMNS}
        assert sum(map(len, db.execute("SELECT coalesce(msgtype, '') || coalesce(body, '') FROM messages"))) > 5
    assert not [view for view in COLUMNS if not counts[view]]


def test_every_view_is_readable_with_the_newest_sqlite(odd: Path) -> None:
    apsw = pytest.importorskip("apsw")
    db = apsw.Connection(str(odd))
    for view in COLUMNS:
        assert list(db.execute(f"SELECT * FROM {view}")), view
    db.close()


def test_every_view_is_readable_with_the_oldest_sqlite(odd: Path) -> None:
    """SYNCSTORE_OLD_SQLITE: a folder with an old apsw unpacked; two of them do not fit into one environment."""
    folder = os.environ.get("SYNCSTORE_OLD_SQLITE", "")
    if not (Path(folder) / "apsw").is_dir():
        pytest.skip("SYNCSTORE_OLD_SQLITE names no folder with an old apsw")
    script = (
        "import apsw, sys\ndb = apsw.Connection(sys.argv[1])\n"
        "for view in sys.argv[2:]: list(db.cursor().execute('SELECT * FROM ' + view))"
    )
    subprocess.run([sys.executable, "-c", script, odd, *COLUMNS], env={"PYTHONPATH": folder}, check=True)


def test_all_text_of_the_views_is_valid(odd: Path) -> None:
    with closing(sqlite3.connect(odd)) as db:
        for view in COLUMNS:
            for row in db.execute(f"SELECT * FROM {view}"):
                assert not [value for value in row if isinstance(value, str) and re.search("[\ud800-\udfff]", value)]
        rooms = db.execute("SELECT display_name, name, topic, avatar_url, canonical_alias FROM rooms").fetchall()
        derived = [value for row in rooms for value in row if value]
        assert "x\ufffdy" in derived
        assert not [value for value in derived if "\0" in value]


def test_every_content_of_the_views_is_json(odd: Path) -> None:
    with closing(sqlite3.connect(odd)) as db:
        for view in ("events", "state", "invite_state", "account_data", "to_device"):
            column = "SELECT content FROM {} WHERE NOT json_valid(content)"
            assert db.execute(column.format(view)).fetchall() == []


def test_views_work_across_attach(odd: Path, tmp_path: Path) -> None:
    key = encrypted.key_of(odd)
    with closing(encrypted.module().connect(tmp_path / "mine.db")) as db:
        db.execute("ATTACH ? AS alice KEY ?", (str(odd), "" if key is None else key.text))
        for view in COLUMNS:
            assert db.execute(f"SELECT * FROM alice.{view}").fetchall(), view


def test_every_read_copes_with_oddities(odd: Path) -> None:
    with SyncStore.open(odd) as store:
        for room in store.rooms():
            items = room.timeline(500).items
            assert all(item.json() for item in items if isinstance(item, Event))
            assert isinstance(room.members(), list) and isinstance(room.receipts(), list)
            assert all(isinstance(event.content, dict) for event in room.state_map().values())
            assert all(isinstance(one.content, dict) for one in [*room.invite_state(), *room.knock_state()])
        assert store.info().quarantined > 5


def test_timestamps_are_milliseconds_and_utc_text(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, message("$a", origin_server_ts=1417731086795)))
    assert sql("SELECT origin_server_ts, sent_at FROM messages") == [(1417731086795, "2014-12-04T22:11:26.795Z")]
    iso = "20[0-9][0-9]-[0-9][0-9]-[0-9][0-9]T*Z"
    assert sql("SELECT count(*) FROM account WHERE created_at GLOB ?1 AND last_sync_at GLOB ?1", iso) == [(1,)]
    assert sql("SELECT user_id, device_id, homeserver, next_batch, format FROM account") == [
        (ME, "DEV", None, "s1", FORMAT)
    ]


def test_messages_are_those_that_can_be_read(feed: Feed, sql: Sql) -> None:
    reply = {"msgtype": "m.text", "body": "yes", "m.relates_to": {"m.in_reply_to": {"event_id": "$a"}}}
    other = [event("$st", "m.room.message", {"body": "no"}, state_key=""), event("$x", "m.sticker", {"body": "no"})]
    feed.take(feed.next.join(ROOM, message("$a"), event("$b", "m.room.message", reply), *other))
    columns = "SELECT event_id, sender, msgtype, body, in_reply_to FROM messages ORDER BY segment, position"
    assert sql(columns) == [("$a", ANN, "m.text", "hello", None), ("$b", ANN, "m.text", "yes", "$a")]


def test_rooms_shows_what_the_state_says(feed: Feed, sql: Sql) -> None:
    block = [
        create(version="11") | {"content": {"room_version": "11", "type": "m.space"}},
        event("$a", "m.room.avatar", {"url": "mxc://a/b"}, state_key=""),
        event("$c", "m.room.canonical_alias", {"alias": "#a:b"}, state_key=""),
        event("$e", "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"}, state_key=""),
        member("$j", ME, "join"),
        member("$i", BOB, "invite"),
    ]
    unread = {"notification_count": 3, "highlight_count": 1}
    feed.take(
        feed.next.join(
            ROOM, message("$m", origin_server_ts=77), name("$n", "N"), state=block, unread_notifications=unread
        )
    )
    feed.take(feed.next.data("m.direct", {ANN: [ROOM]}))
    row = sql(f"SELECT {', '.join(COLUMNS['rooms'].split())} FROM rooms")[0]
    assert row[:9] == (ROOM, "join", "N", "N", None, "mxc://a/b", "#a:b", "m.space", "11")
    assert row[9:] == ("m.megolm.v1.aes-sha2", None, 1, 1, 1, 1, 3, 1, 77, "$n", 1, 1, None, 0, None, None)


def test_receipts_typing_unread_presence_and_data(feed: Feed, sql: Sql) -> None:
    read = {"$a": {"m.read": {BOB: {"ts": 5}, ANN: {"ts": 6, "thread_id": "main"}}, "m.read.private": {ME: {"ts": 7}}}}
    ephemeral = [{"type": "m.receipt", "content": read}, {"type": "m.typing", "content": {"user_ids": [BOB, ANN]}}]
    threads = {"$t": {"notification_count": 2, "highlight_count": 0}}
    data = [{"type": "m.tag", "content": {}}]
    body = feed.next.join(
        ROOM,
        message("$a"),
        ephemeral=wrapped(ephemeral),
        unread_thread_notifications=threads,
        account_data=wrapped(data),
    )
    feed.take(body.data("m.x", {"a": 1}).presence(ANN, {"presence": "online", "status_msg": "hi"}).to_device({}))
    assert sql("SELECT user_id, receipt_type, thread_id, event_id, ts FROM receipts ORDER BY ts") == [
        (BOB, "m.read", None, "$a", 5),
        (ANN, "m.read", "main", "$a", 6),
        (ME, "m.read.private", None, "$a", 7),
    ]
    assert sql("SELECT room_id, user_id FROM typing ORDER BY 2") == [(ROOM, ANN), (ROOM, BOB)]
    assert sql("SELECT * FROM thread_unread") == [(ROOM, "$t", 2, 0)]
    assert sql("SELECT * FROM presence") == [(ANN, "online", None, "hi", 1)]
    assert sql("SELECT room_id, type, content FROM account_data ORDER BY 2") == [
        (ROOM, "m.tag", "{}"),
        (None, "m.x", '{"a": 1}'),
    ]
    feed.take(feed.next.join(ROOM, ephemeral=wrapped([{"type": "m.typing", "content": {"user_ids": []}}])))
    assert sql("SELECT * FROM typing") == []

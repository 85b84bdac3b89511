"""The search index: the text of every stored message, made by the first search, kept true by triggers (promise 38).

An event that carries text has a row under its own number, an edit under the edit's: what a row says depends on one
event and nothing else. New events are added when somebody searches; who never does pays nothing. What loses its text
loses its row in the same commit. All of it can be made anew, so upgrades and `compact` drop it.
"""

from __future__ import annotations

import sqlite3

from syncstore.errors import StoreError
from syncstore.model.records import Event
from syncstore.store.connection import Connections
from syncstore.store.query.state import EDITED, EVENT_COLUMNS

_CHUNK = 20_000  # events that one transaction adds: others write in between
_CONTENT = "coalesce(d.content, e.content)"
_TEXT = f"""
    CASE WHEN coalesce(d.odd, e.odd) <> 0 THEN NULL
        WHEN e.rel_type IS NOT 'm.replace' AND json_type({_CONTENT}, '$.body') = 'text' THEN {_CONTENT} ->> '$.body'
        WHEN e.rel_type IS 'm.replace' AND json_type({_CONTENT}, '$."m.new_content".body') = 'text'
            THEN {_CONTENT} ->> '$."m.new_content".body' END
"""
_CARRIERS = f"""
    FROM event e LEFT JOIN decrypted d ON d.event = e.id
    WHERE e.type IN ('m.room.message', 'm.room.encrypted') AND coalesce(d.type, e.type) = 'm.room.message'
        AND e.state_key IS NULL AND e.redacted_by IS NULL AND {_TEXT} IS NOT NULL
"""
_ADD = f"INSERT INTO search_text (rowid, body) SELECT e.id, {_TEXT} {_CARRIERS}"
# A row of one event made anew, if its turn has come already.
_AGAIN = (
    """
    WHEN (SELECT upto FROM search_state) >= {0} BEGIN
        DELETE FROM search_text WHERE rowid = {0};
        """
    + _ADD
    + """ AND e.id = {0};
        UPDATE search_state SET stale = 1;
    END
"""
)
_CREATE = (
    "CREATE TABLE search_state (upto INTEGER NOT NULL, stale INTEGER NOT NULL)",
    "INSERT INTO search_state (upto, stale) VALUES (0, 0)",
    "CREATE VIRTUAL TABLE search_text USING fts5 (body, tokenize = 'unicode61 remove_diacritics 2')",
    "CREATE TRIGGER search_event_changed AFTER UPDATE OF content, redacted_by ON event" + _AGAIN.format("new.id"),
    # A payload is put in, in place of another one or not; it goes with a change of its event.
    "CREATE TRIGGER search_decrypted AFTER INSERT ON decrypted" + _AGAIN.format("new.event"),
    # The numbers of the newest events may be given again, whether these were indexed or not.
    """
    CREATE TRIGGER search_event_gone AFTER DELETE ON event BEGIN
        DELETE FROM search_text WHERE rowid = old.id;
        UPDATE search_state
        SET stale = stale OR upto >= old.id, upto = min(upto, (SELECT coalesce(max(id), 0) FROM event));
    END
    """,
)
MADE = "SELECT 1 FROM sqlite_schema WHERE name = 'search_state'"
TRIGGERS = """
    SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name IN ('event', 'decrypted') AND name LIKE 'search%'
"""
UPTO = "SELECT upto, (SELECT coalesce(max(id), 0) FROM event) FROM search_state"
LAST_OF_CHUNK = "SELECT id FROM event WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?"
ADD = _ADD + " AND e.id > ? AND e.id <= ?"
SET_UPTO = "UPDATE search_state SET upto = ?"
STALE = "SELECT stale FROM search_state"
PURGE = ("INSERT INTO search_text (search_text) VALUES ('optimize')", "UPDATE search_state SET stale = 0")
# A hit is the event that has the text; the message is that event, or the one that it edits, while its edit counts.
FOUND = f"""
    SELECT {EVENT_COLUMNS}
    FROM search_text s CROSS JOIN event h ON h.id = s.rowid
    JOIN event e ON e.room = h.room
        AND e.event_id = CASE WHEN h.rel_type IS 'm.replace' THEN h.relates_to ELSE h.event_id END
    JOIN room r ON r.id = e.room
    {EDITED}
    WHERE s.search_text MATCH ?1 AND (?2 IS NULL OR r.room_id = ?2)
        AND e.segment IS NOT NULL AND coalesce(x.id, e.id) = h.id
    ORDER BY e.origin_server_ts DESC, e.id DESC LIMIT ?3
"""
# Each: how many, and what is wrong with them.
MISPLACED = (
    f"""
    SELECT count(*), 'entries of the search index are not what their events say' FROM search_text s
    WHERE s.body IS NOT (SELECT {_TEXT} {_CARRIERS} AND e.id = s.rowid)
    """,
    f"""
    SELECT count(*), 'messages are not in the search index and should be' {_CARRIERS}
        AND e.id <= (SELECT upto FROM search_state) AND NOT EXISTS (SELECT 1 FROM search_text s WHERE s.rowid = e.id)
    """,
)


def search(cursor: sqlite3.Cursor, expression: str, room_id: str | None, limit: int) -> list[Event]:
    """Messages that an FTS5 expression fits, of one room or of all, the newest first."""
    return [Event(*row) for row in cursor.execute(FOUND, (expression, room_id, limit))]


def catch_up(connections: Connections) -> None:
    """Add what was stored since the last search. StoreError if that would need to write and must not."""
    while _is_behind(connections):
        if connections.read_only:
            raise StoreError(f"{connections.path} has messages that its search index lacks: open it for writing once")
        with connections.write() as cursor:
            if not exists(cursor):
                for statement in _CREATE:
                    cursor.execute(statement)
            _add(cursor)


def _is_behind(connections: Connections) -> bool:
    with connections.read() as cursor:
        if not exists(cursor):
            return True
        upto, newest = cursor.execute(UPTO).fetchone()
        return bool(upto < newest)


def _add(cursor: sqlite3.Cursor) -> None:
    upto, newest = cursor.execute(UPTO).fetchone()
    last = cursor.execute(LAST_OF_CHUNK, (upto, _CHUNK - 1)).fetchone()
    until = last[0] if last else newest
    cursor.execute(ADD, (upto, until))
    cursor.execute(SET_UPTO, (until,))


def exists(cursor: sqlite3.Cursor) -> bool:
    """Whether anybody ever searched."""
    return cursor.execute(MADE).fetchone() is not None


def purge(connections: Connections) -> bool:
    """Take words of redacted messages out of the index's own pages, where a deleted row leaves them.

    False if that must be tried again later: another process writes, or the disk is full.
    """
    with connections.read() as cursor:
        stale = exists(cursor) and cursor.execute(STALE).fetchone()[0]
    if stale and not connections.read_only:
        try:
            with connections.write() as cursor:
                for statement in PURGE:
                    cursor.execute(statement)
        except StoreError:
            return False
    return True


def drop(cursor: sqlite3.Cursor) -> None:
    """Forget the index: the next search makes it anew."""
    for (trigger,) in cursor.execute(TRIGGERS).fetchall():
        cursor.execute(f"DROP TRIGGER {trigger}")
    cursor.execute("DROP TABLE IF EXISTS search_text")
    cursor.execute("DROP TABLE IF EXISTS search_state")

"""The search index: the words of every stored message, made by the first search, kept true by triggers (promise 38).

An event that says something is indexed under its own number, an edit under the edit's: what an entry says depends on
one event and nothing else. New events are added when somebody searches; who never does pays nothing. FTS5 cannot
forget a word: a row that is deleted leaves its words as marks, and no command is sure to take them away. So the index
lies in parts, each for a range of events; a part from which anything was taken is emptied as a whole, and the next
search fills it again. It holds words, not texts, and all of it can be made anew: upgrades and `compact` drop it.
"""

from __future__ import annotations

import sqlite3

from syncstore.errors import StoreError
from syncstore.model.records import Event
from syncstore.store.connection import Connections
from syncstore.store.query.state import EDITED, EVENT_COLUMNS

_BITS = 15  # a part is for 2^15 event numbers: what a redaction costs the next search, and what others wait for
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
_PART_OF = f"number = {{0}} >> {_BITS} AND upto >= {{0}}"
_CREATE = (
    # Of a part: its events are indexed up to this number; stale: something was taken from it.
    "CREATE TABLE search_part (number INTEGER PRIMARY KEY, upto INTEGER NOT NULL, stale INTEGER NOT NULL)",
    # What was decrypted after its turn.
    "CREATE TABLE search_late (event INTEGER PRIMARY KEY)",
    f"""
    CREATE TRIGGER search_event_changed AFTER UPDATE OF content, redacted_by ON event
    WHEN old.type = 'm.room.message' OR EXISTS (SELECT 1 FROM decrypted WHERE event = old.id) BEGIN
        UPDATE search_part SET stale = 1 WHERE {_PART_OF.format("old.id")};
    END
    """,
    f"""
    CREATE TRIGGER search_decrypted BEFORE INSERT ON decrypted BEGIN
        UPDATE search_part SET stale = 1
        WHERE {_PART_OF.format("new.event")} AND EXISTS (SELECT 1 FROM decrypted WHERE event = new.event);
        INSERT OR REPLACE INTO search_late (event)
        SELECT new.event FROM search_part WHERE {_PART_OF.format("new.event")};
    END
    """,
    # Whatever it was: its number may be given again.
    f"""
    CREATE TRIGGER search_event_gone AFTER DELETE ON event BEGIN
        UPDATE search_part SET stale = 1 WHERE {_PART_OF.format("old.id")};
    END
    """,
)
_DROP = (
    "DROP TRIGGER IF EXISTS search_event_changed",
    "DROP TRIGGER IF EXISTS search_decrypted",
    "DROP TRIGGER IF EXISTS search_event_gone",
    "DROP TABLE search_late",
    "DROP TABLE search_part",
)
# {part}: the number of a part.
_CREATE_PART = """
    CREATE VIRTUAL TABLE search_text_{part} USING fts5 (body, content = '', tokenize = 'unicode61 remove_diacritics 2')
"""
_DROP_PART = "DROP TABLE search_text_{part}"
MADE = "SELECT 1 FROM sqlite_schema WHERE name = 'search_part'"
PARTS = "SELECT number, CASE WHEN stale THEN -1 ELSE upto END FROM search_part ORDER BY number DESC"
NEWEST = "SELECT coalesce(max(id), 0) FROM event"
ANY_LATE = "SELECT EXISTS (SELECT 1 FROM search_late)"
_ADD = f"INSERT INTO search_text_{{part}} (rowid, body) SELECT e.id, {_TEXT} {_CARRIERS}"
ADD = _ADD + " AND e.id BETWEEN ? AND ?"
ADD_LATE = _ADD + f" AND e.id IN (SELECT event FROM search_late WHERE event >> {_BITS} = ?)"
NOT_LATE = "DELETE FROM search_late WHERE event BETWEEN ? AND ?"
NONE_LATE = "DELETE FROM search_late"
SET_PART = "INSERT OR REPLACE INTO search_part (number, upto, stale) VALUES (?, ?, 0)"
STALE = "SELECT number FROM search_part WHERE stale"
EMPTY = "INSERT INTO search_text_{part} (search_text_{part}) VALUES ('delete-all')"
# A hit is the event that has the text; the message is that event, or the one that it edits, while its edit counts.
FOUND = f"""
    SELECT {EVENT_COLUMNS}
    FROM search_text_{{part}} s CROSS JOIN event h ON h.id = s.rowid
    JOIN event e ON e.room = h.room
        AND e.event_id = CASE WHEN h.rel_type IS 'm.replace' THEN h.relates_to ELSE h.event_id END
    JOIN room r ON r.id = e.room
    {EDITED}
    WHERE s.search_text_{{part}} MATCH ?1 AND (?2 IS NULL OR r.room_id = ?2)
        AND e.segment IS NOT NULL AND e.rel_type IS NOT 'm.replace' AND coalesce(x.id, e.id) = h.id
        AND (e.type = 'm.room.message'
            OR EXISTS (SELECT 1 FROM decrypted m WHERE m.event = e.id AND m.type = 'm.room.message'))
    ORDER BY e.origin_server_ts DESC, e.id DESC LIMIT ?3
"""
ANY_ENTRY = "SELECT 1 FROM search_text_{part} LIMIT 1"
# Each, of a part: how many, and what is wrong with them.
SURPLUS = f"""
    SELECT count(*), 'entries of the search index belong to no message' FROM search_text_{{part}} s
    WHERE NOT EXISTS (SELECT 1 {_CARRIERS} AND e.id = s.rowid)
"""
LACKING = f"""
    SELECT count(*), 'messages are not in the search index and should be' {_CARRIERS}
        AND e.id BETWEEN ? AND ? AND NOT EXISTS (SELECT 1 FROM search_text_{{part}} s WHERE s.rowid = e.id)
        AND NOT EXISTS (SELECT 1 FROM search_late l WHERE l.event = e.id)
"""


def search(connections: Connections, expression: str, room_id: str | None, limit: int) -> list[Event]:
    """Messages that an FTS5 expression fits, of one room or of all, the newest first.

    Adds what was stored since the last search. StoreError if that would need to write and must not.
    """
    while True:
        with connections.read() as cursor:
            if not _is_behind(cursor):
                return _found(cursor, expression, room_id, limit)
        if connections.read_only:
            raise StoreError(f"{connections.path} has messages that its search index lacks: open it for writing once")
        with connections.write() as cursor:
            _advance(cursor)


def _found(cursor: sqlite3.Cursor, expression: str, room_id: str | None, limit: int) -> list[Event]:
    found = [
        Event(*row)
        for number, _ in cursor.execute(PARTS).fetchall()
        for row in cursor.execute(_of(FOUND, number), (expression, room_id, limit))
    ]
    found.sort(key=lambda one: (one.origin_server_ts is not None, one.origin_server_ts), reverse=True)
    return found[:limit] if limit >= 0 else found


def _is_behind(cursor: sqlite3.Cursor) -> bool:
    if not exists(cursor):
        return True
    return _unfilled(cursor) is not None or bool(cursor.execute(ANY_LATE).fetchone()[0])


def _unfilled(cursor: sqlite3.Cursor) -> tuple[int, int, int] | None:
    """The first part that lacks events: its number, the first and the last that it lacks."""
    newest = cursor.execute(NEWEST).fetchone()[0]
    parts = dict(cursor.execute(PARTS).fetchall())
    for number in range((newest >> _BITS) + 1):
        last = min(newest, ((number + 1) << _BITS) - 1)
        upto = parts.get(number, -1)
        if upto < last:
            return number, max(upto + 1, number << _BITS), last
    return None


def _advance(cursor: sqlite3.Cursor) -> None:
    """Fill one part, or add what was decrypted late: others write in between."""
    if not exists(cursor):
        for statement in _CREATE:
            cursor.execute(statement)
    unfilled = _unfilled(cursor)
    if unfilled is None:
        for number, _ in cursor.execute(PARTS).fetchall():
            cursor.execute(_of(ADD_LATE, number), (number,))
        cursor.execute(NONE_LATE)
        return
    number, first, last = unfilled
    if number not in dict(cursor.execute(PARTS).fetchall()):
        cursor.execute(_of(_CREATE_PART, number))
    elif first == number << _BITS:
        cursor.execute(_of(EMPTY, number))
    cursor.execute(_of(ADD, number), (first, last))
    cursor.execute(SET_PART, (number, last))
    cursor.execute(NOT_LATE, (first, last))


def _of(statement: str, number: int) -> str:
    """A statement about one part; its number is the key of a row, so it can be nothing but a number."""
    return statement.replace("{part}", f"{number:d}")


def exists(cursor: sqlite3.Cursor) -> bool:
    """Whether anybody ever searched."""
    return cursor.execute(MADE).fetchone() is not None


def purge(connections: Connections) -> bool:
    """Empty the parts from which something was taken: its words are still in them.

    False if that must be tried again later: another process writes, or the disk is full.
    """
    if connections.read_only:
        return True
    try:
        with connections.read() as cursor:
            stale = exists(cursor) and cursor.execute(STALE).fetchone() is not None
        if stale:
            with connections.write() as cursor:
                _empty_stale(cursor)
    except StoreError:
        return False
    return True


def _empty_stale(cursor: sqlite3.Cursor) -> None:
    for (number,) in cursor.execute(STALE).fetchall():
        cursor.execute(_of(EMPTY, number))
        cursor.execute(SET_PART, (number, -1))


def drop(cursor: sqlite3.Cursor) -> None:
    """Forget the index: the next search makes it anew."""
    if exists(cursor):
        for number, _ in cursor.execute(PARTS).fetchall():
            cursor.execute(_of(_DROP_PART, number))
        for statement in _DROP:
            cursor.execute(statement)


def look_anew(cursor: sqlite3.Cursor) -> None:
    """Before integrity_check: a connection remembers how a part lay in its pages, and that check does not ask whether
    another one has emptied it since (SQLite 3.53). Any query does."""
    if exists(cursor):
        for number, _ in cursor.execute(PARTS).fetchall():
            cursor.execute(_of(ANY_ENTRY, number)).fetchone()


def misplaced(cursor: sqlite3.Cursor) -> list[tuple[int, str]]:
    """What is wrong with the index: how many, and what."""
    if not exists(cursor):
        return []
    found: list[tuple[int, str]] = []
    for number, upto in cursor.execute(PARTS).fetchall():
        if upto >= 0:  # else it will be filled anew
            found.append(cursor.execute(_of(SURPLUS, number)).fetchone())
            found.append(cursor.execute(_of(LACKING, number), (number << _BITS, upto)).fetchone())
    return found

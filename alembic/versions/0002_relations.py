"""Replies get a column, relations and placed state events an index, gaps what their proof needs.

Revision ID: 0002
"""

import json

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    "ALTER TABLE event ADD COLUMN in_reply_to TEXT",
    "ALTER TABLE gap ADD COLUMN leased_by TEXT",
    "ALTER TABLE gap ADD COLUMN older_than INTEGER DEFAULT 0 NOT NULL",
    "ALTER TABLE gap ADD COLUMN last_walk TEXT",
    "ALTER TABLE gap ADD COLUMN ended_at TEXT",
    # After an absence nobody noted which batch the older end is of: such a gap never closes by overlap.
    "UPDATE gap SET older_than = opened_by WHERE kind = 'limited'",
    "ALTER TABLE room ADD COLUMN covered_batch INTEGER",
    "DROP INDEX event_by_relation",
    "CREATE INDEX event_by_relation ON event (room, relates_to, rel_type) WHERE relates_to IS NOT NULL",
    "CREATE INDEX event_by_reply ON event (room, in_reply_to) WHERE in_reply_to IS NOT NULL",
    "CREATE INDEX event_by_key ON event (room, type, state_key) WHERE state_key IS NOT NULL AND segment IS NOT NULL",
)
# A key may be written with escapes: whatever has any is looked into.
CANDIDATES = "SELECT id, content FROM event WHERE content LIKE '%m.in_reply_to%' OR content LIKE '%\\u%'"


def upgrade():
    for statement in STATEMENTS:
        op.execute(statement)
    connection = op.get_bind()
    for number, content in connection.exec_driver_sql(CANDIDATES).fetchall():
        event_id = _replied_to(content)
        if event_id is not None:
            connection.exec_driver_sql("UPDATE event SET in_reply_to = ? WHERE id = ?", (event_id, number))


def _replied_to(content):
    # parse_int: integers may be longer than Python likes to read, and none is wanted here.
    try:
        relation = json.loads(content, parse_int=len).get("m.relates_to")
        if relation.get("rel_type") == "m.thread" and relation.get("is_falling_back") is True:
            return None
        event_id = relation["m.in_reply_to"]["event_id"]
        event_id.encode()
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return None
    return event_id if isinstance(event_id, str) else None

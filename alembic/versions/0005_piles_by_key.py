"""The piles point to events without a foreign key: an event's own type and state_key name its row there.

Revision ID: 0005
"""

from alembic import op

revision = "0005"
down_revision = "0004"

STATEMENTS = (
    "ALTER TABLE room_state RENAME TO room_state_before",
    """
    CREATE TABLE room_state (
        room INTEGER NOT NULL, type TEXT NOT NULL, state_key TEXT NOT NULL, event INTEGER NOT NULL, membership TEXT,
        segment INTEGER, position INTEGER, batch INTEGER NOT NULL, PRIMARY KEY (room, type, state_key),
        FOREIGN KEY(room) REFERENCES room (id)
    ) WITHOUT ROWID
    """,
    "INSERT INTO room_state SELECT * FROM room_state_before",
    "DROP TABLE room_state_before",
    """
    CREATE INDEX room_state_members ON room_state (room, membership, state_key)
    WHERE type = 'm.room.member' AND membership <> 'join'
    """,
    "ALTER TABLE replaced_state RENAME TO replaced_state_before",
    """
    CREATE TABLE replaced_state (
        id INTEGER NOT NULL, room INTEGER NOT NULL, type TEXT NOT NULL, state_key TEXT NOT NULL,
        event INTEGER NOT NULL, segment INTEGER, position INTEGER, batch INTEGER NOT NULL,
        until_batch INTEGER NOT NULL, until_segment INTEGER, until_position INTEGER, until_event_id TEXT,
        PRIMARY KEY (id), FOREIGN KEY(room) REFERENCES room (id)
    )
    """,
    "INSERT INTO replaced_state SELECT * FROM replaced_state_before",
    "DROP TABLE replaced_state_before",
    "CREATE INDEX replaced_state_by_key ON replaced_state (room, type, state_key)",
)


def upgrade():
    for statement in STATEMENTS:
        op.execute(statement)

"""What is sent, followed, acknowledged and decrypted; the notes of what a commit changed become a feed.

Revision ID: 0004
"""

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    "ALTER TABLE touched RENAME TO touched_before",
    """
    CREATE TABLE touched (
        seq INTEGER NOT NULL, batch INTEGER NOT NULL, room INTEGER NOT NULL, what TEXT NOT NULL, op TEXT,
        type TEXT, "key" TEXT, first_row INTEGER, last_row INTEGER, origin TEXT, PRIMARY KEY (seq)
    )
    """,
    """
    INSERT INTO touched (batch, room, what) SELECT batch, room, what FROM touched_before ORDER BY batch, room, what
    """,
    "DROP TABLE touched_before",
    """
    CREATE TABLE outgoing (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, room INTEGER NOT NULL, transaction_id TEXT NOT NULL,
        kind TEXT NOT NULL, type TEXT NOT NULL, state_key TEXT, content TEXT NOT NULL, target TEXT,
        waits_for INTEGER, replaces TEXT, status TEXT NOT NULL, reason TEXT, attempts INTEGER DEFAULT 0 NOT NULL,
        attempted_at INTEGER, after_segment INTEGER, after_position INTEGER, event_id TEXT,
        created_at INTEGER NOT NULL, batch INTEGER NOT NULL, FOREIGN KEY(room) REFERENCES room (id),
        UNIQUE (transaction_id)
    )
    """,
    "CREATE INDEX outgoing_by_room ON outgoing (room)",
    """
    CREATE TABLE draft (
        room INTEGER NOT NULL, content TEXT NOT NULL, updated_at INTEGER NOT NULL, batch INTEGER NOT NULL,
        PRIMARY KEY (room), FOREIGN KEY(room) REFERENCES room (id)
    )
    """,
    """
    CREATE TABLE lease (
        name TEXT NOT NULL, until INTEGER NOT NULL, holder TEXT NOT NULL, PRIMARY KEY (name)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE consumer (
        name TEXT NOT NULL, stream TEXT NOT NULL, seq INTEGER NOT NULL, last_row INTEGER NOT NULL,
        updated_at INTEGER NOT NULL, PRIMARY KEY (name, stream)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE decrypted (
        event INTEGER NOT NULL, type TEXT NOT NULL, content TEXT NOT NULL, odd INTEGER NOT NULL,
        batch INTEGER NOT NULL, PRIMARY KEY (event), FOREIGN KEY(event) REFERENCES event (id)
    )
    """,
    """
    CREATE TABLE undecrypted (
        event INTEGER NOT NULL, session_id TEXT, PRIMARY KEY (event), FOREIGN KEY(event) REFERENCES event (id)
    )
    """,
    "CREATE INDEX undecrypted_by_session ON undecrypted (session_id)",
    """
    INSERT INTO undecrypted (event, session_id)
    SELECT id, CASE WHEN odd = 0 AND json_type(content, '$.session_id') = 'text' THEN content ->> '$.session_id' END
    FROM event WHERE type = 'm.room.encrypted' AND state_key IS NULL AND redacted_by IS NULL
    """,
    """
    CREATE TABLE to_device_done (
        name TEXT NOT NULL, message INTEGER NOT NULL, PRIMARY KEY (name, message),
        FOREIGN KEY(message) REFERENCES to_device_message (id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX to_device_done_by_message ON to_device_done (message)",
    "CREATE INDEX event_by_transaction ON event (room, transaction_id) WHERE transaction_id IS NOT NULL",
    "ALTER TABLE gap DROP COLUMN leased_until",
    "ALTER TABLE gap DROP COLUMN leased_by",
    "ALTER TABLE to_device_message ADD COLUMN acked INTEGER DEFAULT 0 NOT NULL",
)


def upgrade():
    for statement in STATEMENTS:
        op.execute(statement)

"""The first format: all tables of version 0.1.0.

Frozen: later formats are later revisions. Views are not made here but by env.py after the last revision.

Revision ID: 0001
"""

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    """
    CREATE TABLE account_datum (
        room INTEGER NOT NULL,
        type TEXT NOT NULL,
        content TEXT NOT NULL,
        odd INTEGER NOT NULL,
        batch INTEGER NOT NULL,
        PRIMARY KEY (room, type)
    )
     WITHOUT ROWID
    """,
    """
    CREATE TABLE batch (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        since TEXT,
        next_batch TEXT,
        initial INTEGER,
        full_state INTEGER,
        received_at INTEGER NOT NULL,
        fetch_ms INTEGER,
        apply_ms INTEGER,
        body_bytes INTEGER,
        event_count INTEGER,
        known_count INTEGER,
        quarantined_count INTEGER,
        form TEXT
    )
    """,
    """
    CREATE TABLE device_list (
        user_id TEXT NOT NULL,
        change TEXT NOT NULL,
        batch INTEGER NOT NULL,
        PRIMARY KEY (user_id)
    )
     WITHOUT ROWID
    """,
    """
    CREATE TABLE direct_room (
        room_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        PRIMARY KEY (room_id, user_id)
    )
     WITHOUT ROWID
    """,
    """
    CREATE TABLE own_account (
        id INTEGER NOT NULL CHECK (id = 1),
        user_id TEXT NOT NULL,
        device_id TEXT,
        homeserver TEXT,
        format INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        one_time_keys TEXT,
        fallback_keys TEXT,
        PRIMARY KEY (id)
    )
    """,
    """
    CREATE TABLE quarantined (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        batch INTEGER NOT NULL,
        room_id TEXT,
        section TEXT NOT NULL,
        event_id TEXT,
        reason_code TEXT NOT NULL,
        reason TEXT NOT NULL,
        raw BLOB
    )
    """,
    """
    CREATE INDEX quarantined_by_event ON quarantined (room_id, event_id)
    """,
    """
    CREATE TABLE room (
        id INTEGER NOT NULL,
        room_id TEXT NOT NULL,
        membership TEXT NOT NULL,
        display_name TEXT,
        name TEXT,
        topic TEXT,
        avatar_url TEXT,
        canonical_alias TEXT,
        room_type TEXT,
        room_version TEXT,
        encryption TEXT,
        inviter TEXT,
        invited_directly INTEGER DEFAULT 0 NOT NULL,
        heroes TEXT,
        summary_joined INTEGER,
        summary_invited INTEGER,
        pile_joined INTEGER DEFAULT 0 NOT NULL,
        pile_invited INTEGER DEFAULT 0 NOT NULL,
        members_synced INTEGER DEFAULT 0 NOT NULL,
        notification_count INTEGER DEFAULT 0 NOT NULL,
        highlight_count INTEGER DEFAULT 0 NOT NULL,
        recency_ts INTEGER,
        covered_to TEXT,
        last_segment INTEGER,
        last_position INTEGER DEFAULT (-1) NOT NULL,
        suspect TEXT,
        suspect_batch INTEGER,
        batch INTEGER NOT NULL,
        PRIMARY KEY (id),
        UNIQUE (room_id)
    )
    """,
    """
    CREATE INDEX room_with_count ON room (summary_joined) WHERE summary_joined IS NOT NULL
    """,
    """
    CREATE TABLE server_filter (
        definition TEXT NOT NULL,
        filter_id TEXT NOT NULL,
        PRIMARY KEY (definition)
    )
     WITHOUT ROWID
    """,
    """
    CREATE TABLE stream (
        name TEXT NOT NULL,
        token TEXT,
        updated_at INTEGER,
        PRIMARY KEY (name)
    )
     WITHOUT ROWID
    """,
    """
    CREATE TABLE to_device_message (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        sender TEXT NOT NULL,
        type TEXT NOT NULL,
        content TEXT NOT NULL,
        extra TEXT,
        odd INTEGER NOT NULL,
        batch INTEGER NOT NULL
    )
    """,
    """
    CREATE INDEX to_device_message_by_batch ON to_device_message (batch)
    """,
    """
    CREATE TABLE touched (
        batch INTEGER NOT NULL,
        room INTEGER NOT NULL,
        what TEXT NOT NULL,
        PRIMARY KEY (batch, room, what)
    )
     WITHOUT ROWID
    """,
    """
    CREATE TABLE unknown_key (
        room INTEGER NOT NULL,
        name TEXT NOT NULL,
        content TEXT NOT NULL,
        batch INTEGER NOT NULL,
        PRIMARY KEY (room, name)
    )
     WITHOUT ROWID
    """,
    """
    CREATE TABLE user_presence (
        user_id TEXT NOT NULL,
        presence TEXT,
        last_active_ts INTEGER,
        status_msg TEXT,
        content TEXT NOT NULL,
        batch INTEGER NOT NULL,
        PRIMARY KEY (user_id)
    )
     WITHOUT ROWID
    """,
    """
    CREATE TABLE event (
        id INTEGER NOT NULL,
        room INTEGER NOT NULL,
        event_id TEXT NOT NULL,
        type TEXT NOT NULL,
        state_key TEXT,
        sender TEXT NOT NULL,
        origin_server_ts INTEGER,
        content TEXT NOT NULL,
        unsigned TEXT,
        extra TEXT,
        odd INTEGER NOT NULL,
        redacts TEXT,
        rel_type TEXT,
        relates_to TEXT,
        transaction_id TEXT,
        replaces TEXT,
        redacted_by TEXT,
        source TEXT NOT NULL,
        segment INTEGER,
        position INTEGER,
        prev_batch TEXT,
        batch INTEGER NOT NULL,
        changed INTEGER NOT NULL,
        PRIMARY KEY (id),
        FOREIGN KEY(room) REFERENCES room (id)
    )
    """,
    """
    CREATE UNIQUE INDEX event_by_id ON event (room, event_id)
    """,
    """
    CREATE UNIQUE INDEX event_by_place ON event (room, segment, position) WHERE segment IS NOT NULL
    """,
    """
    CREATE INDEX event_by_redacts ON event (room, redacts) WHERE redacts IS NOT NULL
    """,
    """
    CREATE INDEX event_by_relation ON event (room, relates_to) WHERE relates_to IS NOT NULL
    """,
    """
    CREATE INDEX event_by_replaces ON event (room, replaces) WHERE replaces IS NOT NULL
    """,
    """
    CREATE TABLE gap (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        room INTEGER NOT NULL,
        kind TEXT NOT NULL,
        segment INTEGER NOT NULL,
        prev_batch TEXT,
        walk TEXT,
        since TEXT,
        by_arrival INTEGER NOT NULL,
        met INTEGER DEFAULT 0 NOT NULL,
        status TEXT NOT NULL,
        reason TEXT,
        attempts INTEGER DEFAULT 0 NOT NULL,
        leased_until INTEGER,
        opened_by INTEGER NOT NULL,
        FOREIGN KEY(room) REFERENCES room (id)
    )
    """,
    """
    CREATE UNIQUE INDEX gap_by_place ON gap (room, segment)
    """,
    """
    CREATE TABLE receipt (
        room INTEGER NOT NULL,
        user_id TEXT NOT NULL,
        receipt_type TEXT NOT NULL,
        thread_id TEXT NOT NULL,
        event_id TEXT NOT NULL,
        ts INTEGER,
        batch INTEGER NOT NULL,
        PRIMARY KEY (room, user_id, receipt_type, thread_id),
        FOREIGN KEY(room) REFERENCES room (id)
    )
     WITHOUT ROWID
    """,
    """
    CREATE TABLE stripped_state (
        room INTEGER NOT NULL,
        pile TEXT NOT NULL,
        type TEXT NOT NULL,
        state_key TEXT NOT NULL,
        sender TEXT,
        content TEXT NOT NULL,
        extra TEXT,
        odd INTEGER NOT NULL,
        batch INTEGER NOT NULL,
        PRIMARY KEY (room, pile, type, state_key),
        FOREIGN KEY(room) REFERENCES room (id)
    )
     WITHOUT ROWID
    """,
    """
    CREATE TABLE thread_count (
        room INTEGER NOT NULL,
        thread_id TEXT NOT NULL,
        notification_count INTEGER,
        highlight_count INTEGER,
        batch INTEGER NOT NULL,
        PRIMARY KEY (room, thread_id),
        FOREIGN KEY(room) REFERENCES room (id)
    )
     WITHOUT ROWID
    """,
    """
    CREATE TABLE typist (
        room INTEGER NOT NULL,
        user_id TEXT NOT NULL,
        batch INTEGER NOT NULL,
        PRIMARY KEY (room, user_id),
        FOREIGN KEY(room) REFERENCES room (id)
    )
     WITHOUT ROWID
    """,
    """
    CREATE TABLE waiting_redaction (
        room INTEGER NOT NULL,
        event_id TEXT NOT NULL,
        redacted_by TEXT NOT NULL,
        batch INTEGER NOT NULL,
        PRIMARY KEY (room, event_id),
        FOREIGN KEY(room) REFERENCES room (id)
    )
     WITHOUT ROWID
    """,
    """
    CREATE TABLE bundled_copy (
        room INTEGER NOT NULL,
        event_id TEXT NOT NULL,
        event INTEGER NOT NULL,
        PRIMARY KEY (room, event_id, event),
        FOREIGN KEY(room) REFERENCES room (id),
        FOREIGN KEY(event) REFERENCES event (id)
    )
     WITHOUT ROWID
    """,
    """
    CREATE INDEX bundled_copy_by_event ON bundled_copy (event)
    """,
    """
    CREATE TABLE replaced_state (
        id INTEGER NOT NULL,
        room INTEGER NOT NULL,
        type TEXT NOT NULL,
        state_key TEXT NOT NULL,
        event INTEGER NOT NULL,
        segment INTEGER,
        position INTEGER,
        batch INTEGER NOT NULL,
        until_batch INTEGER NOT NULL,
        until_segment INTEGER,
        until_position INTEGER,
        until_event_id TEXT,
        PRIMARY KEY (id),
        FOREIGN KEY(room) REFERENCES room (id),
        FOREIGN KEY(event) REFERENCES event (id)
    )
    """,
    """
    CREATE INDEX replaced_state_by_event ON replaced_state (event)
    """,
    """
    CREATE INDEX replaced_state_by_key ON replaced_state (room, type, state_key)
    """,
    """
    CREATE TABLE room_state (
        room INTEGER NOT NULL,
        type TEXT NOT NULL,
        state_key TEXT NOT NULL,
        event INTEGER NOT NULL,
        membership TEXT,
        segment INTEGER,
        position INTEGER,
        batch INTEGER NOT NULL,
        PRIMARY KEY (room, type, state_key),
        FOREIGN KEY(room) REFERENCES room (id),
        FOREIGN KEY(event) REFERENCES event (id)
    )
     WITHOUT ROWID
    """,
    """
    CREATE INDEX room_state_by_event ON room_state (event)
    """,
    """
    CREATE INDEX room_state_members ON room_state (room, membership, state_key) WHERE type = 'm.room.member'
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)

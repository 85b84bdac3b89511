"""The documented views: the stable face of the file, for any SQLite from 3.38 on, without any function of ours.

Columns and their order are fixed (docs/schema.md; a test pins them). JSON is looked into only where `odd` is 0 and the
value is
text: one row with a lone surrogate would otherwise make a whole query fail.
"""

from __future__ import annotations

# The edit that counts: the newest valid one of the same sender, the greater id where the times are equal (Client-Server
# API, "Event replacements"). e is the event that may have been edited. A redacted edit relates to nothing any more.
LATEST_EDIT = """
    (SELECT x.id FROM event x
    WHERE x.room = e.room AND x.relates_to = e.event_id AND x.rel_type = 'm.replace' AND x.sender = e.sender
        AND x.type = e.type AND x.state_key IS NULL AND e.state_key IS NULL AND e.rel_type IS NOT 'm.replace'
        AND e.redacted_by IS NULL
        AND CASE WHEN x.type <> 'm.room.encrypted'
            THEN x.odd & 4 = 0 AND json_type(x.content, '$."m.new_content"') = 'object'
            ELSE EXISTS (SELECT 1 FROM decrypted d WHERE d.event = x.id AND d.odd & 4 = 0
                AND json_type(d.content, '$."m.new_content"') = 'object') END
    ORDER BY x.origin_server_ts DESC, x.event_id DESC LIMIT 1)
"""

_EVENT_COLUMNS = """
    r.room_id, e.event_id, e.type, e.state_key, e.sender, e.origin_server_ts, e.content, e.unsigned, e.extra,
    coalesce(e.redacts, CASE WHEN e.type = 'm.room.redaction' AND e.odd = 0
        AND json_type(e.content, '$.redacts') = 'text' THEN e.content ->> '$.redacts' END) AS redacts,
    e.redacted_by, e.rel_type, e.relates_to, e.transaction_id, e.source, e.segment, e.position, e.batch,
    e.in_reply_to, x.event_id AS edited_by, d.type AS decrypted_type, d.content AS decrypted_content
"""

_EDITED = (
    "FROM event e JOIN room r ON r.id = e.room LEFT JOIN decrypted d ON d.event = e.id LEFT JOIN event x ON x.id = "
    + LATEST_EDIT
    + " LEFT JOIN decrypted y ON y.event = x.id "
)

_STATE_COLUMNS = """
    r.room_id, r.membership AS room_membership, s.type, s.state_key, e.event_id, e.sender, e.origin_server_ts,
    e.content, s.batch
"""

VIEWS: dict[str, str] = {
    "account": """
        SELECT a.user_id, a.device_id, a.homeserver, s.token AS next_batch, a.format,
            strftime('%Y-%m-%dT%H:%M:%fZ', a.created_at / 1000.0, 'unixepoch') AS created_at,
            strftime('%Y-%m-%dT%H:%M:%fZ', s.updated_at / 1000.0, 'unixepoch') AS last_sync_at
        FROM own_account a LEFT JOIN stream s ON s.name = 'sync'
    """,
    "batches": """
        SELECT id AS batch, since, next_batch, initial, full_state,
            strftime('%Y-%m-%dT%H:%M:%fZ', received_at / 1000.0, 'unixepoch') AS received_at,
            fetch_ms, apply_ms, body_bytes, event_count, known_count, quarantined_count, form
        FROM batch WHERE kind = 'sync'
    """,
    "rooms": """
        SELECT r.room_id, r.membership, r.display_name, r.name, r.topic, r.avatar_url, r.canonical_alias, r.room_type,
            r.room_version, r.encryption, r.inviter,
            (EXISTS (SELECT 1 FROM direct_room d WHERE d.room_id = r.room_id)
                OR (r.membership = 'invite' AND r.invited_directly)) AS is_direct,
            coalesce(r.summary_joined, r.pile_joined) AS joined_member_count,
            coalesce(r.summary_invited, r.pile_invited) AS invited_member_count,
            r.members_synced, r.notification_count, r.highlight_count, r.recency_ts,
            (SELECT e.event_id FROM event e WHERE e.room = r.id AND e.segment IS NOT NULL
                ORDER BY e.segment DESC, e.position DESC LIMIT 1) AS latest_event_id,
            (SELECT count(*) FROM gap g WHERE g.room = r.id AND g.status <> 'closed') AS gap_count,
            r.batch,
            (SELECT CASE WHEN json_type(a.content, '$.tags') = 'object' THEN a.content -> '$.tags' END
                FROM account_datum a WHERE a.room = r.id AND a.type = 'm.tag' AND a.odd = 0) AS tags,
            EXISTS (SELECT 1 FROM account_datum a WHERE a.room = r.id AND a.type = 'm.marked_unread' AND a.odd = 0
                AND json_type(a.content, '$.unread') = 'true') AS marked_unread,
            (SELECT CASE WHEN json_type(e.content, '$.predecessor.room_id') = 'text'
                THEN e.content ->> '$.predecessor.room_id' END
                FROM room_state s JOIN event e ON e.id = s.event
                WHERE s.room = r.id AND s.type = 'm.room.create' AND s.state_key = '' AND e.odd = 0) AS predecessor,
            (SELECT CASE WHEN json_type(e.content, '$.replacement_room') = 'text'
                THEN e.content ->> '$.replacement_room' END
                FROM room_state s JOIN event e ON e.id = s.event
                WHERE s.room = r.id AND s.type = 'm.room.tombstone' AND s.state_key = '' AND e.odd = 0) AS successor
        FROM room r
    """,
    "state": "SELECT"
    + _STATE_COLUMNS
    + "FROM room_state s JOIN room r ON r.id = s.room JOIN event e ON e.id = s.event",
    "current_state": "SELECT"
    + _STATE_COLUMNS
    + "FROM room_state s JOIN room r ON r.id = s.room JOIN event e ON e.id = s.event WHERE r.membership = 'join'",
    "archived_state": "SELECT"
    + _STATE_COLUMNS
    + "FROM room_state s JOIN room r ON r.id = s.room JOIN event e ON e.id = s.event WHERE r.membership <> 'join'",
    "invite_state": """
        SELECT r.room_id, s.type, s.state_key, s.sender, s.content, s.batch
        FROM stripped_state s JOIN room r ON r.id = s.room WHERE s.pile = 'invite'
    """,
    "knock_state": """
        SELECT r.room_id, s.type, s.state_key, s.sender, s.content, s.batch
        FROM stripped_state s JOIN room r ON r.id = s.room WHERE s.pile = 'knock'
    """,
    "state_history": """
        SELECT r.room_id, h.type, h.state_key, e.event_id, e.sender, e.origin_server_ts, e.content, h.batch,
            h.until_batch, h.until_segment, h.until_position, h.until_event_id
        FROM replaced_state h JOIN room r ON r.id = h.room JOIN event e ON e.id = h.event
    """,
    "members": """
        SELECT r.room_id, s.state_key AS user_id, s.membership,
            CASE WHEN e.odd = 0 AND json_type(e.content, '$.displayname') = 'text'
                THEN e.content ->> '$.displayname' END AS display_name,
            CASE WHEN e.odd = 0 AND json_type(e.content, '$.avatar_url') = 'text'
                THEN e.content ->> '$.avatar_url' END AS avatar_url,
            e.event_id, s.batch
        FROM room_state s JOIN room r ON r.id = s.room JOIN event e ON e.id = s.event
        WHERE s.type = 'm.room.member'
    """,
    "events": "SELECT" + _EVENT_COLUMNS + _EDITED,
    "timeline": "SELECT" + _EVENT_COLUMNS + _EDITED + "WHERE e.segment IS NOT NULL",
    "messages": """
        SELECT r.room_id, e.event_id, e.sender, e.origin_server_ts,
            strftime('%Y-%m-%dT%H:%M:%fZ', e.origin_server_ts / 1000.0, 'unixepoch') AS sent_at,
            CASE
                WHEN x.id IS NULL AND coalesce(d.odd, e.odd) = 0
                        AND json_type(coalesce(d.content, e.content), '$.msgtype') = 'text'
                    THEN coalesce(d.content, e.content) ->> '$.msgtype'
                WHEN coalesce(y.odd, x.odd) = 0
                        AND json_type(coalesce(y.content, x.content), '$."m.new_content".msgtype') = 'text'
                    THEN coalesce(y.content, x.content) ->> '$."m.new_content".msgtype'
            END AS msgtype,
            CASE
                WHEN x.id IS NULL AND coalesce(d.odd, e.odd) = 0
                        AND json_type(coalesce(d.content, e.content), '$.body') = 'text'
                    THEN coalesce(d.content, e.content) ->> '$.body'
                WHEN coalesce(y.odd, x.odd) = 0
                        AND json_type(coalesce(y.content, x.content), '$."m.new_content".body') = 'text'
                    THEN coalesce(y.content, x.content) ->> '$."m.new_content".body'
            END AS body,
            e.in_reply_to, e.segment, e.position, e.batch, x.event_id AS edited_by,
            CASE WHEN e.rel_type = 'm.thread' THEN e.relates_to END AS thread_id
    """
    + _EDITED
    + """
        WHERE coalesce(d.type, e.type) = 'm.room.message' AND e.state_key IS NULL AND e.redacted_by IS NULL
            AND e.segment IS NOT NULL AND e.rel_type IS NOT 'm.replace'
    """,
    "reactions": """
        SELECT r.room_id, e.relates_to AS event_id, e.content ->> '$."m.relates_to".key' AS key, e.sender,
            min(e.event_id) AS reaction_id, min(e.origin_server_ts) AS origin_server_ts
        FROM event e JOIN room r ON r.id = e.room
        WHERE e.relates_to IS NOT NULL AND e.rel_type = 'm.annotation' AND e.type = 'm.reaction'
            AND e.odd = 0 AND json_type(e.content, '$."m.relates_to".key') = 'text'
        GROUP BY r.room_id, e.relates_to, key, e.sender
    """,
    "gaps": """
        SELECT g.id, r.room_id, g.kind, g.segment, g.prev_batch, g.since,
            (SELECT e.event_id FROM event e WHERE e.room = g.room AND e.segment < g.segment
                ORDER BY e.segment DESC, e.position DESC LIMIT 1) AS newest_before,
            (SELECT e.event_id FROM event e WHERE e.room = g.room AND e.segment >= g.segment
                ORDER BY e.segment, e.position LIMIT 1) AS oldest_after,
            g.status, g.reason, g.attempts, g.opened_by
        FROM gap g JOIN room r ON r.id = g.room WHERE g.status <> 'closed'
    """,
    "account_data": """
        SELECT r.room_id, a.type, a.content, a.batch
        FROM account_datum a LEFT JOIN room r ON r.id = a.room
    """,
    "receipts": """
        SELECT r.room_id, c.user_id, c.receipt_type, nullif(c.thread_id, '') AS thread_id, c.event_id, c.ts, c.batch
        FROM receipt c JOIN room r ON r.id = c.room
    """,
    "thread_unread": """
        SELECT r.room_id, t.thread_id, t.notification_count, t.highlight_count
        FROM thread_count t JOIN room r ON r.id = t.room
    """,
    "typing": "SELECT r.room_id, t.user_id, t.batch FROM typist t JOIN room r ON r.id = t.room",
    "presence": "SELECT user_id, presence, last_active_ts, status_msg, batch FROM user_presence",
    "to_device": "SELECT id, sender, type, content, batch FROM to_device_message WHERE NOT acked",
    "quarantine": """
        SELECT id, batch, room_id, section, event_id, reason_code, reason, raw FROM quarantined
    """,
    "changes": """
        SELECT t.seq, t.batch, t.what AS kind, r.room_id, coalesce(t.type, e.type) AS type,
            coalesce(t.key, e.state_key) AS key, e.event_id, t.op, t.origin
        FROM touched t LEFT JOIN event e ON e.id BETWEEN t.first_row AND t.last_row AND +e.room = t.room
            LEFT JOIN room r ON r.id = t.room
    """,
    "outbox": """
        SELECT o.transaction_id, r.room_id, o.type, o.content, o.status AS state, o.reason, o.attempts, o.event_id,
            strftime('%Y-%m-%dT%H:%M:%fZ', o.created_at / 1000.0, 'unixepoch') AS created_at, o.kind, o.state_key,
            o.target, o.batch
        FROM outgoing o JOIN room r ON r.id = o.room
    """,
    "drafts": """
        SELECT r.room_id, d.content, strftime('%Y-%m-%dT%H:%M:%fZ', d.updated_at / 1000.0, 'unixepoch') AS updated_at
        FROM draft d JOIN room r ON r.id = d.room
    """,
    "device_lists": "SELECT user_id, change, batch FROM device_list",
    "suspects": """
        SELECT room_id, suspect AS reason, suspect_batch AS batch FROM room WHERE suspect IS NOT NULL
    """,
}

CREATE_VIEWS = tuple("CREATE VIEW " + name + " AS " + " ".join(sql.split()) for name, sql in VIEWS.items())
DROP_VIEWS = tuple("DROP VIEW IF EXISTS " + name for name in VIEWS)

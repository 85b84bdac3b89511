"""The storage tables: singular names, free to change with a migration. The stable face are the views (views.py).

Integer keys stand for room ids and event ids inside the file. Numbers mean:

- room 0 in `account_datum`, `unknown_key` and `touched` is the account itself.
- segment and position: both null when an event has no place. Segments are 2**20 apart so that an island fits
  between two; live events append at growing positions, back-fill prepends at falling, negative ones.
- batch: the row of `batch` that set the row; `changed` the one that changed it last. No foreign key: an index on it
  would cost every insert more than provenance is worth.
- *_ts and *_at columns: integer milliseconds since 1970.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text, text

SEGMENT_SPACING = 1 << 20

metadata = MetaData()


def _room(primary_key: bool = False) -> Column[int]:
    return Column("room", Integer, ForeignKey("room.id"), nullable=False, primary_key=primary_key)


def _batch() -> Column[int]:
    return Column("batch", Integer, nullable=False)


own_account = Table(
    "own_account",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("device_id", Text),
    Column("homeserver", Text),
    Column("format", Integer, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("one_time_keys", Text),
    Column("fallback_keys", Text),
)

stream = Table(
    "stream",
    metadata,
    Column("name", Text, primary_key=True),
    Column("token", Text),
    Column("updated_at", Integer),
    sqlite_with_rowid=False,
)

server_filter = Table(
    "server_filter",
    metadata,
    Column("definition", Text, primary_key=True),
    Column("filter_id", Text, nullable=False),
    sqlite_with_rowid=False,
)

batch = Table(
    "batch",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),  # sync, page, members, send, repair, prune
    Column("since", Text),
    Column("next_batch", Text),
    Column("initial", Integer),
    Column("full_state", Integer),
    Column("received_at", Integer, nullable=False),
    Column("fetch_ms", Integer),
    Column("apply_ms", Integer),
    Column("body_bytes", Integer),
    Column("event_count", Integer),
    Column("known_count", Integer),
    Column("quarantined_count", Integer),
    Column("form", Text),
    sqlite_autoincrement=True,  # a number once given names one commit for ever, also after pruning
)

room = Table(
    "room",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("room_id", Text, nullable=False, unique=True),
    Column("membership", Text, nullable=False),
    # Derived from the piles at commit (naming.py); never the only copy.
    Column("display_name", Text),
    Column("name", Text),
    Column("topic", Text),
    Column("avatar_url", Text),
    Column("canonical_alias", Text),
    Column("room_type", Text),
    Column("room_version", Text),
    Column("encryption", Text),
    Column("inviter", Text),
    Column("invited_directly", Integer, nullable=False, server_default=text("0")),
    # What the server's summary said; null until it says it.
    Column("heroes", Text),
    Column("summary_joined", Integer),
    Column("summary_invited", Integer),
    # Members in the state pile, kept by the same commit that changes the pile.
    Column("pile_joined", Integer, nullable=False, server_default=text("0")),
    Column("pile_invited", Integer, nullable=False, server_default=text("0")),
    Column("members_synced", Integer, nullable=False, server_default=text("0")),
    Column("notification_count", Integer, nullable=False, server_default=text("0")),
    Column("highlight_count", Integer, nullable=False, server_default=text("0")),
    Column("recency_ts", Integer),
    # Coverage (promise 12): the token up to which the timeline is known; null while joined, when it is the stream's.
    Column("covered_to", Text),
    Column("last_segment", Integer),
    Column("last_position", Integer, nullable=False, server_default=text("-1")),
    Column("suspect", Text),
    Column("suspect_batch", Integer),
    _batch(),
    Column("covered_batch", Integer),  # the batch that set covered_to; null with it
)

# Only "is there any" is asked of it, once per commit.
Index("room_with_count", room.c.summary_joined, sqlite_where=room.c.summary_joined.is_not(None))

event = Table(
    "event",
    metadata,
    Column("id", Integer, primary_key=True),
    _room(),
    Column("event_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("state_key", Text),
    Column("sender", Text, nullable=False),
    Column("origin_server_ts", Integer),
    Column("content", Text, nullable=False),
    Column("unsigned", Text),
    Column("extra", Text),
    Column("odd", Integer, nullable=False),  # why SQL must not look into content: 1 surrogate, 2 NUL, 4 duplicate key
    Column("redacts", Text),
    Column("rel_type", Text),
    Column("relates_to", Text),
    Column("transaction_id", Text),
    Column("replaces", Text),  # unsigned.replaces_state; "" when prev_content came without it
    Column("redacted_by", Text),
    Column("source", Text, nullable=False),  # timeline, state, messages, context, members
    Column("segment", Integer),
    Column("position", Integer),
    Column("prev_batch", Text),  # on the first event of each timeline: where history before it can be asked for
    _batch(),
    Column("changed", Integer, nullable=False),
    Column("in_reply_to", Text),
)
Index("event_by_id", event.c.room, event.c.event_id, unique=True)
Index(
    "event_by_place",
    event.c.room,
    event.c.segment,
    event.c.position,
    unique=True,
    sqlite_where=event.c.segment.is_not(None),
)
Index(
    "event_by_relation",
    event.c.room,
    event.c.relates_to,
    event.c.rel_type,
    sqlite_where=event.c.relates_to.is_not(None),
)
Index("event_by_reply", event.c.room, event.c.in_reply_to, sqlite_where=event.c.in_reply_to.is_not(None))
Index("event_by_redacts", event.c.room, event.c.redacts, sqlite_where=event.c.redacts.is_not(None))
Index("event_by_replaces", event.c.room, event.c.replaces, sqlite_where=event.c.replaces.is_not(None))
Index("event_by_transaction", event.c.room, event.c.transaction_id, sqlite_where=event.c.transaction_id.is_not(None))
# The state events that have a place: what a key held in history that was filled in (query/history.py).
Index(
    "event_by_key",
    event.c.room,
    event.c.type,
    event.c.state_key,
    sqlite_where=text("state_key IS NOT NULL AND segment IS NOT NULL"),
)

room_state = Table(
    "room_state",
    metadata,
    _room(primary_key=True),
    Column("type", Text, primary_key=True),
    Column("state_key", Text, primary_key=True),
    Column("event", Integer, nullable=False),  # no foreign key: the event tells its row by type and state_key
    Column("membership", Text),
    Column("segment", Integer),  # since which place the key holds this event
    Column("position", Integer),
    _batch(),
    sqlite_with_rowid=False,
)
# Joined members are found by the pile's own key: as a rule they are nearly all.
Index(
    "room_state_members",
    room_state.c.room,
    room_state.c.membership,
    room_state.c.state_key,
    sqlite_where=text("type = 'm.room.member' AND membership <> 'join'"),
)

replaced_state = Table(
    "replaced_state",
    metadata,
    Column("id", Integer, primary_key=True),
    _room(),
    Column("type", Text, nullable=False),
    Column("state_key", Text, nullable=False),
    Column("event", Integer, nullable=False),  # no foreign key, as in the pile
    Column("segment", Integer),
    Column("position", Integer),
    _batch(),
    Column("until_batch", Integer, nullable=False),
    Column("until_segment", Integer),
    Column("until_position", Integer),
    Column("until_event_id", Text),  # null: a restated room no longer has the key
)
Index("replaced_state_by_key", replaced_state.c.room, replaced_state.c.type, replaced_state.c.state_key)

stripped_state = Table(
    "stripped_state",
    metadata,
    _room(primary_key=True),
    Column("pile", Text, primary_key=True),  # invite, knock
    Column("type", Text, primary_key=True),
    Column("state_key", Text, primary_key=True),
    Column("sender", Text),
    Column("content", Text, nullable=False),
    Column("extra", Text),
    Column("odd", Integer, nullable=False),
    _batch(),
    sqlite_with_rowid=False,
)

gap = Table(
    "gap",
    metadata,
    Column("id", Integer, primary_key=True),
    _room(),
    Column("kind", Text, nullable=False),  # start, limited, absence, island
    Column("segment", Integer, nullable=False),  # the segment after the gap; its events grow towards the gap
    Column("prev_batch", Text),  # the newer end: as sent, then where the last page stopped
    Column("walk", Text),  # the token that the next page is asked from; null must be renewed
    Column("since", Text),  # the older end: the coverage token; null before the first segment
    Column("by_arrival", Integer, nullable=False),  # 1: the walk began at prev_batch; 0: at the batch's next_batch
    Column("met", Integer, nullable=False, server_default=text("0")),  # a page held the event just before the gap
    Column("status", Text, nullable=False),  # open, unreachable, closed
    Column("reason", Text),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("opened_by", Integer, nullable=False),
    # Events born in an earlier batch surely lie beyond the older end; 0: nothing is known to.
    Column("older_than", Integer, nullable=False, server_default=text("0")),
    Column("last_walk", Text),  # the token of the page before
    Column("ended_at", Text),  # where the walk seemed to end; the page before is being asked for once more
    sqlite_autoincrement=True,
)
Index("gap_by_place", gap.c.room, gap.c.segment, unique=True)

account_datum = Table(
    "account_datum",
    metadata,
    Column("room", Integer, primary_key=True, autoincrement=False),
    Column("type", Text, primary_key=True),
    Column("content", Text, nullable=False),
    Column("odd", Integer, nullable=False),
    _batch(),
    sqlite_with_rowid=False,
)

direct_room = Table(
    "direct_room",
    metadata,
    Column("room_id", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    sqlite_with_rowid=False,
)

receipt = Table(
    "receipt",
    metadata,
    _room(primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("receipt_type", Text, primary_key=True),
    Column("thread_id", Text, primary_key=True),  # "" for a receipt that is not threaded
    Column("event_id", Text, nullable=False),
    Column("ts", Integer),
    _batch(),
    sqlite_with_rowid=False,
)

thread_count = Table(
    "thread_count",
    metadata,
    _room(primary_key=True),
    Column("thread_id", Text, primary_key=True),
    Column("notification_count", Integer),
    Column("highlight_count", Integer),
    _batch(),
    sqlite_with_rowid=False,
)

typist = Table(
    "typist",
    metadata,
    _room(primary_key=True),
    Column("user_id", Text, primary_key=True),
    _batch(),
    sqlite_with_rowid=False,
)

user_presence = Table(
    "user_presence",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("presence", Text),
    Column("last_active_ts", Integer),
    Column("status_msg", Text),
    Column("content", Text, nullable=False),
    _batch(),
    sqlite_with_rowid=False,
)

to_device_message = Table(
    "to_device_message",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sender", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("extra", Text),
    Column("odd", Integer, nullable=False),
    _batch(),
    Column("acked", Integer, nullable=False, server_default=text("0")),  # by all; content is then a digest (inbox.py)
    sqlite_autoincrement=True,
)
Index("to_device_message_by_batch", to_device_message.c.batch)

device_list = Table(
    "device_list",
    metadata,
    Column("user_id", Text, primary_key=True),  # "*" after a snapshot: everybody's
    Column("change", Text, nullable=False),
    _batch(),
    sqlite_with_rowid=False,
)

unknown_key = Table(
    "unknown_key",
    metadata,
    Column("room", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    Column("content", Text, nullable=False),
    _batch(),
    sqlite_with_rowid=False,
)

quarantined = Table(
    "quarantined",
    metadata,
    Column("id", Integer, primary_key=True),
    _batch(),
    Column("room_id", Text),
    Column("section", Text, nullable=False),
    Column("event_id", Text),
    Column("reason_code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("raw", LargeBinary),  # text where it is UTF-8 without NUL, else a blob; null once redacted
    sqlite_autoincrement=True,
)
Index("quarantined_by_event", quarantined.c.room_id, quarantined.c.event_id)

waiting_redaction = Table(
    "waiting_redaction",
    metadata,
    _room(primary_key=True),
    Column("event_id", Text, primary_key=True),  # the event to be stripped when it comes
    Column("redacted_by", Text, nullable=False),
    _batch(),
    sqlite_with_rowid=False,
)

bundled_copy = Table(
    "bundled_copy",
    metadata,
    _room(primary_key=True),
    Column("event_id", Text, primary_key=True),  # an event that stands whole in another's unsigned
    Column("event", Integer, ForeignKey("event.id"), primary_key=True),  # that other one
    sqlite_with_rowid=False,
)
Index("bundled_copy_by_event", bundled_copy.c.event)

# The ground of the change feed: what a commit changed, deletions too. One row may stand for many events, which a
# commit stores one after the other.
touched = Table(
    "touched",
    metadata,
    Column("seq", Integer, primary_key=True),
    _batch(),
    Column("room", Integer, nullable=False),
    Column("what", Text, nullable=False),  # event, state, invite_state, room, gap, account_data, outbox, …
    Column("op", Text),  # add, change, remove
    Column("type", Text),
    Column("key", Text),
    Column("first_row", Integer),  # of event
    Column("last_row", Integer),
    Column("origin", Text),  # of new events: live, initial, backfill, context
)

outgoing = Table(
    "outgoing",
    metadata,
    Column("id", Integer, primary_key=True),
    _room(),
    Column("transaction_id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),  # event, state, redaction, receipt
    Column("type", Text, nullable=False),
    Column("state_key", Text),
    Column("content", Text, nullable=False),
    Column("target", Text),  # the event that it edits, answers, reacts to, redacts or marks as read
    Column("waits_for", Integer),  # the row whose event that is, while it has no id yet
    Column("replaces", Text),  # the event that the key must still hold
    Column("status", Text, nullable=False),  # queued, sending, sent, parked
    Column("reason", Text),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("attempted_at", Integer),  # when the first attempt began whose outcome nobody knows
    # The room's newest place then: the event, if there is one, stands after it.
    Column("after_segment", Integer),
    Column("after_position", Integer),
    Column("event_id", Text),
    Column("created_at", Integer, nullable=False),
    _batch(),
    sqlite_autoincrement=True,
)
Index("outgoing_by_room", outgoing.c.room)

draft = Table(
    "draft",
    metadata,
    _room(primary_key=True),
    Column("content", Text, nullable=False),
    Column("updated_at", Integer, nullable=False),
    _batch(),
)

# Who does now what only one may do at a time, across processes (lease.py).
lease = Table(
    "lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("until", Integer, nullable=False),
    Column("holder", Text, nullable=False),  # host:process
    sqlite_with_rowid=False,
)

# What single consumers have done of the inbox, out of order too.
to_device_done = Table(
    "to_device_done",
    metadata,
    Column("name", Text, primary_key=True),
    Column("message", Integer, ForeignKey("to_device_message.id"), primary_key=True),
    sqlite_with_rowid=False,
)
Index("to_device_done_by_message", to_device_done.c.message)

# How far each durable consumer has come.
consumer = Table(
    "consumer",
    metadata,
    Column("name", Text, primary_key=True),
    Column("stream", Text, primary_key=True),  # events, to_device, device_lists
    Column("seq", Integer, nullable=False),  # of `touched`, up to which all is done; of device lists the batch
    Column("last_row", Integer, nullable=False),  # of the row after it, this one too
    Column("updated_at", Integer, nullable=False),
    sqlite_with_rowid=False,
)

decrypted = Table(
    "decrypted",
    metadata,
    Column("event", Integer, ForeignKey("event.id"), primary_key=True, autoincrement=False),
    Column("type", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("odd", Integer, nullable=False),
    _batch(),
)

# Encrypted events that nobody has attached the content of, by the key that they need.
undecrypted = Table(
    "undecrypted",
    metadata,
    Column("event", Integer, ForeignKey("event.id"), primary_key=True, autoincrement=False),
    Column("session_id", Text),
)
Index("undecrypted_by_session", undecrypted.c.session_id)

"""The floor: the same rows in the same transactions, by hand with orjson and sqlite3, for this workload alone.

It has the tables, indices and settings of a real store (taken from a fresh one), and reads per batch what must be read:
the token, the rooms, the events that are known, the state that is replaced. It checks nothing, isolates no bad event,
and knows classic join entries only. tests/bench compares its file with ours, table by table.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import orjson

from benchmarks.workload import USER
from syncstore.store.format import FORMAT

SEGMENT = 1 << 20
Json = dict[str, Any]

KNOWN = "SELECT event_id, id FROM event WHERE room = ? AND event_id IN"
EVENT = "INSERT INTO event VALUES (" + ",".join("?" * 24) + ")"
STATE = """
    INSERT INTO room_state VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (room, type, state_key) DO UPDATE SET
    event = excluded.event, membership = excluded.membership, segment = excluded.segment,
    position = excluded.position, batch = excluded.batch
"""
TOUCHED = "INSERT INTO touched (batch, room, what, op) VALUES (?,?,?,?)"
TOUCHED_EVENTS = """
    INSERT INTO touched (batch, room, what, op, first_row, last_row, origin) VALUES (?,?,'event','add',?,?,?)
"""
TOUCHED_STATE = """
    INSERT INTO touched (batch, room, what, op, type, "key", first_row, last_row) VALUES (?,?,'state','change',?,?,?,?)
"""
HISTORY = "INSERT INTO replaced_state VALUES (NULL,?,?,?,?,?,?,?,?,?,?,?)"


class Floor:
    """One file, fed with bodies. schema: of a new file, None for one that is there."""

    def __init__(self, path: Path, schema: list[str] | None) -> None:
        self.db = sqlite3.connect(path, isolation_level=None, cached_statements=256)
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "secure_delete = ON"):
            self.db.execute("PRAGMA " + pragma)
        self.db.execute("PRAGMA cache_size = -65536")
        self.db.execute("PRAGMA temp_store = MEMORY")
        self.db.execute("PRAGMA wal_autocheckpoint = 4000")
        self.db.execute("PRAGMA journal_size_limit = 16777216")
        if schema is not None:
            self._create(schema)
        self.cursor = self.db.cursor()

    def _create(self, schema: list[str]) -> None:
        self.db.execute("BEGIN")
        for statement in schema:
            self.db.execute(statement)
        self.db.execute("INSERT INTO own_account (id, user_id, format, created_at) VALUES (1, ?, ?, 0)", (USER, FORMAT))
        self.db.execute("COMMIT")

    def apply(self, raw: bytes) -> None:
        body = orjson.loads(raw)
        run = self.cursor.execute
        started = time.perf_counter()
        run("BEGIN IMMEDIATE")
        found = run("SELECT token FROM stream WHERE name = 'sync'").fetchone()
        self.since = found[0] if found else None
        self.now = int(time.time() * 1000)
        run("INSERT INTO batch (kind, received_at) VALUES ('sync', ?)", (self.now,))
        self.batch = self.cursor.lastrowid
        self.origin = "initial" if self.since is None else "live"
        self.next_event = run("SELECT coalesce(max(id), 0) FROM event").fetchone()[0] + 1
        self.touched: list[tuple[Any, ...]] = []
        self.touched_events: list[tuple[Any, ...]] = []
        self.touched_state: list[tuple[Any, ...]] = []
        count = sum(self.room(room_id, entry, body["next_batch"]) for room_id, entry in body["rooms"]["join"].items())
        keys = tuple(
            orjson.dumps(body[key]).decode()
            for key in ("device_one_time_keys_count", "device_unused_fallback_key_types")
        )
        if run("SELECT one_time_keys, fallback_keys FROM own_account").fetchone() != keys:
            run("UPDATE own_account SET one_time_keys = ?, fallback_keys = ?", keys)
            self.touched.append((self.batch, 0, "device_keys", "change"))
        self.cursor.executemany(TOUCHED, self.touched)
        self.cursor.executemany(TOUCHED_EVENTS, self.touched_events)
        self.cursor.executemany(TOUCHED_STATE, self.touched_state)
        run(
            "UPDATE batch SET since=?, next_batch=?, initial=?, full_state=0, apply_ms=?, body_bytes=?, event_count=?,"
            " known_count=0, quarantined_count=0, form='v3' WHERE id=?",
            (
                self.since,
                body["next_batch"],
                int(self.since is None),
                round((time.perf_counter() - started) * 1000),
                len(raw),
                count,
                self.batch,
            ),
        )
        run("INSERT OR REPLACE INTO stream VALUES ('sync', ?, ?)", (body["next_batch"], self.now))
        run("COMMIT")

    def room(self, room_id: str, entry: Json, next_batch: str) -> int:
        run = self.cursor.execute
        columns = "id, last_segment, last_position, recency_ts, pile_joined, name, room_version"
        row = run(f"SELECT {columns} FROM room WHERE room_id = ?", (room_id,)).fetchone()
        new = row is None
        what = [("room", "change")]
        if new:
            run("INSERT INTO room (room_id, membership, batch) VALUES (?, 'join', ?)", (room_id, self.batch))
            row = (self.cursor.lastrowid, SEGMENT, -1, None, 0, None, None)
            prev = entry["timeline"]["prev_batch"]
            run(
                "INSERT INTO gap (room, kind, segment, prev_batch, walk, by_arrival, status, opened_by)"
                " VALUES (?, 'start', ?, ?, ?, 0, 'open', ?)",
                (row[0], SEGMENT, prev, next_batch, self.batch),
            )
            gap = (self.batch, row[0], "gap", "add", str(self.cursor.lastrowid))
            run("INSERT INTO touched (batch, room, what, op, key) VALUES (?,?,?,?,?)", gap)
            what += [("membership", "change"), ("state", "add")]
        number, segment, last, recency, joined, name, version = row
        state, timeline = entry["state"]["events"], entry["timeline"]["events"]
        if not new:
            ids = [event["event_id"] for event in timeline]
            run(f"{KNOWN} ({','.join('?' * len(ids))})", (number, *ids)).fetchall()
        rows = [self.event(number, event, "state", None, None, None) for event in state]
        piled = [(event, row[0], segment, last + 1) for event, row in zip(state, rows, strict=True)]
        for at, event in enumerate(timeline):
            last += 1
            prev = entry["timeline"]["prev_batch"] if at == 0 else None
            rows.append(self.event(number, event, "timeline", segment, last, prev))
            if "state_key" in event:
                piled.append((event, rows[-1][0], segment, last))
            else:
                recency = event["origin_server_ts"]
        self.cursor.executemany(EVENT, rows)
        first = rows[len(state)][0] if timeline else 0
        self.touched_events.append((self.batch, number, first, first + len(timeline) - 1, self.origin))
        if piled:
            joined += self.pile(number, piled, new=new)
            for event, *_ in piled:
                if event["type"] == "m.room.name":
                    name = event["content"]["name"]
                elif event["type"] == "m.room.create":
                    version = event["content"]["room_version"]
        for ephemeral in entry["ephemeral"]["events"]:
            for event_id, kinds in ephemeral["content"].items():
                for kind, users in kinds.items():
                    for user, one in users.items():
                        values = (number, user, kind, "", event_id, one["ts"], self.batch)
                        run("INSERT OR REPLACE INTO receipt VALUES (?,?,?,?,?,?,?)", values)
        if entry["ephemeral"]["events"]:
            what.append(("receipts", "change"))
        unread = entry["unread_notifications"]
        run(
            "UPDATE room SET display_name=?, name=?, room_version=?, pile_joined=?, members_synced=1,"
            " notification_count=?, highlight_count=?, recency_ts=?, last_segment=?, last_position=?, batch=?"
            " WHERE id=?",
            (
                name,
                name,
                version,
                joined,
                unread["notification_count"],
                unread["highlight_count"],
                recency,
                segment,
                last,
                self.batch,
                number,
            ),
        )
        self.touched += [(self.batch, number, *one) for one in what]
        return len(rows)

    def event(
        self, room: int, event: Json, source: str, segment: int | None, position: int | None, prev: str | None
    ) -> tuple[Any, ...]:
        number = self.next_event
        self.next_event += 1
        relation = event["content"].get("m.relates_to") or {}
        return (
            number,
            room,
            event["event_id"],
            event["type"],
            event.get("state_key"),
            event["sender"],
            event["origin_server_ts"],
            orjson.dumps(event["content"]).decode(),
            orjson.dumps(event["unsigned"]).decode(),
            None,
            0,
            None,
            relation.get("rel_type"),
            relation.get("event_id"),
            None,
            None,
            None,
            source,
            segment,
            position,
            prev,
            self.batch,
            self.batch,
            (relation.get("m.in_reply_to") or {}).get("event_id"),
        )

    def pile(self, room: int, piled: list[tuple[Json, int, int, int]], *, new: bool) -> int:
        history: list[tuple[Any, ...]] = []
        rows: list[tuple[Any, ...]] = []
        joined = 0
        for event, number, segment, position in piled:
            type_, key, membership = event["type"], event["state_key"], event["content"].get("membership")
            joined += membership == "join"
            if not new:
                old = self.cursor.execute(
                    "SELECT event, membership, segment, position, batch FROM room_state"
                    " WHERE room = ? AND type = ? AND state_key = ?",
                    (room, type_, key),
                ).fetchone()
                if old:
                    joined -= old[1] == "join"
                    since = (old[0], old[2], old[3], old[4])
                    history.append((room, type_, key, *since, self.batch, segment, position, event["event_id"]))
                self.touched_state.append((self.batch, room, type_, key, number, number))
            rows.append((room, type_, key, number, membership, segment, position, self.batch))
        self.cursor.executemany(HISTORY, history)
        if new:
            rows.sort(key=lambda row: (row[1], row[2]))
        self.cursor.executemany(STATE, rows)
        return joined

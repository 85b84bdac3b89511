"""A store file as plain dicts, read with nothing but sqlite3 and the documented views."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from .events import Json

_STATE = "SELECT room_id, type, state_key, event_id, content FROM {}"
_STRIPPED = "SELECT room_id, type, state_key, content FROM {}"
_GAPS = "SELECT room_id, segment, kind, prev_batch, since, newest_before, oldest_after, status FROM gaps"


def read(path: Path) -> Json:
    """The account in the shape of expect.Expected.view()."""
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        rooms = {row["room_id"]: _room(row) for row in db.execute("SELECT * FROM rooms")}
        _piles(db, rooms)
        _timelines(db, rooms)
        _beside(db, rooms)
        contents = db.execute("SELECT type, content FROM account_data WHERE room_id IS NULL")
        to_device = db.execute("SELECT sender, type, content FROM to_device ORDER BY id")
        return {
            "token": db.execute("SELECT next_batch FROM account").fetchone()[0],
            "rooms": rooms,
            "account_data": {row["type"]: json.loads(row["content"]) for row in contents},
            "to_device": [dict(row) | {"content": json.loads(row["content"])} for row in to_device],
            "quarantined": db.execute("SELECT count(*) FROM quarantine").fetchone()[0],
        }


def compare(path: Path, expected: Json, what: str) -> None:
    """AssertionError that lists, path by path, where the file differs from the expectation."""
    found = differences(expected, read(path))
    assert not found, f"{what}: {len(found)} differences\n" + "\n".join(found[:20])


def differences(expected: Any, stored: Any, at: str = "") -> list[str]:
    """One line for each leaf that is not the same."""
    if isinstance(expected, dict) and isinstance(stored, dict):
        keys = [*expected, *(key for key in stored if key not in expected)]
        absent = "(nothing)"
        return [
            line
            for key in keys
            for line in differences(expected.get(key, absent), stored.get(key, absent), f"{at}/{key}")
        ]
    return [] if expected == stored else [f"{at}: expected {expected!r}, stored {stored!r}"]


def places(path: Path) -> dict[tuple[str, str], tuple[int, int]]:
    """Where each placed event stands: (room_id, event_id) to (segment, position)."""
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT room_id, event_id, segment, position FROM timeline").fetchall()
    found = {(row[0], row[1]): (row[2], row[3]) for row in rows}
    assert len(found) == len(rows), "an event has two places"
    assert len({(row[0], row[2], row[3]) for row in rows}) == len(rows), "two events have one place"
    return found


def check_file(path: Path, gone: set[str]) -> None:
    """The file is sound, and no text that a redaction took stands in any table."""
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        if gone:
            text = "\n".join(db.iterdump())
            assert not (left := sorted(secret for secret in gone if secret in text)), f"redacted but stored: {left}"


def _room(row: sqlite3.Row) -> Json:
    joined = row["membership"] == "join"
    return {
        "membership": row["membership"],
        "name": row["name"],
        "topic": row["topic"],
        "state": {},
        "archived": not joined,
        "invite": {},
        "knock": {},
        "timeline": [],
        "events": {},
        "account_data": {},
        "receipts": {},
        "typing": [],
        "unread": (row["notification_count"], row["highlight_count"]) if joined else None,
    }


def _piles(db: sqlite3.Connection, rooms: dict[str, Json]) -> None:
    for view, archived in (("current_state", False), ("archived_state", True)):
        for room_id, type_, state_key, event_id, content in db.execute(_STATE.format(view)):
            assert rooms[room_id]["archived"] is archived, f"{room_id} is {rooms[room_id]['membership']} in {view}"
            rooms[room_id]["state"][type_, state_key] = (event_id, json.loads(content))
    for view in ("invite", "knock"):
        for room_id, type_, state_key, content in db.execute(_STRIPPED.format(f"{view}_state")):
            rooms[room_id][view][type_, state_key] = json.loads(content)


def _timelines(db: sqlite3.Connection, rooms: dict[str, Json]) -> None:
    """Segments and gaps in order; segments with no gap between them are one run."""
    for room_id, event_id, content in db.execute("SELECT room_id, event_id, content FROM events"):
        rooms[room_id]["events"][event_id] = json.loads(content)
    runs: dict[str, dict[int, Json]] = {room_id: {} for room_id in rooms}
    gaps = db.execute(_GAPS).fetchall()
    for gap in gaps:
        shown = {"start": gap["kind"] == "start", "prev_batch": gap["prev_batch"], "since": gap["since"]}
        runs[gap["room_id"]][gap["segment"]] = {"gap": shown, "events": []}
    places_ = "SELECT room_id, event_id, segment FROM timeline ORDER BY room_id, segment, position"
    for room_id, event_id, segment in db.execute(places_):
        runs[room_id].setdefault(segment, {"gap": None, "events": []})["events"].append(event_id)
    for room_id, run in runs.items():
        rooms[room_id]["timeline"] = _without_seams([run[segment] for segment in sorted(run)])
        _check_ends(rooms[room_id]["timeline"], [gap for gap in gaps if gap["room_id"] == room_id])


def _without_seams(segments: list[Json]) -> list[Json]:
    """A change of segment is no hole: join what no gap parts."""
    joined: list[Json] = []
    for segment in segments:
        if joined and segment["gap"] is None:
            joined[-1]["events"] += segment["events"]
        else:
            joined.append(segment)
    return joined


def _check_ends(timeline: list[Json], gaps: list[sqlite3.Row]) -> None:
    """newest_before and oldest_after are the nearest events on both sides of a gap."""
    ends = []
    for number, segment in enumerate(timeline):
        older = [one for before in timeline[:number] for one in before["events"]]
        newer = [one for after in timeline[number:] for one in after["events"]]
        if segment["gap"] is not None:
            ends.append((older[-1] if older else None, newer[0] if newer else None))
    told = [(gap["newest_before"], gap["oldest_after"]) for gap in sorted(gaps, key=lambda gap: int(gap["segment"]))]
    assert told == ends, f"gaps show the ends {told}, the timeline has {ends}"


def _beside(db: sqlite3.Connection, rooms: dict[str, Json]) -> None:
    for row in db.execute("SELECT room_id, type, content FROM account_data WHERE room_id IS NOT NULL"):
        rooms[row["room_id"]]["account_data"][row["type"]] = json.loads(row["content"])
    for row in db.execute("SELECT * FROM receipts"):
        key = (row["user_id"], row["receipt_type"], row["thread_id"] or None)
        rooms[row["room_id"]]["receipts"][key] = (row["event_id"], row["ts"])
    for row in db.execute("SELECT room_id, user_id FROM typing ORDER BY user_id"):
        rooms[row["room_id"]]["typing"].append(row["user_id"])

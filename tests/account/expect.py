"""What a correct store holds after a run of answers: promises 2, 4, 7 to 9, 11, 12 and 16, read anew, in plain dicts.

The answers come from answer.py and know no wire form. A form decides only which superseded state events and which
pruned copies reach the client at all: `shows` says it. `view()` gives the shape that readback.py gives of a file.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Literal

from .events import CREATE, ME, Json, Key, kept_content, key_of, redaction_target, secrets

# Which events of the state block come, and so how block and timeline make the pile. start: those as of the start of the
# timeline. end: those as of its end. rewritten (a classic body in the form of 2015): of those as of the start the ones
# that the timeline does not supersede. 2015: those as of the end, with the timeline laid over them.
Shows = Literal["start", "end", "rewritten", "2015"]
_OWN: Key = ("m.room.member", ME)


class Expected:
    """The model store of one account, fed in a form that `shows` this much of state blocks."""

    def __init__(self, shows: Shows = "start") -> None:
        self.shows: Shows = shows
        self.token: str | None = None
        self.rooms: dict[str, Json] = {}
        self.account_data: dict[str, Json] = {}
        self.to_device: list[Json] = []

    def apply(self, answer: Json, held: str | None) -> str:
        """Promise 2: "applied", "stale" or, for an answer that is stored already, "known"."""
        if self.token != held:
            return "known" if self.token == answer["next_batch"] else "stale"
        snapshot = answer["since"] is None
        for section in ("leave", "join", "invite", "knock"):
            for entry in answer["rooms"]:
                if entry["section"] == section:
                    self._entry(entry, answer["since"], answer["next_batch"], full_state=answer["full_state"])
        if snapshot:
            self._absent({entry["room_id"] for entry in answer["rooms"]})
        self.account_data.update(deepcopy(answer["account_data"]))
        # Promise 4: each once, also those that a snapshot repeats; the model's messages are all different.
        self.to_device += [deepcopy(one) for one in answer["to_device"] if one not in self.to_device]
        self.token = answer["next_batch"]
        return "applied"

    def view(self) -> Json:
        """Plain dicts, to be compared with readback.read()."""
        return {
            "token": self.token,
            "rooms": {room_id: _room_view(room) for room_id, room in self.rooms.items()},
            "account_data": self.account_data,
            "to_device": self.to_device,
            "quarantined": 0,
        }

    def gone(self) -> set[str]:
        """Texts that redactions have taken and that must stand nowhere in the file."""
        found: set[str] = set()
        for room in self.rooms.values():
            found |= {text for one in room["stripped"] & room["events"].keys() for text in _lost(room, one)}
        return found

    # -- rooms

    def _entry(self, entry: Json, since: str | None, next_batch: str, *, full_state: bool) -> None:
        room = self.rooms.setdefault(entry["room_id"], _new_room())
        covered = self.token if room["membership"] == "join" else room["coverage"]
        room["coverage"] = covered
        if entry["section"] in ("invite", "knock"):
            room["membership"] = entry["section"]
            room["invite"], room["knock"] = {}, {}
            room[entry["section"]] = {(e["type"], e["state_key"]): e["content"] for e in entry["stripped"]}
            return
        room["invite"], room["knock"] = {}, {}
        _receive(room, entry, self.shows)
        restated = _state(room, entry, self.shows)
        contiguous = since is not None and since == covered
        # A server that sends everything anew, unasked, took us for newly joined: what it lists proves nothing.
        contiguous = contiguous and room["membership"] == "join" and (full_state or not restated)
        if _timeline(room, entry, contiguous):
            begin = entry["prev_batch"] if contiguous else next_batch
            room["walks"].append((begin, room["segments"][-1]["gap"]["since"]))
        room["account_data"].update(deepcopy(entry["account_data"]))
        if entry["section"] == "leave":
            room["membership"] = _left_as(room)
            # A prev_batch of a list by topology bounds nothing that arrives late: the older token stays.
            room["coverage"] = entry["prev_batch"] if contiguous else covered
            return
        room["membership"] = "join"
        room["unread"] = entry["unread"]
        room["typing"] = room["typing"] if entry["typing"] is None else sorted(entry["typing"])
        room["receipts"] |= {key: (one["event_id"], one["ts"]) for key, one in entry["receipts"]}

    def _absent(self, present: set[str]) -> None:
        """Promise 9: what a request without since does not name is no longer joined, invited or knocked at."""
        for room_id in self.rooms.keys() - present:
            room = self.rooms[room_id]
            if room["membership"] == "join":
                room["coverage"] = self.token
            if room["membership"] in ("join", "invite", "knock"):
                room["membership"] = _left_as(room)
                room["invite"], room["knock"] = {}, {}


def _new_room() -> Json:
    return {
        "membership": None,
        "coverage": None,
        "state": {},
        "invite": {},
        "knock": {},
        "walks": [],  # (from, to) of each gap's /messages
        "segments": [],  # each {"gap": None or {...}, "events": [event ids]}: the gap is before its events
        "placed": set(),
        "events": {},  # event id -> the first copy received
        "stripped": set(),
        "account_data": {},
        "receipts": {},
        "typing": [],
        "unread": None,
    }


def _shown_ids(entry: Json, shows: Shows) -> set[str]:
    if shows == "rewritten":
        superseded = {key_of(entry["events"][one]) for one in entry["timeline"]} - {None}
        block = [one for one in entry["before"] if key_of(entry["events"][one]) not in superseded]
    else:
        block = entry["before" if shows == "start" else "after"]
    return {*block, *entry["timeline"]}


def _receive(room: Json, entry: Json, shows: Shows) -> None:
    """Promises 11 and 16: the first copy counts, a pruned copy and a redaction strip, nothing restores."""
    for event_id in _shown_ids(entry, shows):
        event = entry["events"][event_id]
        room["events"].setdefault(event_id, deepcopy(event))
        if "redacted_because" in event["unsigned"]:
            room["stripped"].add(event_id)
        if (target := redaction_target(event)) is not None:
            room["stripped"].add(target)


def _state(room: Json, entry: Json, shows: Shows) -> bool:
    """Promises 8 and 9: a delta is laid over the pile; a block or timeline with the creation (True) restates it."""
    events, timeline = entry["events"], entry["timeline"]
    if shows == "end":
        left = [one for one in timeline if entry["section"] == "leave" and key_of(events[one]) == _OWN]
        named = [*entry["after"], *left]
    elif shows == "2015":
        named = [*entry["after"], *timeline, *(one for one in entry["after"] if one in timeline)]
    else:
        named = [*entry["before"], *timeline]
    brought = {key: one for one in named if (key := key_of(events[one])) is not None}
    if CREATE in brought and CREATE in room["state"]:
        room["state"] = {}
    room["state"] |= brought
    return CREATE in brought


def _timeline(room: Json, entry: Json, contiguous: bool) -> bool:
    """Promise 12: where the events go, and whether a hole is before them (then a new gap: True)."""
    segments: list[Json] = room["segments"]
    newest = next((segment["events"][-1] for segment in segments[::-1][:1] if segment["events"]), None)
    number = len(segments)
    joins_on = contiguous and (not entry["limited"] or newest in entry["timeline"])
    if not segments:
        at_beginning = entry["prev_batch"] is None and not entry["limited"]
        gap = None if at_beginning else {"start": True, "prev_batch": entry["prev_batch"], "since": None}
        segments.append({"gap": gap, "events": []})
    elif not joins_on:
        gap = {"start": False, "prev_batch": entry["prev_batch"], "since": room["coverage"]}
        segments.append({"gap": gap, "events": []})
    for event_id in entry["timeline"]:
        if event_id not in room["placed"]:
            room["placed"].add(event_id)
            segments[-1]["events"].append(event_id)
    return len(segments) > number and segments[-1]["gap"] is not None


def _left_as(room: Json) -> str:
    event_id = room["state"].get(_OWN)
    return "ban" if event_id and room["events"][event_id]["content"]["membership"] == "ban" else "leave"


def _version(room: Json) -> str:
    create = room["state"].get(CREATE)
    return str(room["events"][create]["content"]["room_version"]) if create else "11"


def _content(room: Json, event_id: str) -> Json:
    event: Json = room["events"][event_id]
    return kept_content(event, _version(room)) if event_id in room["stripped"] else event["content"]


def _lost(room: Json, event_id: str) -> set[str]:
    return secrets(room["events"][event_id], _version(room))


def _said(room: Json, type_: str, field: str) -> Any:
    """Name or topic: of the stripped pile while invited or knocking (promise 7), else of the state pile."""
    if room["membership"] in ("invite", "knock"):
        return room[room["membership"]].get((type_, ""), {}).get(field)
    event_id = room["state"].get((type_, ""))
    return None if event_id is None else _content(room, event_id).get(field)


def _room_view(room: Json) -> Json:
    """As readback.py reads a room; typing and unread are said of joined rooms only."""
    joined = room["membership"] == "join"
    return {
        "membership": room["membership"],
        "name": _said(room, "m.room.name", "name"),
        "topic": _said(room, "m.room.topic", "topic"),
        "state": {key: (one, _content(room, one)) for key, one in room["state"].items()},
        "archived": not joined,
        "invite": room["invite"],
        "knock": room["knock"],
        "timeline": [{"gap": segment["gap"], "events": segment["events"]} for segment in room["segments"]],
        "events": {one: _content(room, one) for one in room["events"]},
        "account_data": room["account_data"],
        "receipts": room["receipts"],
        "typing": room["typing"] if joined else [],
        "unread": room["unread"] if joined else None,
    }

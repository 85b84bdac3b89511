"""An answer as a response body in each of the three wire forms."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from .events import ME, Json, key_of

STABLE = "state_after"
UNSTABLE = "org.matrix.msc4222.state_after"
_SECTIONS_2015 = {"join": "joined", "invite": "invited", "leave": "archived"}


def classic(answer: Json) -> Json:
    """Today's form: inline events, `state` as of the start of the timeline."""
    return _body(answer, "state", "before")


def state_after(answer: Json, name: str = STABLE, *, own_left: bool = True) -> Json:
    """Today's form with use_state_after; `own_left` false: a leave entry's block lacks our own leaving (seen)."""
    body = _body(answer, name, "after")
    for entry in () if own_left else body.get("rooms", {}).get("leave", {}).values():
        kept = [event for event in entry[name]["events"] if key_of(event) != ("m.room.member", ME)]
        entry[name]["events"] = kept
    return body


def to_2015(body: Json, *, at_end: bool = False) -> Json:
    """Any classic body in the form of 2015: ids into event_map, and the state block as of the END of the timeline.

    `at_end`: the block given already is as of the end.
    """
    old = deepcopy(body)
    rooms = {_SECTIONS_2015.get(name, name): entries for name, entries in old.pop("rooms", {}).items()}
    for name in ("joined", "archived"):
        for room_id, entry in rooms.setdefault(name, {}).items():
            _map_events(room_id, entry, at_end)
    rooms.setdefault("invited", {})
    return old | {"rooms": rooms}


def native_2015(answer: Json) -> Json:
    """What a server of 2015 would have said itself: it knows the resolved state at the end of the timeline."""
    return to_2015(_body(answer, "state", "after"), at_end=True)


def _map_events(room_id: str, entry: Json, at_end: bool) -> None:
    block = entry.get("state", {}).get("events", [])
    timeline = entry.get("timeline", {}).get("events", [])
    overlaid = block if at_end else [event for event in [*block, *timeline] if "state_key" in event]
    state = {key_of(event): event["event_id"] for event in overlaid}
    entry["state"] = {"events": list(state.values())}
    if "timeline" in entry:
        entry["timeline"]["events"] = [event["event_id"] for event in timeline]
    entry["event_map"] = {}
    for event in [*(one for one in block if one["event_id"] in state.values()), *timeline]:
        unsigned = event.get("unsigned", {})
        if "transaction_id" in unsigned:
            unsigned["txn_id"] = unsigned.pop("transaction_id")
        if isinstance(unsigned.get("age"), int):
            unsigned["age"] = str(unsigned["age"])
        entry["event_map"][event.pop("event_id")] = event
    for event in entry.get("ephemeral", {}).get("events", []):
        event["room_id"] = room_id


def _body(answer: Json, block_name: str, block: str) -> Json:
    rooms: dict[str, Json] = {}
    for entry in answer["rooms"]:
        section: str = entry["section"]
        rendered = _stripped(entry) if "stripped" in entry else _room(entry, block_name, block)
        rooms.setdefault(section, {})[entry["room_id"]] = rendered
    # Servers write invite before leave; the order of application is not the order of the text.
    ordered = {name: rooms[name] for name in ("invite", "knock", "join", "leave") if name in rooms}
    body: Json = {"next_batch": answer["next_batch"], "device_one_time_keys_count": {"signed_curve25519": 50}}
    if answer["account_data"]:
        body["account_data"] = {"events": _typed(answer["account_data"])}
    if answer["to_device"]:
        body["to_device"] = {"events": answer["to_device"]}
    return body | ({"rooms": ordered} if ordered else {})


def _stripped(entry: Json) -> Json:
    return {f"{entry['section']}_state": {"events": entry["stripped"]}}


def _room(entry: Json, block_name: str, block: str) -> Json:
    events: dict[str, Json] = entry["events"]
    timeline: Json = {"events": [deepcopy(events[one]) for one in entry["timeline"]], "limited": entry["limited"]}
    if entry["prev_batch"] is not None:
        timeline["prev_batch"] = entry["prev_batch"]
    rendered: Json = {
        "timeline": timeline,
        block_name: {"events": [deepcopy(events[one]) for one in entry[block]]},
        "account_data": {"events": _typed(entry["account_data"])},
    }
    if entry["section"] == "join":
        rendered["ephemeral"] = {"events": _ephemeral(entry)}
        rendered["summary"] = entry["summary"]
        counts = entry["unread"]
        rendered["unread_notifications"] = {"notification_count": counts[0], "highlight_count": counts[1]}
    return rendered


def _ephemeral(entry: Json) -> list[Json]:
    found: list[Json] = []
    if entry["typing"] is not None:
        found.append({"type": "m.typing", "content": {"user_ids": entry["typing"]}})
    # One m.receipt names a user once per event and type; his threads may share an event: one m.receipt each.
    for (user_id, receipt_type, thread), one in entry["receipts"]:
        told: dict[str, Any] = {"ts": one["ts"]} | ({"thread_id": thread} if thread is not None else {})
        found.append({"type": "m.receipt", "content": {one["event_id"]: {receipt_type: {user_id: told}}}})
    return found


def _typed(contents: dict[str, Json]) -> list[Json]:
    return [{"type": type_, "content": content} for type_, content in contents.items()]

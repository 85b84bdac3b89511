"""What one /sync says, before it takes a wire form: which rooms stand in which section, with which events.

An answer holds, per room entry, the state block as of the start (`before`) and as of the end (`after`) of the timeline,
both as event ids; forms.py picks. The oddities of real servers are `Account.policy`:
  rejoin: "full" | "delta"        a room joined again comes whole, or as a delta on what the client archived
  overlap: int                    after leaving and joining inside one gap, this many old events come again, limited
  newly_limited: bool             every newly joined room is limited, also when its timeline is whole
  prev_batch: "always"|"limited"  whether a timeline that is not limited has one (a leave entry always has)
  stranger: "full" | "none"       the state block of a leave entry of a room we never joined
  lazy: bool                      members are loaded lazily (with redundant members)
"""

from __future__ import annotations

from typing import Any

from .events import ME, Json, Key, key_of
from .server import Account, fold

TO_DEVICE_LIMIT = 3


def sync(
    account: Account,
    since: str | None,
    limit: int = 10,
    *,
    device: str = "DEVICE",
    full_state: bool = False,
    include_leave: bool = False,
) -> Json:
    """The answer to one request; using a since acknowledges the to-device messages before it."""
    seen = account.devices.setdefault(device, {"acknowledged": []})
    since_at, acknowledged = (0, 0) if since is None else _moment(since)
    if since is not None:
        seen["acknowledged"].append(since_at)
        seen["to_device"] = max(acknowledged, seen.get("to_device", 0))
    messages = [one for one in account.to_device if one["at"] > seen.get("to_device", 0)][:TO_DEVICE_LIMIT]
    last = messages[-1]["at"] if messages else seen.get("to_device", 0)
    ask = {"since": since, "since_at": since_at, "limit": limit, "full_state": full_state, "device": seen}
    rooms = [entry for room_id in account.rooms for entry in _room(account, room_id, ask, include_leave)]
    changed = {type_: one["content"] for type_, one in account.account_data.items() if one["at"] > since_at}
    return {
        "since": since,
        "full_state": full_state,
        "next_batch": f"s{account.clock}_{last}",
        "rooms": rooms,
        "account_data": changed,
        "to_device": [one["message"] for one in messages],
    }


def _moment(token: str) -> tuple[int, int]:
    clock, to_device = token.removeprefix("s").split("_")
    return int(clock), int(to_device)


def _room(account: Account, room_id: str, ask: Json, include_leave: bool) -> list[Json]:
    """The entries of one room: none, one, or leave and invite (or knock) together."""
    own = [
        (item["at"], item["event"]["content"]["membership"])
        for item in account.rooms[room_id]["log"]
        if key_of(item["event"]) == ("m.room.member", ME) and item["at"] > ask["since_at"]
    ]
    now = account.membership(room_id)
    if now == "join":
        entry = _joined(account, room_id, ask)
        return [entry] if entry else []
    if not own:
        return []
    was_joined = account.membership(room_id, ask["since_at"]) == "join"
    first_sight = ask["since"] is None
    entries = []
    if now in ("leave", "ban") and (include_leave or not first_sight):
        entries.append(_left(account, room_id, ask, own[-1][0]))
    if now in ("invite", "knock"):
        joins = [at for at, membership in own if membership == "join"]
        if not first_sight and (was_joined or joins):
            ended = next(at for at, membership in own if membership != "join" and at > max([0, *joins]))
            entries.append(_left(account, room_id, ask, ended))
        shown = account.rooms[room_id]["shown"]
        entries.append({"room_id": room_id, "section": now, "stripped": shown})
    return entries


def _joined(account: Account, room_id: str, ask: Json) -> Json | None:
    room = account.rooms[room_id]
    newly = ask["since"] is None or account.membership(room_id, ask["since_at"]) != "join"
    floor = 0 if newly else ask["since_at"]
    entry = _entry(account, room_id, "join", ask, account.clock, newly)
    entry["receipts"] = [(key, one) for key, one in room["receipts"].items() if one["at"] > floor]
    entry["typing"] = room["typing"]["users"] if newly or room["typing"]["at"] > floor else None
    entry["account_data"] = {t: one["content"] for t, one in room["account_data"].items() if one["at"] > floor}
    entry["unread"] = room["unread"]["counts"]
    said = entry["timeline"] or entry["receipts"] or entry["typing"] is not None or entry["account_data"]
    return entry if newly or ask["full_state"] or said or room["unread"]["at"] > floor else None


def _left(account: Account, room_id: str, ask: Json, end: int) -> Json:
    """A leave entry: up to our own leaving; of a room that we were not joined to, only our own leaving itself."""
    log = account.rooms[room_id]["log"]
    in_gap = [ask["since_at"], *(item["at"] for item in log if ask["since_at"] < item["at"] <= end)]
    ever = any(account.membership(room_id, at) == "join" for at in in_gap)
    newly = account.membership(room_id, ask["since_at"]) != "join"
    entry = _entry(account, room_id, "leave", ask, end, newly, stranger=not ever)
    changed = account.rooms[room_id]["account_data"].items()
    entry["account_data"] = {t: one["content"] for t, one in changed if one["at"] > ask["since_at"]}
    return entry


def _entry(
    account: Account, room_id: str, section: str, ask: Json, end: int, newly: bool, *, stranger: bool = False
) -> Json:
    """Timeline and state block. `newly`: not joined at since; `stranger`: not joined at any moment of the gap."""
    policy = account.policy
    log = [item for item in account.rooms[room_id]["log"] if item["at"] <= end]
    joined_at = [at for at in ask["device"]["acknowledged"] if account.membership(room_id, at) == "join"]
    base: dict[Key, str] = {}
    if stranger:
        earlier, timeline, limited = log[:-1], log[-1:], False
        if joined_at and ask["since"] is not None:
            base = account.state(room_id, ask["since_at"])
        elif policy.get("stranger") == "none":
            base = fold(earlier)
    elif newly:
        log.sort(key=lambda item: (item["depth"], item["at"]))
        earlier, timeline = log[: -ask["limit"]], log[-ask["limit"] :]
        limited = bool(earlier) or bool(policy.get("newly_limited", True))
        if joined_at and ask["since"] is not None and policy.get("rejoin") == "delta":
            base = account.state(room_id, max(joined_at))
    else:
        earlier, timeline, limited = _continued(account, room_id, ask, log)
        base = {} if ask["full_state"] else account.state(room_id, ask["since_at"])
    before, after = fold(earlier), fold([*earlier, *timeline])
    if policy.get("lazy"):
        blocks = _lazily(before, base, timeline), _lazily(after, base, timeline)
    else:
        blocks = _delta(before, base), _delta(after, base)
    told = limited or section == "leave" or policy.get("prev_batch", "always") == "always"
    ids = [item["event"]["event_id"] for item in timeline]
    return {
        "room_id": room_id,
        "section": section,
        "before": blocks[0],
        "after": blocks[1],
        "timeline": ids,
        "limited": limited,
        "prev_batch": _prev_batch(timeline, newly and not stranger, end) if told else None,
        "events": {one: account.copy(room_id, one) for one in {*blocks[0], *blocks[1], *ids}},
        "summary": _summary(account, room_id, after) if policy.get("lazy") and newly else {},
    }


def _continued(account: Account, room_id: str, ask: Json, log: list[Json]) -> tuple[list[Json], list[Json], bool]:
    """Arrival order from since; what came before the timeline, the timeline, and whether it is limited."""
    since_at = ask["since_at"]
    recent = [item for item in log if item["at"] > since_at]
    start = max(len(log) - ask["limit"], len(log) - len(recent))
    limited = len(recent) > ask["limit"]
    own = [item for item in recent if key_of(item["event"]) == ("m.room.member", ME)]
    if any(item["event"]["content"]["membership"] != "join" for item in own[:-1]) and account.policy.get("overlap"):
        start, limited = max(0, start - int(account.policy["overlap"])), True
    return log[:start], log[start:], limited


def _delta(state: dict[Key, str], base: dict[Key, str]) -> list[str]:
    return [event_id for key, event_id in state.items() if base.get(key) != event_id]


def _lazily(state: dict[Key, str], base: dict[Key, str], timeline: list[Json]) -> list[str]:
    """A whole block keeps only the members who speak and our own; a delta is whole and repeats who speaks."""
    speak = {("m.room.member", item["event"]["sender"]) for item in timeline} | {("m.room.member", ME)}
    if base:
        return [one for key, one in state.items() if base.get(key) != one or key in speak]
    return [one for key, one in state.items() if key[0] != "m.room.member" or key in speak]


def _prev_batch(timeline: list[Json], by_depth: bool, end: int) -> str:
    """t<moment>: before this arrived; d<depth>_<moment>: below this in the room's own order (see pages.py)."""
    if not timeline:
        return f"t{end}"
    first = timeline[0]
    return f"d{first['depth']}_{first['at']}" if by_depth else f"t{first['at'] - 1}"


def _summary(account: Account, room_id: str, state: dict[Key, str]) -> dict[str, Any]:
    members = [account.copy(room_id, one) for key, one in state.items() if key[0] == "m.room.member"]
    told = [event["content"]["membership"] for event in members]
    return {"m.joined_member_count": told.count("join"), "m.invited_member_count": told.count("invite")}

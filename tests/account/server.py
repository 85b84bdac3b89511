"""The model account: rooms as lists of events in order of arrival, everything else with the moment it last changed.

`clock` counts what happened, so a token is a moment. An operation that somebody's standing in the room does not allow
does nothing and returns False. Syncing is in answer.py, paging in pages.py.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from .events import ME, OTHERS, Json, Key, key_of, pruned

# From our own membership to those that may follow it.
MOVES: dict[str | None, tuple[str, ...]] = {
    None: ("join", "invite", "knock", "ban"),
    "join": ("leave", "ban"),
    "invite": ("join", "leave", "ban"),
    "knock": ("invite", "leave", "ban"),
    "leave": ("join", "invite", "knock", "ban"),
    "ban": ("leave",),
}


class Account:
    """One account on one server. `policy` fixes in what ways this server is odd (see answer.py)."""

    def __init__(self, policy: Json | None = None) -> None:
        self.clock = 0
        self.counter = 0
        self.policy: Json = policy or {}
        self.rooms: dict[str, Json] = {}
        self.account_data: dict[str, Json] = {}
        self.to_device: list[Json] = []
        self.devices: dict[str, Json] = {}

    # -- rooms and their events

    def create(self, version: str = "11") -> str:
        """A room of somebody else's, with the first events every room has."""
        room_id = f"!room{len(self.rooms)}:example.org"
        maker = OTHERS[0]
        self.rooms[room_id] = {
            "version": version,
            "log": [],
            "redacted": {},
            "receipts": {},
            "typing": {"at": 0, "users": []},
            "account_data": {},
            "unread": {"at": 0, "counts": (0, 0)},
        }
        content = {"room_version": version} | ({"creator": maker} if version == "10" else {})
        self._event(room_id, maker, "m.room.create", content, "")
        self._event(room_id, maker, "m.room.member", {"membership": "join", "displayname": self._secret()}, maker)
        self._event(room_id, maker, "m.room.join_rules", {"join_rule": "public"}, "")
        return room_id

    def send(self, room_id: str, sender: str = OTHERS[0], *, late: bool = False) -> bool:
        """A message; `late`: it arrives now but belongs deep in the history (a fork)."""
        if not self.joined(room_id, sender):
            return False
        event = self._event(room_id, sender, "m.room.message", {"msgtype": "m.text", "body": self._secret()})
        if late:
            log = self.rooms[room_id]["log"]
            log[-1]["depth"] = log[len(log) // 2]["depth"]
        if sender == ME:
            event["unsigned"]["transaction_id"] = f"txn{self.counter}"
        return True

    def edit(self, room_id: str, nth: int) -> bool:
        """A replacement of the nth newest message; from then on limited timelines bundle it with the original."""
        found = self._newest(room_id, nth, {"m.room.message"})
        if found is None or not self.joined(room_id, found["event"]["sender"]):
            return False
        relation = {"rel_type": "m.replace", "event_id": found["event"]["event_id"]}
        new = {"msgtype": "m.text", "body": self._secret()}
        content = {"msgtype": "m.text", "body": "* edited", "m.new_content": new, "m.relates_to": relation}
        found["edit"] = self._event(room_id, found["event"]["sender"], "m.room.message", content)["event_id"]
        return True

    def set_state(self, room_id: str, type_: str, state_key: str = "", *, lost: bool = False) -> bool:
        """A new name, topic or any other state, each with a text that was never there before.

        `lost`: on another branch of the history, and state resolution decided against it. It stands in timelines all
        the same; only a block as of the end shows that it is not the state.
        """
        field = {"m.room.name": "name", "m.room.topic": "topic"}.get(type_, "value")
        self._event(room_id, OTHERS[0], type_, {field: self._secret()}, state_key)
        self.rooms[room_id]["log"][-1]["lost"] = lost
        return True

    def redact(self, room_id: str, nth: int) -> bool:
        """Redact the nth newest event that may be redacted: also a redaction, but never the creation."""
        types = {"m.room.message", "m.room.name", "m.room.topic", "m.room.member", "m.room.redaction", "org.example"}
        if not self.policy.get("redacted_redactions", True):
            types.remove("m.room.redaction")
        found = self._newest(room_id, nth, types)
        room = self.rooms[room_id]
        if found is None or found["event"]["event_id"] in room["redacted"]:
            return False
        target = found["event"]["event_id"]
        content = {"redacts": target} if room["version"] == "11" else {}
        redaction = self._event(room_id, OTHERS[0], "m.room.redaction", content)
        redaction["redacts"] = target
        room["redacted"][target] = redaction["event_id"]
        return True

    def move_other(self, room_id: str, user_id: str, membership: str) -> bool:
        """Somebody else joins (or takes a new name), leaves, is banned."""
        if user_id == OTHERS[0] or (membership == "leave" and not self.joined(room_id, user_id)):
            return False
        content = {"membership": membership} | ({"displayname": self._secret()} if membership == "join" else {})
        self._event(room_id, user_id, "m.room.member", content, user_id)
        return True

    def move(self, room_id: str, membership: str, *, by_me: bool = True) -> bool:
        """Our own membership: join, leave (also reject, withdraw; not by me: kick, unban), invite, knock, ban."""
        now = self.membership(room_id)
        if membership not in MOVES[now]:
            return False
        sender = OTHERS[0] if membership in ("invite", "ban") or now == "ban" or not by_me else ME
        if membership in ("join", "knock"):
            sender = ME
        content = {"membership": membership} | ({"displayname": self._secret()} if membership == "join" else {})
        self._event(room_id, sender, "m.room.member", content, ME)
        if membership != "join":
            self.rooms[room_id]["typing"] = {"at": self.clock, "users": []}
        if membership in ("invite", "knock"):
            self.rooms[room_id]["shown"] = self._stripped(room_id)
        return True

    # -- what is beside the events

    def receipt(self, room_id: str, user_id: str, thread: str | None, receipt_type: str = "m.read") -> bool:
        """A read receipt on the newest event, of the whole room or of one thread."""
        if not self.joined(room_id, user_id):
            return False
        room = self.rooms[room_id]
        event_id = room["log"][-1]["event"]["event_id"]
        self.clock += 1
        room["receipts"][user_id, receipt_type, thread] = {"at": self.clock, "event_id": event_id, "ts": self.clock}
        return True

    def type(self, room_id: str, users: list[str]) -> bool:
        """Who types now."""
        self.clock += 1
        self.rooms[room_id]["typing"] = {"at": self.clock, "users": users}
        return True

    def set_unread(self, room_id: str, counts: tuple[int, int]) -> bool:
        """New unread counts: notifications, highlights."""
        self.clock += 1
        self.rooms[room_id]["unread"] = {"at": self.clock, "counts": counts}
        return True

    def set_account_data(self, type_: str, room_id: str | None = None, *, empty: bool = False) -> bool:
        """Account data, of a room or of the account; `empty` is how servers send a deletion."""
        self.clock += 1
        pile = self.account_data if room_id is None else self.rooms[room_id]["account_data"]
        self.counter += 1
        pile[type_] = {"at": self.clock, "content": {} if empty else {"value": self.counter}}
        return True

    def send_to_device(self) -> bool:
        """A to-device message, waiting for every device until its next since acknowledges it."""
        self.clock += 1
        self.counter += 1
        message = {"type": "org.example.ping", "sender": OTHERS[1], "content": {"number": self.counter}}
        self.to_device.append({"at": self.clock, "message": message})
        return True

    # -- questions

    def membership(self, room_id: str, at: int | None = None, user_id: str = ME) -> str | None:
        """A user's membership at a moment (default now), None if there never was one."""
        found: str | None = None
        for item in self.rooms[room_id]["log"]:
            if (at is None or item["at"] <= at) and key_of(item["event"]) == ("m.room.member", user_id):
                found = item["event"]["content"]["membership"]
        return found

    def joined(self, room_id: str, user_id: str) -> bool:
        return self.membership(room_id, user_id=user_id) == "join"

    def state(self, room_id: str, at: int | None = None) -> dict[Key, str]:
        """The room's state at a moment: key to event id."""
        log = self.rooms[room_id]["log"]
        return fold(item for item in log if at is None or item["at"] <= at)

    def copy(self, room_id: str, event_id: str) -> Json:
        """An event as the server hands it out now: pruned if it was redacted, its newest edit bundled."""
        room = self.rooms[room_id]
        item = next(item for item in room["log"] if item["event"]["event_id"] == event_id)
        redaction = room["redacted"].get(event_id)
        if redaction is not None:
            return pruned(item["event"], room["version"], self.copy(room_id, redaction))
        event: Json = deepcopy(item["event"])
        event["unsigned"]["age"] = 1000 + self.clock - item["at"]
        if "replaces" in item:
            event["unsigned"]["replaces_state"] = item["replaces"]
            event["unsigned"]["prev_content"] = self.copy(room_id, item["replaces"])["content"]
        if "edit" in item and item["edit"] not in room["redacted"]:
            event["unsigned"]["m.relations"] = {"m.replace": self.copy(room_id, item["edit"])}
        return event

    # -- inside

    def _stripped(self, room_id: str) -> list[Json]:
        """What an invite or a knock shows of the room: as it was then, however the room goes on."""
        state = self.state(room_id)
        keys: list[Key] = [(f"m.room.{name}", "") for name in ("create", "join_rules", "name", "topic")]
        shown = [self.copy(room_id, state[key]) for key in [*keys, ("m.room.member", ME)] if key in state]
        return [{name: event[name] for name in ("type", "state_key", "sender", "content")} for event in shown]

    def _secret(self) -> str:
        self.counter += 1
        return f"secret-{self.counter}-"

    def _newest(self, room_id: str, nth: int, types: set[str]) -> Json | None:
        found = [item for item in self.rooms[room_id]["log"] if item["event"]["type"] in types]
        return found[-1 - nth % len(found)] if found else None

    def _event(
        self, room_id: str, sender: str, type_: str, content: Json, state_key: str | None = None
    ) -> dict[str, Any]:
        self.clock += 1
        self.counter += 1
        room = self.rooms[room_id]
        event: Json = {
            "event_id": f"$event{self.counter}",
            "type": type_,
            "sender": sender,
            "origin_server_ts": 1_700_000_000_000 + self.clock,
            "content": content,
            "unsigned": {},
        }
        item = {"at": self.clock, "depth": self.clock, "event": event}
        if state_key is not None:
            event["state_key"] = state_key
            replaced = self.state(room_id).get((type_, state_key))
            if replaced is not None:
                item["replaces"] = replaced
        room["log"].append(item)
        return event


def fold(items: Any) -> dict[Key, str]:
    """The state that a run of log items leaves: key to event id; the later one wins, unless it lost a resolution."""
    state: dict[Key, str] = {}
    for item in items:
        if (key := key_of(item["event"])) is not None and not item.get("lost"):
            state[key] = item["event"]["event_id"]
    return state

"""A fluent builder of /sync bodies: plain dicts, and tokens that count themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]

ME, ANN, BOB = "@me:example.org", "@ann:example.org", "@bob:example.org"
ROOM, OTHER = "!room:example.org", "!other:example.org"


def event(id: str, type: str, content: object, *, state_key: str | None = None, **more: Any) -> Json:
    """An event as it stands in a timeline; `more`: sender, unsigned, redacts and whatever else."""
    made = {"event_id": id, "type": type, "sender": ANN, "origin_server_ts": 1000, "content": content} | more
    return made if state_key is None else made | {"state_key": state_key}


def message(id: str, body: str = "hello", **more: Any) -> Json:
    return event(id, "m.room.message", {"msgtype": "m.text", "body": body}, **more)


def state(id: str, type: str, content: object, state_key: str = "", **more: Any) -> Json:
    return event(id, type, content, state_key=state_key, **more)


def topic(id: str, text: str, **more: Any) -> Json:
    return state(id, "m.room.topic", {"topic": text}, **more)


def name(id: str, text: str, **more: Any) -> Json:
    return state(id, "m.room.name", {"name": text}, **more)


def member(id: str, user: str, membership: str, displayname: str | None = None, **more: Any) -> Json:
    content = {"membership": membership} | ({} if displayname is None else {"displayname": displayname})
    return state(id, "m.room.member", content, user, **{"sender": user} | more)


def create(id: str = "$create", version: str | None = "10", **more: Any) -> Json:
    content: Json = {"creator": ANN} | ({} if version is None else {"room_version": version})
    return state(id, "m.room.create", content, **more)


def redaction(id: str, target: str, **more: Any) -> Json:
    """A redaction with the target in both places, as servers send it to clients."""
    return event(id, "m.room.redaction", {"redacts": target, "reason": "spam"}, redacts=target, **more)


def stripped(type: str, content: object, state_key: str = "", sender: str = ANN) -> Json:
    return {"type": type, "state_key": state_key, "sender": sender, "content": content}


class Body:
    """One response. Methods add to it and return it; `done` gives the bytes."""

    def __init__(self, next_batch: str) -> None:
        self.json: Json = {"next_batch": next_batch}

    @property
    def token(self) -> str:
        return str(self.json["next_batch"])

    def join(self, room: str, *timeline: Json, **options: Any) -> Body:
        return self._stay("join", room, timeline, **options)

    def leave(self, room: str, *timeline: Json, **options: Any) -> Body:
        return self._stay("leave", room, timeline, **options)

    def invite(self, room: str, *events: Json) -> Body:
        me = stripped("m.room.member", {"membership": "invite"}, ME)
        return self._entry("invite", room, {"invite_state": {"events": [*events, me]}})

    def knock(self, room: str, *events: Json) -> Body:
        me = stripped("m.room.member", {"membership": "knock"}, ME, ME)
        return self._entry("knock", room, {"knock_state": {"events": [*events, me]}})

    def data(self, type: str, content: object) -> Body:
        return self._event("account_data", {"type": type, "content": content})

    def to_device(self, content: object, type: str = "m.room_key", sender: str = ANN) -> Body:
        return self._event("to_device", {"type": type, "sender": sender, "content": content})

    def presence(self, sender: str, content: object) -> Body:
        return self._event("presence", {"type": "m.presence", "sender": sender, "content": content})

    def key(self, name: str, value: object) -> Body:
        """Any other top-level key."""
        self.json[name] = value
        return self

    def done(self) -> bytes:
        return json.dumps(self.json).encode()

    def _stay(
        self,
        section: str,
        room: str,
        timeline: Sequence[Json],
        *,
        state: Sequence[Json] = (),
        after: bool = False,
        limited: bool = False,
        prev_batch: str | None = "p0",
        told: bool = True,
        **more: Any,
    ) -> Body:
        """`after`: the block is a state_after; `told` false: no timeline at all; `more`: other keys of the entry."""
        entry: Json = {"state_after" if after else "state": {"events": list(state)}} | more
        if told:
            entry["timeline"] = {"events": list(timeline), "limited": limited}
            if prev_batch is not None:
                entry["timeline"]["prev_batch"] = prev_batch
        return self._entry(section, room, entry)

    def _entry(self, section: str, room: str, entry: Json) -> Body:
        self.json.setdefault("rooms", {}).setdefault(section, {})[room] = entry
        return self

    def _event(self, section: str, event: Json) -> Body:
        self.json.setdefault(section, {"events": []})["events"].append(event)
        return self


class Responses:
    """The responses of one server, each with the next token: s1, s2, …"""

    def __init__(self) -> None:
        self._number = 0

    def next(self) -> Body:
        self._number += 1
        return Body(f"s{self._number}")


def page(*events: Json, end: str | None = None, start: str = "x") -> bytes:
    """An answer of /messages with dir=b: the newest event first; without `end` the history ends here."""
    return json.dumps({"start": start, "chunk": list(events)} | ({} if end is None else {"end": end})).encode()


def wrapped(events: Sequence[Json]) -> Mapping[str, object]:
    """An entry's `ephemeral` or `account_data`."""
    return {"events": list(events)}

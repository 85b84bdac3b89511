"""One fixed, seeded account: a first sync of many rooms, then many small batches, as a Synapse sends them.

The full size is 200 rooms of 200 members and 1,000 batches of 10 events: 54,000 events in all.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

USER = "@me:example.org"
Json = dict[str, Any]
_ID = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_WORDS = "the quick brown fox jumps over a lazy dog while it rains in Spain and nobody minds at all".split()  # noqa: SIM905


@dataclass(frozen=True)
class Size:
    """How much there is of everything."""

    rooms: int = 200
    members: int = 200
    messages: int = 17  # in each room's first timeline; three more state events make 220 events a room
    batches: int = 1000


class Account:
    """What a server knows. Each call goes on in time: the same calls make the same bytes."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.random = random.Random(20150101)
        self.clock = 1_700_000_000_000
        self.users = [f"@user{number}:example.org" for number in range(size.rooms * 10)]
        self.rooms: dict[str, list[str]] = {}
        self.sent: dict[str, list[str]] = {}

    def event(self, room: str, type_: str, sender: str, content: Json, state_key: str | None = None) -> Json:
        self.clock += self.random.randrange(1, 5000)
        event_id = "$" + "".join(self.random.choices(_ID, k=43))
        event: Json = {
            "content": content,
            "event_id": event_id,
            "origin_server_ts": self.clock,
            "sender": sender,
            "type": type_,
            "unsigned": {"age": self.random.randrange(10**7), "membership": "join"},
        }
        if state_key is not None:
            event["state_key"] = state_key
        self.sent.setdefault(room, []).append(event_id)
        return event

    def member(self, room: str, user: str) -> Json:
        name = user[1:].partition(":")[0].title()
        mxc = "mxc://example.org/" + "".join(self.random.choices(_ID, k=24))
        content = {"avatar_url": mxc, "displayname": f"{name} {self.random.randrange(99)}", "membership": "join"}
        return self.event(room, "m.room.member", user, content, user)

    def message(self, room: str) -> Json:
        sender = self.random.choice(self.rooms[room])
        body = " ".join(self.random.choices(_WORDS, k=self.random.randrange(3, 25)))
        content: Json = {"body": body, "msgtype": "m.text"}
        if self.random.random() < 0.1:
            target = self.random.choice(self.sent[room])
            relation = {"event_id": target, "key": "\U0001f44d", "rel_type": "m.annotation"}
            return self.event(room, "m.reaction", sender, {"m.relates_to": relation})
        return self.event(room, "m.room.message", sender, content)

    def entry(self, state: list[Json], timeline: list[Json], token: str, *, limited: bool) -> Json:
        return {
            "timeline": {"events": timeline, "prev_batch": token, "limited": limited},
            "state": {"events": state},
            "account_data": {"events": []},
            "ephemeral": {"events": []},
            "unread_notifications": {"notification_count": 0, "highlight_count": 0},
            "summary": {},
        }

    def opening(self, number: int) -> tuple[str, Json]:
        """A room's id and its entry in the first sync."""
        room = f"!room{number}:example.org"
        members = self.rooms[room] = self.random.sample(self.users, self.size.members)
        levels = {"ban": 50, "events": {"m.room.name": 50}, "users": {members[0]: 100}, "users_default": 0}
        state = [
            self.event(room, "m.room.create", members[0], {"room_version": "10", "creator": members[0]}, ""),
            self.event(room, "m.room.name", members[0], {"name": f"Room {number}"}, ""),
            self.event(room, "m.room.power_levels", members[0], levels, ""),
            *(self.member(room, user) for user in members),
        ]
        timeline = [self.message(room) for _ in range(self.size.messages)]
        return room, self.entry(state, timeline, "s1", limited=True)

    def first(self) -> Json:
        """The response to the first sync: every room."""
        return _response(2, dict(self.opening(number) for number in range(self.size.rooms)))

    def batch(self, number: int) -> Json:
        """Ten events in three rooms: nine said, one member who changed name; and one receipt."""
        joined: Json = {}
        for room in self.random.sample(sorted(self.rooms), 3):
            joined[room] = self.entry([], [self.message(room) for _ in range(3)], f"s{number + 1}", limited=False)
        user = self.random.choice(self.rooms[room])
        joined[room]["timeline"]["events"].append(self.member(room, user))
        receipt = {self.sent[room][-1]: {"m.read": {user: {"ts": self.clock}}}}
        joined[room]["ephemeral"]["events"].append({"type": "m.receipt", "content": receipt})
        return _response(number + 2, joined)


def _response(token: int, joined: Json) -> Json:
    return {
        "next_batch": f"s{token}",
        "device_one_time_keys_count": {"signed_curve25519": 50},
        "device_unused_fallback_key_types": ["signed_curve25519"],
        "rooms": {"join": joined},
    }


def bodies(size: Size) -> list[bytes]:
    """The responses in order, as bytes: ASCII and compact, as Synapse writes JSON."""
    account = Account(size)
    made = [account.first(), *(account.batch(number + 1) for number in range(size.batches))]
    return [_text(one) for one in made]


def long_body(path: Path, at_least: int) -> int:
    """Write a first sync of so many bytes and the rest of its last room; returns the number of its rooms."""
    rooms = 0
    head, tail = _text(_response(2, {})).split(b"{}}}")
    account = Account(Size(rooms=200))
    with path.open("wb") as file:
        file.write(head + b"{")
        while file.tell() < at_least:
            room_id, entry = account.opening(rooms)
            account.sent.clear()
            file.write((b"," if rooms else b"") + b'"%s":' % room_id.encode() + _text(entry))
            rooms += 1
        file.write(b"}}}" + tail)
    return rooms


def one_room(path: Path, members: int) -> None:
    """Write a first sync of one room with so many members, a multiple of ten."""
    account = Account(Size(rooms=members // 10, members=members))
    path.write_bytes(_text(_response(2, dict([account.opening(0)]))))


def long_account(rooms: int, events: int) -> Iterator[bytes]:
    """Responses that bring so many events to so many rooms: members first, then 100 messages at a time to each room."""
    account = Account(Size(rooms=rooms))
    token, told = 2, 0
    for start in range(0, rooms, 100):
        yield _text(_response(token, dict(account.opening(number) for number in range(start, start + 100))))
        token, told = token + 1, told + 100 * (account.size.members + 3 + account.size.messages)
    while told < events:
        joined = {
            room: account.entry([], [account.message(room) for _ in range(100)], f"s{token - 1}", limited=False)
            for room in account.random.sample(sorted(account.rooms), 50)
        }
        yield _text(_response(token, joined))
        token, told = token + 1, told + 50 * 100


def _text(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()

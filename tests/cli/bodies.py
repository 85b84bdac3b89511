"""Answers of /sync for one account: a room with odd texts, a gap, a redaction, an invite."""

from __future__ import annotations

import json
from typing import Any

ALICE, BOB = "@alice:x.org", "@bob:x.org"
ROOM, LEFT, INVITED = "!room:x.org", "!left:x.org", "!invited:x.org"
# What a terminal must never get raw: a clear-screen, a title, an override, a C1 control, a line end.
NASTY = "a\x1b[2J\x1b]0;t\x07\u202eb\x9b\nc"

Json = dict[str, Any]


def event(name: str, type: str, content: Json, *, sender: str = BOB, ts: int = 1000, **more: Any) -> Json:
    """One event, its id made from a name."""
    return {
        "event_id": f"${name}",
        "type": type,
        "sender": sender,
        "origin_server_ts": ts,
        "content": content,
        **more,
    }


def member(user_id: str, membership: str = "join") -> Json:
    """A member event of its own user."""
    content = {"membership": membership, "displayname": user_id[1:4]}
    return event(f"{membership}{user_id}", "m.room.member", content, sender=user_id, state_key=user_id)


def message(name: str, body: str, **more: Any) -> Json:
    """A text message."""
    return event(name, "m.room.message", {"msgtype": "m.text", "body": body}, **more)


def state(name: str, type: str, content: Json) -> Json:
    """A state event without a key."""
    return event(name, type, content, state_key="")


def _timeline(events: list[Json], *, limited: bool = False, prev_batch: str = "p") -> Json:
    return {"events": events, "limited": limited, "prev_batch": prev_batch}


def first(next_batch: str = "s1") -> bytes:
    """Two rooms joined and an invite."""
    pile = [
        state("create", "m.room.create", {"room_version": "11"}),
        member(ALICE),
        member(BOB),
        state("name", "m.room.name", {"name": f"Plans {NASTY}"}),
    ]
    odd = [
        message("m1", f"hello {NASTY}"),
        state("topic", "m.room.topic", {"topic": "sea"}),
        event("odd", "org.odd", {"n": 1, "s": "\u00e9"}),
        message("slip", "the code is 4711"),
    ]
    stripped = [
        {"type": "m.room.name", "state_key": "", "sender": BOB, "content": {"name": "Party [red]"}},
        {"type": "m.room.member", "state_key": ALICE, "sender": BOB, "content": {"membership": "invite"}},
    ]
    left = [state("create2", "m.room.create", {"room_version": "11"}), member(ALICE), member(BOB)]
    return json.dumps(
        {
            "next_batch": next_batch,
            "rooms": {
                "join": {
                    ROOM: {
                        "state": {"events": pile},
                        "timeline": _timeline(odd, limited=True, prev_batch="p1"),
                    },
                    LEFT: {
                        "state": {"events": left},
                        "timeline": _timeline([state("name2", "m.room.name", {"name": "Old"})]),
                    },
                },
                "invite": {INVITED: {"invite_state": {"events": stripped}}},
            },
        }
    ).encode()


def second(next_batch: str = "s2") -> bytes:
    """A gap, a redaction, and one room left."""
    redaction = event("red", "m.room.redaction", {"redacts": "$slip"}, redacts="$slip")
    return json.dumps(
        {
            "next_batch": next_batch,
            "rooms": {
                "join": {
                    ROOM: {"timeline": _timeline([message("m2", "later"), redaction], limited=True, prev_batch="p2")}
                },
                "leave": {LEFT: {"timeline": _timeline([member(ALICE, "leave")], prev_batch="p3")}},
            },
        }
    ).encode()


def quiet(next_batch: str) -> bytes:
    """Nothing new."""
    return json.dumps({"next_batch": next_batch}).encode()

"""Responses in which every string that a server or a member chooses is made to harm a terminal."""

from __future__ import annotations

import json
import re
from typing import Any

ME = "@me:x.org"
# A clear-screen, a title, a link, C1, an override, an isolate, marks, no width, line ends, backspace, markup of rich.
POISON = (
    "\x1b[2J\x1b]0;own\x07\x1b]8;;http://e\x1b\\l\x9b31m\u202ea\u2066b\u2069\u200e\u200f\u061c\u200b\u2060\ufeff\xad"
    "\r\x08\n\u2028\u2029\x7f[red]x[/red][link=http://e]y"
)
SAID = f"{POISON}\0"  # a message may hold NUL; an id that does is set aside
# What no person may get: all of the above but the letters, the brackets and our own line ends.
FORBIDDEN = re.compile(
    "[\0-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)

ROOM, GONE, INVITED, KNOCKED = (f"!{name}{POISON}:x" for name in ("room", "gone", "in", "kn"))
MESSAGE = f"$message{POISON}"

Json = dict[str, Any]


def event(name: str, type: str, content: Any, **more: Any) -> Json:
    """One event; its id, its sender and what it carries besides are poison."""
    return {
        "event_id": f"${name}{POISON}",
        "type": type,
        "sender": f"@bob{POISON}:x",
        "origin_server_ts": 1_000_000,
        "content": content,
        "unsigned": {POISON: POISON},
        POISON: POISON,
        **more,
    }


def _own(membership: str) -> Json:
    return event(f"own-{membership}", "m.room.member", {"membership": membership}, state_key=ME, sender=ME)


def _pile() -> list[Json]:
    words = {"name": POISON, "topic": POISON, "url": POISON, "alias": f"#{POISON}", "algorithm": POISON}
    states = {
        "m.room.name": {"name": f"Plans {POISON}"},
        "m.room.topic": words,
        "m.room.avatar": words,
        "m.room.canonical_alias": words,
        "m.room.encryption": words,
        "m.room.join_rules": {"join_rule": POISON},
        "m.room.history_visibility": {"history_visibility": POISON},
        "m.room.guest_access": {"guest_access": POISON},
        "m.room.create": {"room_version": POISON, "type": POISON, "predecessor": {"room_id": POISON}},
        "m.room.tombstone": {"body": POISON, "replacement_room": POISON},
    }
    pile = [event(type, type, content, state_key="") for type, content in states.items()]
    named = {"membership": "join", "displayname": POISON, "avatar_url": POISON}
    pile += [event(f"join-{name}", "m.room.member", named, state_key=f"@{name}{POISON}:x") for name in ("bob", "eve")]
    return [*pile, _own("join"), event("own", POISON, {POISON: POISON}, state_key=POISON)]


def _timeline(step: str) -> list[Json]:
    file = {"msgtype": "m.file", "body": POISON, "filename": POISON, "url": POISON, "info": {"mimetype": POISON}}
    edit = {"msgtype": "m.text", "body": POISON, "m.new_content": {"msgtype": "m.text", "body": f"new {POISON}"}}
    target = f"$file-{step}{POISON}"
    return [
        event(f"file-{step}", "m.room.message", file),
        event(f"odd-{step}", POISON, {POISON: POISON}),
        event(f"emote-{step}", "m.room.message", {"msgtype": "m.emote", "body": SAID}),
        event(f"type-{step}", "m.room.message", {"msgtype": POISON, "body": POISON}),
        event(
            f"react-{step}",
            "m.reaction",
            {"m.relates_to": {"rel_type": "m.annotation", "event_id": target, "key": POISON}},
        ),
        event(
            f"edit-{step}",
            "m.room.message",
            edit | {"m.relates_to": {"rel_type": "m.replace", "event_id": target}},
        ),
        event(f"red-{step}", "m.room.redaction", {"redacts": f"$odd-{step}{POISON}", "reason": POISON}),
        event(f"kick-{step}", "m.room.member", {"membership": "leave", "reason": POISON}, state_key=f"@x{POISON}:x"),
        event(f"bad-{step}", POISON, POISON),
        event(f"nul-{step}\0", POISON, {}),
        event("message" if step == "first" else step, "m.room.message", {"msgtype": "m.text", "body": SAID}),
    ]


def _stripped(membership: str) -> Json:
    about = [(type, {"name": POISON, "topic": POISON}, "") for type in ("m.room.name", "m.room.topic", POISON)]
    about.append(("m.room.member", {"membership": membership, "displayname": POISON}, ME))
    sender = f"@bob{POISON}:x"
    return {"events": [{"type": t, "content": c, "state_key": k, "sender": sender} for t, c, k in about]}


def body(step: str) -> bytes:
    """One response; the second time only what is new."""
    data = [{"type": f"data{POISON}", "content": {POISON: POISON}}, {"type": POISON, "content": POISON}]
    receipt = {f"${POISON}": {"m.read": {f"@bob{POISON}:x": {"ts": 1, "thread_id": POISON}}}}
    ephemeral = [
        {"type": "m.typing", "content": {"user_ids": [f"@bob{POISON}:x"]}},
        {"type": "m.receipt", "content": receipt},
    ]
    joined = {
        "state": {"events": _pile()},
        "timeline": {"events": _timeline(step), "limited": True, "prev_batch": f"p-{step}{POISON}"},
        "account_data": {"events": data},
        "ephemeral": {"events": ephemeral},
        "summary": {"m.heroes": [f"@bob{POISON}:x"]},
        "unread_thread_notifications": {f"${POISON}": {"notification_count": 1}},
        POISON: POISON,
    }
    gone = {
        "state": {"events": _pile()},
        "timeline": {"events": [_own("leave")], "limited": True, "prev_batch": f"g-{step}{POISON}"},
    }
    presence = {"presence": POISON, "status_msg": POISON, "currently_active": True}
    return json.dumps(
        {
            "next_batch": f"{step}{POISON}",
            "rooms": {
                "join": {ROOM: joined},
                "leave": {GONE: gone},
                "invite": {INVITED: {"invite_state": _stripped("invite")}},
                "knock": {KNOCKED: {"knock_state": _stripped("knock")}},
            },
            "account_data": {"events": data},
            "presence": {"events": [{"type": "m.presence", "sender": f"@bob{POISON}:x", "content": presence}]},
            "to_device": {"events": [{"type": POISON, "sender": f"@bob{POISON}:x", "content": {POISON: POISON}}]},
            "device_lists": {"changed": [f"@bob{POISON}:x"], "left": [f"@eve{POISON}:x"]},
            POISON: POISON,
        }
    ).encode()

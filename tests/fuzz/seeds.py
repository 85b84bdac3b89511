"""Valid bodies of every kind, to be mutated: of the model account in three forms, of a recording, and of our own."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from tests.account import forms
from tests.account.answer import sync
from tests.account.events import ME
from tests.account.pages import messages
from tests.account.server import Account
from tests.property.script import Action, new_account, perform
from tests.store.bodies import (
    ANN,
    BOB,
    OTHER,
    Body,
    Json,
    create,
    event,
    member,
    message,
    name,
    redaction,
    state,
    stripped,
    topic,
    wrapped,
)

RECORDED = Path("examples/account")
FOUNDING = Path("examples/founding-2015.json")
BEFORE: list[Action] = [
    ("send", 0, ME),
    ("state", 0, "m.room.name", ""),
    ("other", 0, "@bob:example.org", "join"),
    *[("send", 0, ME)] * 3,
]
AFTER: list[Action] = [
    *[("send", 0, ME)] * 3,
    ("edit", 0, 0),
    ("redact", 0, 1),
    ("state", 0, "m.room.topic", ""),
    ("state", 0, "org.example", "a"),
    ("receipt", 0, ME, "main"),
    ("typing", 0, [ME]),
    ("unread", 0, 3),
    ("room_data", 0, "m.tag", False),
    ("data", "org.example", False),
    ("to_device",),
    ("me", 1, 0),
]


def account() -> tuple[Account, Json]:
    """An account after some history, and the answer to its first sync."""
    made = new_account()
    for action in BEFORE:
        perform(made, action)
    return made, sync(made, None, 3)


@cache
def first() -> bytes:
    """The body of the first sync: what the store holds before each test body."""
    return json.dumps(forms.classic(account()[1])).encode()


@cache
def sync_bodies() -> tuple[bytes, ...]:
    """Bodies of a second sync: the account's in each form, a rich one of our own, and two that were recorded."""
    made, before = account()
    for action in AFTER:
        perform(made, action)
    said = sync(made, before["next_batch"], 4)
    rendered = (
        forms.classic(said),
        forms.state_after(said),
        forms.state_after(said, forms.UNSTABLE, own_left=False),
        forms.to_2015(forms.classic(said)),
        forms.native_2015(said),
        _rich(next(iter(made.rooms))).json,
    )
    recorded = [path.read_bytes() for path in sorted(RECORDED.glob("*.body.json"))]
    return (*(json.dumps(one).encode() for one in rendered), *recorded, FOUNDING.read_bytes())


def _rich(room: str) -> Body:
    """Relations, redactions, people, and every key that a response may have."""
    relation = {"rel_type": "m.thread", "event_id": "$root", "m.in_reply_to": {"event_id": "$root"}}
    edit = {"m.new_content": {"body": "new", "msgtype": "m.text"}, "m.relates_to": {"rel_type": "m.replace"}}
    edit["m.relates_to"]["event_id"] = "$root"
    timeline = [
        message("$root"),
        message("$in_thread") | {"content": {"body": "b", "m.relates_to": relation}},
        message("$edit") | {"content": {"body": "* new"} | edit},
        event("$like", "m.reaction", {"m.relates_to": {"rel_type": "m.annotation", "event_id": "$root", "key": "+"}}),
        message("$gone"),
        redaction("$strike", "$gone"),
        message("$pruned", unsigned={"redacted_because": redaction("$unseen", "$pruned")}) | {"content": {}},
        topic("$topic", "Fish", unsigned={"prev_content": {"topic": "Old"}, "replaces_state": "$x", "age": 5}),
        name("$name", "Pond"),
        member("$ann", ANN, "join", "Ann"),
        member("$bob", BOB, "join", "Ann", unsigned={"transaction_id": "t"}),
        state("$place", "m.space.child", {"via": ["x"], "order": "a"}, "!child:x"),
    ]
    receipts = {"$root": {"m.read": {BOB: {"ts": 5, "thread_id": "main"}}, "m.read.private": {ME: {"ts": 6}}}}
    beside = [{"type": "m.receipt", "content": receipts}, {"type": "m.typing", "content": {"user_ids": [ANN]}}]
    tags = [{"type": "m.tag", "content": {"tags": {"m.favourite": {"order": 0.5}}}}]
    body = Body("s_rich").join(
        room,
        *timeline,
        state=[create("$c2", "10"), member("$me2", ME, "join", "Me")],
        limited=True,
        prev_batch="p_rich",
        ephemeral=wrapped([*beside, {"type": "org.x", "content": {"a": 1}}]),
        account_data=wrapped([*tags, {"type": "m.fully_read", "content": {"event_id": "$root"}}]),
        summary={"m.heroes": [ANN], "m.joined_member_count": 3, "m.invited_member_count": 0},
        unread_notifications={"notification_count": 3, "highlight_count": 1},
        unread_thread_notifications={"$root": {"notification_count": 1, "highlight_count": 0}},
        **{"org.unknown": {"a": [1]}},
    )
    body.leave("!left:x", member("$out", ME, "ban"), state=[create("$c3")])
    body.invite(OTHER, stripped("m.room.name", {"name": "In?"}))
    body.knock("!knock:x", stripped("m.room.topic", {"topic": "Out"}))
    body.data("m.direct", {ANN: [room]}).data("m.ignored_user_list", {"ignored_users": {BOB: {}}})
    body.to_device({"a": 1}).presence(ANN, {"presence": "online", "status_msg": "x", "last_active_ago": 5})
    body.key("device_lists", {"changed": [ANN], "left": [BOB]}).key("org.unknown", {"a": 1})
    body.key("device_one_time_keys_count", {"signed_curve25519": 5})
    return body.key("device_unused_fallback_key_types", ["signed_curve25519"])


@cache
def room() -> str:
    """The room that pages are of."""
    return next(iter(account()[0].rooms))


@cache
def page_bodies() -> dict[str, bytes]:
    """One valid answer of each call beside /sync, of the room."""
    made, before = account()
    log = [one["event"] for one in made.rooms[room()]["log"]]
    pile = [one for one in log if "state_key" in one]
    page = messages(made, room(), before["rooms"][0]["prev_batch"], None, 5)
    page["chunk"] += [message("$old"), redaction("$old_strike", "$older"), topic("$old_topic", "x")]
    context = {
        "start": "c1",
        "end": "c2",
        "event": message("$there"),
        "events_before": [message("$before1"), topic("$before2", "x")],
        "events_after": [message("$after1"), redaction("$after2", "$before1")],
        "state": pile,
    }
    members = {"chunk": [one for one in pile if one["type"] == "m.room.member"]}
    bodies = {"messages": page, "context": context, "members": members}
    return {name: json.dumps(body).encode() for name, body in (bodies | {"state": pile}).items()}

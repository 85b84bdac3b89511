"""A store full of what servers really accept and what they should not: every view must stay readable."""

from __future__ import annotations

import json

from syncstore import SyncStore
from tests.store.bodies import (
    ANN,
    BOB,
    ME,
    OTHER,
    ROOM,
    Json,
    create,
    event,
    member,
    message,
    redaction,
    stripped,
    wrapped,
)
from tests.store.conftest import Feed

KNOCK = "!kn\0ock"
HIGH, NUL = "x\ud800y", "x\0y"
# JSON texts that are put in as they are.
TEXTS = {
    "T0": '{"a":1,"a":2,"body":"first","body":"last","msgtype":"m.text","membership":"join","displayname":"a"}',
    "T1": '{"n":1e400,"m":123456789012345678901234567890,"body":"numbers","msgtype":"m.text"}',
    "T2": '{"body" : "spaces" ,"a" :1,"msgtype":"m.text"}',
    "T3": "{" + '"a":{' * 498 + '"body":"deep"' + "}" * 499,
    "T4": '{"n":' + "9" * 5000 + ',"body":"long number","msgtype":"m.text"}',
    "T5": '{"":"","__proto__":{},"body":{"no":"text"},"msgtype":["m.text"],"m.relates_to":"a string"}',
    "T6": '{"body":"\\ud83d\\ude00 \\u2028 \\u0007","msgtype":"m.text","\\ud800":1}',
    "T7": '{"body":null,"msgtype":true,"m.relates_to":{"m.in_reply_to":{"event_id":5},"rel_type":"\\ud800"}}',
}


def contents() -> list[object]:
    """Contents that break a careless query; the marks stand for TEXTS."""
    return [{}, {"body": HIGH, "msgtype": NUL}, {"body": NUL, "msgtype": "m.text"}, {HIGH: NUL}, *TEXTS]


def timeline() -> list[Json]:
    events = [message(f"$m{n}") | {"content": content} for n, content in enumerate(contents())]
    events += [member(f"$u{n}", f"@u{n}:x", "join") | {"content": one} for n, one in enumerate(contents())]
    events += [event(f"$r{n}", "m.room.redaction", one, redacts=None) for n, one in enumerate(contents())]
    named = ("m.room.name", "m.room.topic", "m.room.avatar", "m.room.canonical_alias", "m.room.encryption")
    events += [
        event(f"$s{type}", type, {"name": HIGH, "topic": NUL, "url": 5, "alias": None}, state_key="") for type in named
    ]
    events += [*map(_reaction, range(4), ("ok", HIGH, NUL, 5)), *map(_edit, *zip(*enumerate(contents()), strict=True))]
    events += [
        event("$\0id", "m.ro\0om", {}, state_key="k\0ey", unsigned={"age": HIGH, "prev_content": HIGH}, **{HIGH: NUL}),
        *(
            message(f"$ts{n}", origin_server_ts=ts)
            for n, ts in enumerate((0, -5, 2**53, 2**63 - 1, -(2**63), 2**70, 1.5))
        ),
        message("$bad", sender=7),
        message("$bad\ud800", "x"),
        message("$nul\0bad", NUL, type_=1, sender=None),
        redaction("$strike", "$m3"),
    ]
    return events


def _reaction(number: int, key: object) -> Json:
    relation = {"rel_type": "m.annotation", "event_id": "$m1", "key": key}
    return event(f"$react{number}", "m.reaction", {"m.relates_to": relation})


def _edit(number: int, new: object) -> Json:
    """An edit of an event with the content `new`."""
    content = {"m.new_content": new, "m.relates_to": {"rel_type": "m.replace", "event_id": f"$m{number}"}}
    return event(f"$edit{number}", "m.room.message", content)


def fill(store: SyncStore) -> None:
    """Two syncs: everything odd, then a second of each thing that replaces its predecessor."""
    feed = Feed(store)
    for number in (1, 2):
        body = feed.next
        receipts = {"$m1": {"m.read": {BOB: {"ts": 2**70, "thread_id": "main"}, HIGH: {}, ANN: 5}}, HIGH: {}, "$m2": []}
        ephemeral = [
            {"type": "m.receipt", "content": receipts},
            {"type": "m.typing", "content": {"user_ids": [ANN, HIGH, 5, NUL]}},
            {"type": "org.x", "content": {HIGH: 1}},
        ]
        body.join(
            ROOM,
            *timeline(),
            event(f"$again{number}", "m.room.topic", {"topic": HIGH + NUL}, state_key=""),
            state=[create(version=None)],
            limited=True,
            ephemeral=wrapped(ephemeral),
            account_data=wrapped([{"type": f"m.{n}", "content": one} for n, one in enumerate(contents())]),
            summary={"m.heroes": [ANN, BOB], "m.joined_member_count": 2**62},
            unread_notifications={"notification_count": 2**62, "highlight_count": -1},
            unread_thread_notifications={"$\0": {"notification_count": None, "highlight_count": 0}},
            **{"org.x": {HIGH: NUL}},
        )
        body.leave("!left:x", member("$l", ME, "ban"), limited=True, prev_batch=NUL)
        for number_, one in enumerate(contents()):
            body.data(f"m.{number_}", one).to_device(one).presence(f"@p{number_}:x", one)
        body.data("m.direct", {ANN: [ROOM, HIGH], HIGH: [ROOM], BOB: 5}).data(NUL, {})
        body.presence(ANN, {"presence": HIGH, "status_msg": NUL, "last_active_ago": 2**60})
        body.invite(OTHER, *(stripped("m.room.name", one, f"k{n}") for n, one in enumerate(contents())))
        body.knock(KNOCK, stripped("m.room.name", {"name": HIGH}), stripped("m.room.topic", {"topic": 5}))
        body.key("device_lists", {"changed": [ANN, NUL], "left": [BOB]}).key("org.x", {HIGH: HIGH})
        feed.store.apply(raw(body.json), since=None if number == 1 else "s1")
    room = feed.store.room(ROOM)
    room.set_draft({"body": "\0\ud800"})
    room.send_state("m.\u2028", {"body": "\0\ud800", "m.relates_to": "text"})


def raw(body: Json) -> bytes:
    """The bytes of a body, each mark replaced by its JSON text, and one event made of bytes that are no text."""
    text = json.dumps(body)
    for mark, put in TEXTS.items():
        text = text.replace(f'"{mark}"', put)
    return text.encode().replace(b'"$bad"', b'"$bad", "x": "\xff\xfe"', 1)

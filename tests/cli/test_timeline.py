from __future__ import annotations

import json
from pathlib import Path

from syncstore import SyncStore

from . import bodies
from .conftest import Run, refused


def test_newest_last_each_gap_in_its_place(store: Path, run: Run) -> None:
    lines = run("timeline", bodies.ROOM).out.splitlines()
    said = [line if line.startswith("--") else line.split("  ", 2)[2] for line in lines]
    assert [one.split(" prev_batch")[0] for one in said] == [
        "-- gap 1 (start, open)",
        "hello a\\x1b[2J\\x1b]0;t\\x07\\u202eb\\x9b\\nc",
        "* topic: sea",
        '[org.odd] {"n": 1, "s": "\\u00e9"}',
        "(redacted m.room.message by $red)",
        said[5].split(" prev_batch")[0],
        "later",
        "* redacted $slip",
    ]
    assert said[5].startswith("-- gap") and "prev_batch p2, since s1" in said[5]


def test_the_cursor_leads_to_older_events(store: Path, run: Run) -> None:
    first = run("timeline", bodies.ROOM, "--limit", 2).out.splitlines()
    assert first[0].startswith("-- older: --before ")
    older = run("timeline", bodies.ROOM, "--limit", 50, "--before", first[0].split()[3]).out
    assert "4711" not in older and "later" not in older and "topic: sea" in older
    assert "x has no place" in refused(run("timeline", bodies.ROOM, "--before", "x"))
    around = run("timeline", bodies.ROOM, "--limit", 1, "--around", first[0].split()[3]).out
    assert sum(not line.startswith("--") for line in around.splitlines()) == 1
    assert run("timeline", bodies.ROOM, "--before", "x", "--around", "y").code == 2
    assert run("timeline", bodies.ROOM, "--limit", 0).code == 2


def test_json_names_what_each_item_is(store: Path, run: Run) -> None:
    items = json.loads(run("timeline", bodies.ROOM, "--limit", 2, "--json").out)
    assert [next(iter(item)) for item in items] == ["older", "gap", "event", "event"]
    assert items[2]["event"]["content"]["body"] == "later"


def test_json_is_what_the_server_sent_also_where_python_cannot_hold_it(path: Path, run: Run) -> None:
    digits = "9" * 5000
    odd = '"huge": 1e400, "twice": 1, "twice": 2, "half": "\\ud800", "\u00e9": "\U0001f41f\x7f"'
    content = f'{{"big": {digits}, {odd}}}'
    body = json.dumps(
        {
            "next_batch": "s1",
            "rooms": {"join": {bodies.ROOM: {"timeline": {"events": [bodies.event("x", "t", {})]}}}},
        }
    )
    with SyncStore.open(path, user_id=bodies.ALICE) as store:
        store.apply(body.replace('"content": {}', f'"content": {content}'))
    out = run("event", "$x", "--json").out
    assert out.isascii()
    assert f'"big": {digits}, "huge": 1e400, "twice": 1, "twice": 2, "half": "\\ud800"' in out
    assert '"\\u00e9": "\\ud83d\\udc1f\\u007f"' in out
    assert run("timeline", bodies.ROOM).code == run("event", "$x").code == run("state", bodies.ROOM).code == 0


def test_times_beyond_the_calendar_are_shown_as_numbers(path: Path, run: Run) -> None:
    events = [bodies.message("a", "future", ts=2**53 - 1), bodies.message("b", "past", ts=-5)]
    body = {"next_batch": "s1", "rooms": {"join": {bodies.ROOM: {"timeline": {"events": events}}}}}
    with SyncStore.open(path, user_id=bodies.ALICE) as store:
        store.apply(json.dumps(body))
    out = run("timeline", bodies.ROOM).out
    assert "9007199254740991  @bob" in out and "1969-12-31 23:59:59Z" in out


def test_an_event_is_shown_whole(store: Path, run: Run) -> None:
    out = run("event", "$m1").out
    assert bodies.ROOM in out and '"msgtype": "m.text"' in out and "\x1b" not in out
    assert "$nope" in refused(run("event", "$nope"))


def test_gaps_of_all_rooms_and_of_one(store: Path, run: Run) -> None:
    every = json.loads(run("gaps", "--json").out)
    one = json.loads(run("gaps", bodies.ROOM, "--json").out)
    assert {gap["room_id"] for gap in every} >= {bodies.ROOM, bodies.LEFT}
    assert [(gap["kind"], gap["prev_batch"], gap["since"]) for gap in one] == [
        ("limited", "p2", "s1"),
        ("start", "p1", None),
    ]
    assert "p2" in run("gaps").out


def test_what_was_decrypted_is_shown_as_what_was_never_encrypted(path: Path, run: Run) -> None:
    timeline = [bodies.event(id, "m.room.encrypted", {"ciphertext": "x"}) for id in ("a", "b", "c", "d")]
    timeline[2]["content"]["m.relates_to"] = {"rel_type": "m.replace", "event_id": "$a"}
    body = json.dumps({"next_batch": "s1", "rooms": {"join": {bodies.ROOM: {"timeline": {"events": timeline}}}}})
    with SyncStore.open(path, user_id=bodies.ALICE) as store:
        store.apply(body)
        new = {"msgtype": "m.text", "body": "clearer"}
        store.attach_decrypted(bodies.ROOM, "$a", "m.room.message", {"msgtype": "m.text", "body": "clear"})
        store.attach_decrypted(bodies.ROOM, "$b", "org.odd", {"n": 1})
        store.attach_decrypted(bodies.ROOM, "$c", "m.room.message", {"body": "* clearer", "m.new_content": new})
    said = [line.split("  ", 2)[2] for line in run("timeline", bodies.ROOM).out.splitlines()[-4:]]
    assert said == ["clearer (edited)", '[org.odd] {"n":1}', "* edited $a: clearer", "(encrypted)"]

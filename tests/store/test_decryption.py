"""Decrypted payloads: part of their event for every read, and gone with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncstore import Event, SyncStore
from syncstore.errors import ContentError, NotFoundError
from tests.store.bodies import ANN, ROOM, Json, create, event, member, message, redaction
from tests.store.conftest import Feed, Sql, bytes_of, plant

SECRET = {"msgtype": "m.text", "body": "a secret word"}


def encrypted(id: str, session: object = "s1", relates_to: Json | None = None) -> Json:
    content = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x", "session_id": session}
    return event(id, "m.room.encrypted", content | ({"m.relates_to": relates_to} if relates_to else {}))


@pytest.fixture
def room(feed: Feed) -> Feed:
    feed.take(feed.next.join(ROOM, encrypted("$1"), encrypted("$2", "s2"), message("$plain"), state=[create()]))
    return feed


def lacking(store: SyncStore, session_id: str | None = None) -> list[str]:
    return [one.event_id for one in store.undecrypted(session_id)]


def of(store: SyncStore, event_id: str) -> Event:
    found = store.room(ROOM).event(event_id)
    assert found is not None
    return found


def test_p36_what_is_attached_is_read_with_its_event(room: Feed, sql: Sql) -> None:
    store = room.store
    assert (lacking(store), lacking(store, "s2"), lacking(store, "s9")) == (["$2", "$1"], ["$2"], [])
    store.attach_decrypted(ROOM, "$1", "m.room.message", SECRET)
    assert lacking(store) == ["$2"]
    found = of(store, "$1")
    assert (found.type, found.decrypted_type, found.decrypted) == ("m.room.encrypted", "m.room.message", SECRET)
    assert found.content["ciphertext"] == "x"
    assert getattr(found.parsed(), "body", None) == "a secret word"
    assert sql("SELECT event_id, body FROM messages ORDER BY event_id") == [
        ("$1", "a secret word"),
        ("$plain", "hello"),
    ]
    assert sql("SELECT decrypted_type FROM timeline WHERE event_id = '$1'") == [("m.room.message",)]
    store.attach_decrypted(ROOM, "$1", "m.room.message", '{"body": "better", "n": 1e400}')
    assert of(store, "$1").decrypted_json == '{"body": "better", "n": 1e400}'


def test_p36_an_edit_whose_new_content_is_encrypted_counts_once_it_is_decrypted(room: Feed, sql: Sql) -> None:
    store = room.store
    room.take(room.next.join(ROOM, encrypted("$e", relates_to={"rel_type": "m.replace", "event_id": "$1"})))
    store.attach_decrypted(ROOM, "$1", "m.room.message", SECRET)
    assert of(store, "$1").edited is None
    new = {"msgtype": "m.text", "body": "another word"}
    store.attach_decrypted(ROOM, "$e", "m.room.message", {"body": "* another word", "m.new_content": new})
    assert (of(store, "$1").edited, of(store, "$1").edited_by) == (new, "$e")
    assert sql("SELECT body FROM messages WHERE event_id = '$1'") == [("another word",)]


def test_p36_relations_and_threads_of_encrypted_events(room: Feed) -> None:
    store = room.store
    room.take(room.next.join(ROOM, encrypted("$t", relates_to={"rel_type": "m.thread", "event_id": "$1"})))
    store.attach_decrypted(ROOM, "$t", "m.room.message", SECRET)
    (thread,) = store.room(ROOM).threads()
    assert thread.latest.decrypted == SECRET
    assert [one.decrypted for one in store.room(ROOM).relations("$1")] == [SECRET]


def test_p36_push_rules_are_asked_about_what_was_decrypted(room: Feed) -> None:
    store = room.store
    word = {"rule_id": "w", "pattern": "secret", "enabled": True, "actions": ["notify", {"set_tweak": "highlight"}]}
    room.take(room.next.data("m.push_rules", {"global": {"content": [word]}}))
    assert not store.push_actions(of(store, "$1")).notify
    store.attach_decrypted(ROOM, "$1", "m.room.message", SECRET)
    assert store.push_actions(of(store, "$1")).highlight


def test_p36_a_redaction_takes_the_payload_away_for_good(room: Feed, path: Path, sql: Sql) -> None:
    store = room.store
    store.attach_decrypted(ROOM, "$1", "m.room.message", SECRET)
    room.take(room.next.join(ROOM, redaction("$r", "$1"), redaction("$r2", "$2")))
    assert (of(store, "$1").decrypted, lacking(store)) == (None, [])
    with pytest.raises(ContentError, match="was redacted"):
        store.attach_decrypted(ROOM, "$1", "m.room.message", SECRET)
    assert sql("SELECT count(*) FROM decrypted") == [(0,)]
    store.close()
    assert b"a secret word" not in bytes_of(path)


def test_p36_what_is_forgotten_or_pruned_goes_with_its_payload(room: Feed, sql: Sql) -> None:
    store = room.store
    store.attach_decrypted(ROOM, "$1", "m.room.message", SECRET)
    for number in range(9):
        room.take(room.next.join(ROOM, encrypted(f"$n{number}")))
    store.prune(ROOM, keep=3)
    assert len(lacking(store)) == 3
    assert sql("SELECT count(*) FROM decrypted") == [(0,)]
    store.attach_decrypted(ROOM, "$n8", "m.room.message", SECRET)
    store.forget(ROOM)
    assert (lacking(store), sql("SELECT count(*) FROM decrypted")) == ([], [(0,)])


def test_p36_recover_saves_payloads_and_asks_again_for_those_it_lost(room: Feed, path: Path) -> None:
    room.store.attach_decrypted(ROOM, "$1", "m.room.message", SECRET)
    room.store.attach_decrypted(ROOM, "$2", "m.room.message", SECRET)
    room.store.close()
    plant(path, "UPDATE decrypted SET content = x'ff' WHERE event = (SELECT id FROM event WHERE event_id = '$2')")
    new = path.with_name("new.db")
    SyncStore.recover(path, new)
    with SyncStore.open(new) as again:
        assert (of(again, "$1").decrypted, of(again, "$2").decrypted) == (SECRET, None)
        assert lacking(again, "s2") == lacking(again) == ["$2"]
        assert again.check() == []
        assert again.token is not None


MISPLACED = {
    "cannot have one": "INSERT INTO decrypted SELECT id, 'm.x', '{}', 0, 1 FROM event WHERE event_id = '$plain'",
    "should not": "INSERT INTO undecrypted SELECT id, NULL FROM event WHERE event_id = '$plain'",
    "do not wait": "DELETE FROM undecrypted WHERE session_id = 's2'",
    "of their session": "UPDATE undecrypted SET session_id = 's3' WHERE session_id = 's2'",
}


@pytest.mark.parametrize("what", MISPLACED)
def test_p36_check_finds_payloads_out_of_place(room: Feed, path: Path, what: str) -> None:
    assert room.store.check() == []
    plant(path, MISPLACED[what])
    (found,) = room.store.check()
    assert what in found


def test_p36_odd_sessions_and_payloads_break_no_view(room: Feed, sql: Sql) -> None:
    store = room.store
    room.take(room.next.join(ROOM, encrypted("$odd", 5), encrypted("$none", None), member("$m", ANN, "join")))
    assert lacking(store) == ["$none", "$odd", "$2", "$1"]
    store.attach_decrypted(ROOM, "$odd", "m.room.message", '{"body": "\\ud800", "body": "twice"}')
    assert sql("SELECT body FROM messages WHERE event_id = '$odd'") == [(None,)]
    assert store.check() == []


def test_p36_what_is_attached_again_is_no_change(room: Feed) -> None:
    store = room.store
    before = store.last_change
    store.attach_decrypted(ROOM, "$1", "m.room.message", SECRET)
    (change,) = store.changes(before)
    assert (change.kind, change.op, change.event_id) == ("event", "change", "$1")
    store.attach_decrypted(ROOM, "$1", "m.room.message", SECRET)
    assert store.changes(change.seq) == []
    store.attach_decrypted(ROOM, "$1", "m.notice", SECRET)
    assert len(store.changes(change.seq)) == 1


@pytest.mark.parametrize("type", ["", "x" * 256, "a\0b", "a\ud800", 5, None])
def test_p36_a_payload_has_a_type_as_events_have(room: Feed, type: object) -> None:
    with pytest.raises(ContentError, match=r"of event \$1 in !room.*at most 255 bytes"):
        room.store.attach_decrypted(ROOM, "$1", type, SECRET)  # type: ignore[arg-type]
    assert "$1" in lacking(room.store)


@pytest.mark.parametrize(
    "content", ["[]", "{", "x", {"x": {1}}, "[" * 600, '{"a": NaN}', '{"a": -Infinity}', '{"a": "\ud800"}', None, b"{}"]
)
def test_p36_a_payload_that_is_no_object_is_refused(room: Feed, content: object) -> None:
    with pytest.raises(ContentError, match=r"event \$1 in !room"):
        room.store.attach_decrypted(ROOM, "$1", "m.room.message", content)  # type: ignore[arg-type]
    assert "$1" in lacking(room.store)


def test_p36_only_encrypted_events_take_a_payload(room: Feed) -> None:
    with pytest.raises(ContentError, match=r"not encrypted: it is a m\.room\.message"):
        room.store.attach_decrypted(ROOM, "$plain", "m.room.message", SECRET)
    with pytest.raises(NotFoundError, match="nowhere"):
        room.store.attach_decrypted(ROOM, "$nowhere", "m.room.message", SECRET)

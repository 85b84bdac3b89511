"""One store with a row in every view."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from syncstore import SyncStore
from tests.store.rich import fill

ME = "@me:example.org"


@pytest.fixture(scope="session")
def full_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file."""
    path = tmp_path_factory.mktemp("docs") / "full.db"
    with SyncStore.open(path, user_id=ME) as store:
        fill(store)
        token = store.token
        body = {
            "next_batch": "s0_reset",
            "presence": {"events": [{"type": "m.presence", "sender": ME, "content": {"presence": "online"}}]},
            "device_lists": {"changed": ["@ann:example.org"]},
            "to_device": {"events": [{"type": "org.example.ping", "sender": ME, "content": {}}]},
            "account_data": {"events": [{"type": "m.direct", "content": {"no": "list"}}]},
            "rooms": {
                "knock": {"!knocked:example.org": {"knock_state": {"events": [_stripped("m.room.name", "name")]}}},
                "invite": {"!invited:example.org": {"invite_state": {"events": [_stripped("m.room.name", "name")]}}},
                "join": {"!docs:example.org": _entry()},
            },
        }
        store.apply(json.dumps(body), since=token)
        later = {"next_batch": "s0_again", "rooms": {"join": {"!docs:example.org": _entry(2)}}}
        store.apply(json.dumps(later), since="s0_reset")
    return path


def _stripped(type: str, key: str) -> dict[str, object]:
    return {"type": type, "state_key": "", "sender": "@ann:example.org", "content": {key: "Somewhere"}}


def _entry(number: int = 1) -> dict[str, object]:
    def event(name: str, type: str, content: dict[str, object]) -> dict[str, object]:
        return {
            "event_id": f"${name}{number}",
            "type": type,
            "sender": "@ann:example.org",
            "origin_server_ts": number,
            "content": content,
        }

    topic = {**event("topic", "m.room.topic", {"topic": f"Topic {number}"}), "state_key": ""}
    name = {**event("name", "m.room.name", {"name": f"Name {number}"}), "state_key": ""}
    member = {**event("member", "m.room.member", {"membership": "join"}), "state_key": "@ann:example.org"}
    said = event("said", "m.room.message", {"msgtype": "m.text", "body": "Hello"})
    relation = {"rel_type": "m.annotation", "event_id": "$said1", "key": "+1"}
    reaction = event("reaction", "m.reaction", {"m.relates_to": relation})
    bad = {"event_id": "$bad", "type": 5}
    return {
        "timeline": {"events": [topic, name, member, said, reaction, bad], "limited": True, "prev_batch": f"p{number}"},
        "unread_notifications": {"notification_count": 1, "highlight_count": 0},
        "unread_thread_notifications": {"$said1": {"notification_count": 1, "highlight_count": 0}},
        "ephemeral": {
            "events": [
                {"type": "m.typing", "content": {"user_ids": ["@ann:example.org"]}},
                {"type": "m.receipt", "content": {"$said1": {"m.read": {"@ann:example.org": {"ts": 1}}}}},
            ]
        },
    }

"""Derived data is never the only copy: `check` makes it anew and finds each kind of damage (promise 17)."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from syncstore import SyncStore
from syncstore.store.naming import derive_rooms
from syncstore.store.write import Write
from tests.store import rich
from tests.store.bodies import (
    ANN,
    BOB,
    ME,
    OTHER,
    ROOM,
    Body,
    Json,
    create,
    event,
    member,
    message,
    redaction,
    state,
    stripped,
)
from tests.store.conftest import Feed, Sql, plant
from tests.store.test_views import COLUMNS

TYPES = ("m.room.name", "m.room.topic", "m.room.avatar", "m.room.canonical_alias", "m.room.encryption")
VALUES: tuple[Any, ...] = ("x", "", None, 5, "\ud800", "a\0b", "#a:b", [], {})


def _content(source: random.Random) -> Json:
    return {key: source.choice(VALUES) for key in ("name", "topic", "url", "alias", "algorithm")}


def _states(number: int) -> Json:
    source = random.Random(number)
    if number % 2:
        user, membership = (
            source.choice((ME, ANN, BOB)),
            source.choice(("join", "join", "leave", "ban", "invite", "\0")),
        )
        return member(f"$m{number}", user, membership, source.choice(("A", "B", None)))
    return state(f"$s{number}", source.choice(TYPES), _content(source), source.choice(("", "", "k")))


class Random:
    """Bodies nobody would think of; ids repeat across rooms, batches and types on purpose."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def body(self, number: int) -> Body:
        body = Body(f"s{number}")
        for _ in range(self._random.randint(1, 3)):
            room = self._random.choice((ROOM, OTHER))
            section = self._random.choice(("join", "join", "join", "leave", "invite", "knock"))
            if section in ("invite", "knock"):
                getattr(body, section)(room, *(stripped(kind, self._content()) for kind in TYPES))
            else:
                self._stay(getattr(body, section), room)
        if self._random.random() < 0.4:
            body.data("m.direct", {self._one((ANN, "\ud800")): self._one(([ROOM, OTHER], [ROOM, "\ud800", 5], 7))})
        return body

    def _stay(self, add: Any, room: str) -> None:
        block = [self._state() for _ in range(self._random.randint(0, 4))]
        if self._random.random() < 0.3:
            block.append(create(version=self._one(("1", "10", "11", None))))
        told = self._one(({}, None, {"m.joined_member_count": 2, "m.heroes": [ANN, BOB]}, {"m.heroes": []}))
        options = {} if told is None else {"summary": told}
        limited, after = self._random.random() < 0.3, self._random.random() < 0.3
        add(room, *(self._event() for _ in range(5)), state=block, limited=limited, after=after, **options)

    def _event(self) -> Json:
        id = f"${self._random.randint(0, 60)}"
        kind = self._random.randint(0, 4)
        if kind == 0:
            return redaction(f"$r{self._random.randint(0, 60)}", id.replace("$", self._one(("$", "$m", "$s"))))
        if kind == 1:
            relation = {"m.relates_to": self._one(({"rel_type": self._one(VALUES), "event_id": "$x"}, "text", None))}
            return event(id, "m.reaction", relation)
        return self._state() if kind == 2 else message(id)

    def _state(self) -> Json:
        # One id, one event in each room: servers never give an id twice.
        return _states(self._random.randint(0, 60))

    def _content(self) -> Json:
        return _content(self._random)

    def _one(self, choices: Any) -> Any:
        return self._random.choice(choices)


@pytest.mark.parametrize("seed", range(12))
def test_p17_check_finds_nothing_after_random_bodies(store: SyncStore, seed: int) -> None:
    made = Random(seed)
    for number in range(1, 40):
        store.apply(made.body(number).done())
        if number % 10 == 0:
            assert store.check() == []


DAMAGE = {
    "name": "UPDATE room SET name = 'planted' WHERE id = 1",
    "display_name": "UPDATE room SET display_name = 'planted' WHERE id = 1",
    "topic": "UPDATE room SET topic = 'planted' WHERE id = 1",
    "room_version": "UPDATE room SET room_version = '3' WHERE id = 1",
    "encryption": "UPDATE room SET encryption = 'none' WHERE id = 1",
    "pile_joined": "UPDATE room SET pile_joined = pile_joined + 1 WHERE id = 1",
    "pile_invited": "UPDATE room SET pile_invited = 7 WHERE id = 1",
    "the pile has": "UPDATE room_state SET membership = 'ban' WHERE room = 1 AND state_key = '@ann:example.org'",
    "the state of m.room.name '' is no event": "UPDATE room_state SET event = (SELECT event FROM room_state"
    " WHERE type = 'm.room.create') WHERE room = 1 AND type = 'm.room.name'",
    "the state of m.room.topic '' is no event": "UPDATE room_state SET event = 9999"
    " WHERE room = 1 AND type = 'm.room.topic'",
    "was before is no event": "UPDATE replaced_state SET event = 9999",
    "another relation": "UPDATE event SET rel_type = 'm.thread' WHERE event_id = '$m2'",
    "last place": "UPDATE event SET position = 2000 WHERE room = 1 AND event_id = '$m2'",
    "foreign key": "UPDATE event SET room = 99 WHERE event_id = '$m2'",
    "direct": "INSERT INTO direct_room VALUES ('!x:y', '@x:y')",
}


@pytest.mark.parametrize("what", DAMAGE)
def test_p17_check_finds_each_kind_of_damage(store: SyncStore, path: Path, what: str) -> None:
    rich.fill(store)
    assert store.check() == []
    plant(path, DAMAGE[what])
    found = store.check()
    assert [line for line in found if what in line], found
    assert all("\n" not in line for line in found)


def test_p17_check_finds_a_damaged_index(store: SyncStore, path: Path) -> None:
    rich.fill(store)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, 'room, event_id', 'room, type') WHERE name = 'event_by_id'"
        )
        db.commit()
    with SyncStore.open(path) as again:
        assert [line for line in again.check() if line.startswith("integrity")]


def test_p17_derived_columns_can_be_rebuilt_from_the_events(store: SyncStore, path: Path, sql: Sql) -> None:
    rich.fill(store)
    query = "SELECT * FROM rooms ORDER BY room_id"
    batch = COLUMNS["rooms"].split().index("batch")
    before = [row[:batch] + row[batch + 1 :] for row in sql(query)]
    columns = (
        "name",
        "topic",
        "display_name",
        "avatar_url",
        "canonical_alias",
        "room_type",
        "room_version",
        "encryption",
    )
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"UPDATE room SET {', '.join(f'{column} = NULL' for column in columns)}")
        db.commit()
    assert store.check() != []
    with store._connections.write() as cursor:
        write = Write(cursor, "repair", 0)
        write.derive |= {row[0] for row in sql("SELECT id FROM room")}
        derive_rooms(write)
    assert store.check() == []
    assert [row[:batch] + row[batch + 1 :] for row in sql(query)] == before


def test_p17_check_reads_content_as_the_store_does(feed: Feed) -> None:
    """What is no valid text for a column is no damage."""
    relation = {"m.relates_to": {"rel_type": "\ud800", "event_id": "a\0b"}}
    feed.take(feed.next.join(ROOM, event("$a", "m.reaction", relation)).data("m.direct", {ANN: [ROOM, "\ud800"]}))
    raw = json.dumps(relation).replace('"m.relates_to"', '"m.relates\\u005fto"').replace("a\\u0000b", "$b")
    body = feed.next.join(ROOM, event("$b", "m.reaction", "C")).done().decode().replace('"C"', raw)
    feed.store.apply(body)
    assert feed.store.check() == []

"""Search: what messages say now, and nothing that is gone (promise 38)."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from syncstore import SyncStore
from syncstore.errors import CorruptStoreError, NotFoundError, StoreError
from syncstore.store import connection, search
from tests.encrypted import module
from tests.store.bodies import BOB, OTHER, ROOM, Json, create, event, message, page, redaction
from tests.store.conftest import Feed, Sql, bytes_of, plant
from tests.store.test_decryption import encrypted
from tests.store.test_relations import edit

PART = 1 << 15


@pytest.fixture
def room(feed: Feed) -> Feed:
    feed.take(
        feed.next.join(
            ROOM,
            message("$1", "The quick brown fox", origin_server_ts=1),
            message("$2", "jumps over the Zaunkönig", origin_server_ts=3),
            message("$3", "quick, quick! and over", origin_server_ts=2),
            state=[create()],
        ).join(OTHER, message("$4", "a quick note", origin_server_ts=9), state=[create("$c")])
    )
    return feed


def ids(store: SyncStore, words: str, **options: object) -> list[str]:
    return [one.event_id for one in store.search(words, **options)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("quick", ["$4", "$3", "$1"]),  # the newest first, whatever the order of arrival
        ("QUICK over", ["$3"]),
        ("over quick", ["$3"]),
        ("zaunkonig", ["$2"]),
        ('"quick brown"', ["$1"]),
        ('"brown quick"', []),
        ("qui", []),
        ("qui*", ["$4", "$3", "$1"]),
        ("quick -brown", ["$1"]),  # no operator: both words
        ("body:quick OR note", []),
        ("nothing", []),
    ],
)
def test_p38_all_words_are_found_the_newest_first(room: Feed, words: str, found: list[str]) -> None:
    assert ids(room.store, words) == found


def test_p38_of_one_room_and_no_more_than_asked(room: Feed) -> None:
    assert ids(room.store, "quick", room_id=ROOM) == ["$3", "$1"]
    assert ids(room.store, "quick", limit=2) == ["$4", "$3"]
    with pytest.raises(NotFoundError, match="!none"):
        room.store.search("quick", room_id="!none:x.org")
    with pytest.raises(ValueError, match="nothing to search for"):
        room.store.search("!!")


def test_p38_what_comes_later_is_found_too(room: Feed) -> None:
    assert ids(room.store, "later") == []
    room.take(room.next.join(ROOM, message("$5", "later", origin_server_ts=2000)))
    assert ids(room.store, "later") == ["$5"]
    (gap,) = room.store.room(OTHER).gaps()
    with room.store.lease_gap(gap, 60) as row:
        assert row is not None and row.walk is not None
        room.store.apply_page(gap, row.walk, page(message("$old", "filled in later"), end="p9"))
    assert ids(room.store, "later") == ["$5", "$old"]


@pytest.mark.parametrize("searched", [False, True], ids=["then", "before"])
def test_p38_an_edited_message_is_found_by_what_it_says_now(room: Feed, searched: bool) -> None:
    if searched:
        room.store.search("quick")
    room.take(room.next.join(ROOM, edit("$e", "$1", "a slow fox"), edit("$forged", "$2", "forged", sender=BOB)))
    assert (ids(room.store, "slow"), ids(room.store, "brown"), ids(room.store, "forged")) == (["$1"], [], [])
    (found,) = room.store.search("slow fox")
    assert found.edited == {"msgtype": "m.text", "body": "a slow fox"}
    room.take(room.next.join(ROOM, redaction("$r", "$e")))
    assert (ids(room.store, "slow"), ids(room.store, "brown")) == ([], ["$1"])
    assert room.store.check() == []


@pytest.mark.parametrize("searched", [False, True], ids=["then", "before"])
def test_p38_what_is_decrypted_is_found(room: Feed, searched: bool) -> None:
    room.take(room.next.join(ROOM, encrypted("$x"), encrypted("$y")))
    if searched:
        assert ids(room.store, "hidden") == []
    room.store.attach_decrypted(ROOM, "$x", "m.room.message", {"body": "hidden"})
    room.store.attach_decrypted(ROOM, "$y", "m.reaction", {"body": "hidden"})
    assert ids(room.store, "hidden") == ["$x"]
    room.store.attach_decrypted(ROOM, "$x", "m.room.message", {"body": "bared"})
    assert (ids(room.store, "hidden"), ids(room.store, "bared")) == ([], ["$x"])
    room.take(room.next.join(ROOM, redaction("$r", "$x")))
    assert ids(room.store, "bared") == []
    assert room.store.check() == []


def words(sql: Sql) -> bytes:
    """All that the index holds, as it lies in its tables."""
    tables = sql("SELECT name FROM sqlite_schema WHERE name GLOB 'search_text*_data'")
    return b"".join(block for (table,) in tables for (block,) in sql(f"SELECT block FROM {table}"))


def test_p16_a_redacted_word_leaves_the_index_and_its_bytes(room: Feed, path: Path, sql: Sql) -> None:
    room.take(room.next.join(ROOM, message("$bad", "Unspeakable"), message("$good", "speakable")))
    assert ids(room.store, "unspeakable") == ["$bad"]
    assert b"unspeakable" in words(sql)
    room.take(room.next.join(ROOM, redaction("$r", "$bad")))
    assert b"unspeakable" not in words(sql)
    assert b"unspeakable" not in bytes_of(path).lower()
    assert ids(room.store, "unspeakable") == []
    assert ids(room.store, "speakable") == ["$good"]
    assert room.store.check() == []


def test_p16_a_word_leaves_whatever_the_shape_of_the_index(room: Feed, path: Path, sql: Sql) -> None:
    """FTS5 keeps the words of a deleted row as marks, and its `optimize` takes them away from some shapes only."""
    chance = random.Random(1)
    said: dict[str, str] = {}
    for turn in range(30):
        count = chance.choice((1, 1, 2, 50))
        new = {f"$t{turn}-{n}": f"w{chance.randrange(10**8, 10**9)}" for n in range(count)}
        more = [" ".join(str(chance.randrange(1000)) for _ in range(10)) for _ in new]
        texts = (message(id, f"{word} quick {rest}") for (id, word), rest in zip(new.items(), more, strict=True))
        room.take(room.next.join(ROOM, *texts))
        said |= new
        assert room.store.search("quick")
        if chance.random() < 0.6:
            gone = chance.choice(list(said))
            room.take(room.next.join(ROOM, redaction(f"$r{turn}", gone)))
            rest_of_word = said.pop(gone)[3:].encode()  # a term is kept without what it shares with the one before
            assert rest_of_word not in words(sql), turn
            assert rest_of_word not in bytes_of(path), turn


@pytest.mark.parametrize("later", ["a commit", "close", "another process"])
def test_p16_what_could_not_leave_at_once_leaves_later(
    room: Feed, path: Path, sql: Sql, monkeypatch: pytest.MonkeyPatch, later: str
) -> None:
    room.take(room.next.join(ROOM, message("$bad", "Unspeakable")))
    room.store.search("quick")
    with monkeypatch.context() as busy:
        busy.setattr("syncstore.walking.search.purge", lambda connections: False)
        room.take(room.next.join(ROOM, redaction("$r", "$bad")))
    assert b"unspeakable" in words(sql) and b"Unspeakable" not in bytes_of(path)
    if later == "a commit":
        room.take(room.next)
    elif later == "close":
        room.store.close()
    else:
        SyncStore.open(path).close()
    assert b"unspeakable" not in words(sql)
    assert later == "another process" or b"unspeakable" not in bytes_of(path).lower()


def test_p16_a_backup_has_no_words_that_still_wait_to_leave(
    room: Feed, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.take(room.next.join(ROOM, message("$bad", "Unspeakable")))
    room.store.search("quick")
    monkeypatch.setattr("syncstore.walking.search.purge", lambda connections: False)
    room.take(room.next.join(ROOM, redaction("$r", "$bad")))
    copy = path.with_name("copy.db")
    room.store.backup(copy)
    assert b"unspeakable" not in bytes_of(copy).lower()
    assert {one.name for one in path.parent.glob("copy*")} == {"copy.db"}
    with SyncStore.open(copy) as other:
        assert ids(other, "quick") == ["$4", "$3", "$1"]


def test_p38_a_purge_that_fails_fails_nothing_else(
    room: Feed, path: Path, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.1)
    with SyncStore.open(path) as other:  # waits no longer than that
        other.search("quick")
        with closing(sqlite3.connect(path, isolation_level=None)) as holder:
            holder.execute("UPDATE search_part SET stale = 1")
            holder.execute("BEGIN IMMEDIATE")
            other.close()
            assert sql("SELECT stale FROM search_part") == [(1,)]
    SyncStore.open(path).close()
    assert sql("SELECT stale FROM search_part") == [(0,)]


def encrypted_or_not(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def test_p38_forget_and_prune_leave_nothing_in_the_index(room: Feed, path: Path, sql: Sql) -> None:
    texts = [message(f"$u{n}", f"unspeakable {n}") for n in range(3)]
    room.take(room.next.join(OTHER, *texts, message("$last", "over"), prev_batch="p5", limited=True))
    assert len(ids(room.store, "unspeakable")) == 3
    room.store.prune(OTHER, keep=1)
    assert b"unspeakable" not in words(sql)
    assert len(ids(room.store, "unspeakable")) == len(sql("SELECT 1 FROM messages WHERE body LIKE 'unspeakable%'")) < 3
    assert room.store.check() == []
    room.take(room.next.join(OTHER, message("$again", "unspeakable again")))
    assert ids(room.store, "unspeakable")[0] == "$again"
    room.store.forget(OTHER)
    assert b"unspeakable" not in words(sql)
    assert ids(room.store, "unspeakable") == []
    assert room.store.check() == []
    room.store.close()
    assert b"unspeakable" not in bytes_of(path).lower()


def test_p38_numbers_that_are_given_again_are_indexed_again(room: Feed) -> None:
    room.take(room.next.join("!last:x.org", message("$z", "going"), state=[create("$cz")]))
    assert ids(room.store, "going") == ["$z"]
    room.store.forget("!last:x.org")
    room.take(room.next.join(ROOM, message("$new", "coming")))
    assert ids(room.store, "coming") == ["$new"]
    assert room.store.check() == []


def test_p38_odd_messages_break_no_search(room: Feed, sql: Sql) -> None:
    odd: list[Json] = [
        message("$nul", "odd\0body"),
        message("$surrogate", "odd \ud800"),
        event("$number", "m.room.message", {"body": 5}),
        event("$none", "m.room.message", {}),
        event("$empty", "m.room.message", {"body": ""}),
        event("$list", "m.room.message", {"body": ["odd"], "m.relates_to": "odd"}),
        event("$state", "m.room.message", {"body": "odd"}, state_key=""),
    ]
    room.take(room.next.join(ROOM, *odd, message("$plain", "odd")))
    assert ids(room.store, "odd") == ["$plain"]
    assert room.store.check() == []


def test_p38_what_has_no_place_in_a_timeline_is_not_found(room: Feed, path: Path) -> None:
    room.store.search("quick")
    plant(path, "UPDATE event SET segment = NULL, position = NULL WHERE event_id = '$1'")
    assert ids(room.store, "quick") == ["$4", "$3"]


def test_p38_who_only_reads_searches_what_is_indexed(room: Feed, path: Path) -> None:
    with SyncStore.open(path, read_only=True) as reader:
        with pytest.raises(StoreError, match="open it for writing once"):
            reader.search("quick")
        room.store.search("quick")
        assert ids(reader, "quick") == ["$4", "$3", "$1"]
        room.take(room.next.join(ROOM, redaction("$r", "$1")))
        with pytest.raises(StoreError, match="lacks"):
            reader.search("quick")


def test_p38_compact_and_backup(room: Feed, path: Path, sql: Sql) -> None:
    room.store.search("quick")
    copy = path.with_name("copy.db")
    room.store.backup(copy)
    with SyncStore.open(copy) as other:
        assert ids(other, "quick") == ["$4", "$3", "$1"]
        assert other.check() == []
    room.store.compact()
    assert sql("SELECT name FROM sqlite_schema WHERE name LIKE 'search%'") == []
    assert ids(room.store, "quick") == ["$4", "$3", "$1"]


def test_p38_only_what_messages_shows_is_found(room: Feed, sql: Sql) -> None:
    """Forged relations: an edit of itself, of an edit, of nothing, of what is no message."""
    room.take(
        room.next.join(
            ROOM,
            edit("$self", "$self", "forged"),
            edit("$second", "$self", "forged"),
            edit("$nowhere", "$none", "forged"),
            edit("$plain", "$x", "forged"),
            edit("$other", "$4", "forged"),  # of a message in another room
            edit("$note", "$state", "forged"),
            event("$state", "m.room.message", {"body": "forged"}, state_key=""),
            encrypted("$x"),
            _encrypted_edit("$y", "$x"),
        )
    )
    new = {"body": "* forged", "m.new_content": {"body": "forged"}}
    room.store.attach_decrypted(ROOM, "$y", "m.room.message", new)
    assert ids(room.store, "forged") == []  # nobody knows yet that $x is a message
    room.store.attach_decrypted(ROOM, "$x", "m.reaction", {})
    assert ids(room.store, "forged") == []
    room.store.attach_decrypted(ROOM, "$x", "m.room.message", {"body": "true"})
    assert ids(room.store, "forged") == ["$x"]
    assert sql("SELECT event_id FROM messages WHERE body LIKE '%forged%'") == [("$x",)]
    assert room.store.check() == []


def _encrypted_edit(id: str, of: str) -> Json:
    found = encrypted(id)
    return found | {"content": found["content"] | {"m.relates_to": {"rel_type": "m.replace", "event_id": of}}}


def test_p38_parts_are_filled_one_by_one(room: Feed, path: Path, sql: Sql) -> None:
    """An event whose number is at the edge of a part, and what comes after it."""
    number = sql("SELECT id FROM event WHERE event_id = '$4'")[0][0]
    plant(path, f"UPDATE event SET id = {2 * PART - 2} WHERE id = {number}")
    assert ids(room.store, "quick") == ["$4", "$3", "$1"]
    texts = [message(f"$n{n}", "quick and late", origin_server_ts=4 + n) for n in range(4)]
    room.take(room.next.join(ROOM, *texts, encrypted("$x")))
    assert ids(room.store, "quick") == ["$4", "$n3", "$n2", "$n1", "$n0", "$3", "$1"]
    assert ids(room.store, "quick", limit=3) == ["$4", "$n3", "$n2"]
    assert sql("SELECT number, upto, stale FROM search_part") == [
        (0, PART - 1, 0),
        (1, 2 * PART - 1, 0),
        (2, 2 * PART + 3, 0),
    ]
    room.store.attach_decrypted(ROOM, "$x", "m.room.message", {"body": "quick secret"})
    room.take(room.next.join(ROOM, redaction("$r", "$n0")))
    assert sql("SELECT number, upto FROM search_part WHERE upto < 0") == [(1, -1)]
    assert ids(room.store, "late") == ["$n3", "$n2", "$n1"]
    assert ids(room.store, "secret") == ["$x"]
    assert room.store.check() == []
    room.store.forget(ROOM)
    assert ids(room.store, "quick") == ["$4"]
    assert room.store.check() == []


def test_p38_check_is_not_misled_by_a_part_that_was_emptied(room: Feed) -> None:
    """Nor by one that was filled again. The connection that checks has searched before."""
    room.take(room.next.join(ROOM, *(message(f"$n{n}", "quick") for n in range(5))))
    for turn in range(3):
        room.store.search("quick")
        room.take(room.next.join(ROOM, message(f"$t{turn}", "quick")))
        room.store.search("quick")
        room.take(room.next.join(ROOM, redaction(f"$r{turn}", f"$n{turn}")))
        assert room.store.check() == []


def test_p38_what_nobody_searched_yet_costs_no_part(room: Feed, sql: Sql) -> None:
    room.store.search("quick")
    room.take(room.next.join(ROOM, message("$5", "quick"), encrypted("$x"), event("$6", "m.reaction", {})))
    room.store.attach_decrypted(ROOM, "$x", "m.room.message", {"body": "quick"})
    room.take(room.next.join(ROOM, redaction("$r5", "$5"), redaction("$rx", "$x")))
    assert sql("SELECT stale FROM search_part WHERE upto > 0") == [(0,)]
    room.store.search("quick")
    room.take(room.next.join(ROOM, redaction("$r6", "$6")))  # says nothing that could be found
    assert sql("SELECT stale FROM search_part WHERE upto > 0") == [(0,)]
    assert sql("SELECT * FROM search_late") == []


def test_p38_what_another_process_does_is_seen(room: Feed, path: Path) -> None:
    room.store.search("quick")
    with SyncStore.open(path) as other:
        feed = room.next.join(ROOM, redaction("$r", "$1"), message("$5", "quick too", origin_server_ts=7))
        other.apply(feed.done(), since=other.token)
    assert ids(room.store, "quick") == ["$4", "$5", "$3"]
    with SyncStore.open(path) as other:
        other.compact()
    assert ids(room.store, "quick") == ["$4", "$5", "$3"]


def test_p38_who_never_searches_has_no_index(room: Feed, sql: Sql) -> None:
    room.take(room.next.join(ROOM, encrypted("$x"), redaction("$r", "$1")))
    room.store.attach_decrypted(ROOM, "$x", "m.room.message", {"body": "hidden"})
    room.store.prune(keep=1)
    room.store.forget(OTHER)
    room.store.compact()
    assert room.store.check() == []
    room.store.close()
    assert sql("SELECT name FROM sqlite_schema WHERE name LIKE '%search%'") == []


def test_p38_the_index_tells_no_text_in_sql(room: Feed, sql: Sql) -> None:
    room.store.search("quick")
    assert sql("SELECT DISTINCT body FROM search_text_0") == [(None,)]


@pytest.mark.parametrize("operation", ["redacted", "rebind", "recover"])
def test_p38_search_goes_on_after(room: Feed, path: Path, operation: str) -> None:
    room.store.search("quick")
    if operation == "redacted":
        room.take(room.next.join(ROOM, redaction("$r", "$2")))
    elif operation == "rebind":
        room.store.rebind("NEW")
    room.store.close()
    if operation == "recover":
        new = path.with_name("new.db")
        SyncStore.recover(path, new)
        path = new
    with SyncStore.open(path) as store:
        assert ids(store, "quick") == ["$4", "$3", "$1"]
        assert store.check() == []


def test_p38_a_damaged_index_stops_no_sync(room: Feed, path: Path) -> None:
    room.store.search("quick")
    plant(path, "DELETE FROM search_text_0_data WHERE id = 10")
    with SyncStore.open(path) as store:
        with pytest.raises(CorruptStoreError, match="recover"):
            store.search("quick")
        assert [one for one in store.check() if "search" in one]
    room.take(room.next.join(ROOM, redaction("$r", "$1"), message("$5")))
    assert [one.event_id for one in room.store.events("$5")] == ["$5"]


def test_p38_a_sqlite_without_fts5_is_told(room: Feed, path: Path, monkeypatch: pytest.MonkeyPatch, sql: Sql) -> None:
    missing = module().OperationalError("no such module: fts5")

    def refuse(*_: object) -> None:
        raise missing

    monkeypatch.setattr(search, "_advance", refuse)
    with pytest.raises(StoreError, match="built without FTS5"):
        room.store.search("quick")
    assert sql("SELECT name FROM sqlite_schema WHERE name LIKE '%search%'") == []


WRONG = {
    "entries of the search index": "INSERT INTO search_text_0 (rowid, body) VALUES (1000, 'slow')",
    "messages are not in the search index": "DELETE FROM search_text_0_docsize WHERE id = 2",
}


@pytest.mark.parametrize("what", WRONG)
def test_p38_check_finds_an_index_that_says_something_else(room: Feed, path: Path, what: str) -> None:
    room.store.search("quick")
    assert room.store.check() == []
    plant(path, WRONG[what])
    assert [found for found in room.store.check() if what in found]

"""Search: what messages say now, and nothing that is gone (promise 38)."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncstore import SyncStore
from syncstore.errors import NotFoundError, StoreError
from tests.store.bodies import BOB, OTHER, ROOM, Json, create, event, message, page, redaction
from tests.store.conftest import Feed, Sql, bytes_of, plant
from tests.store.test_decryption import encrypted
from tests.store.test_relations import edit


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


def test_p16_a_redacted_word_leaves_the_index_and_its_bytes(room: Feed, path: Path) -> None:
    room.take(room.next.join(ROOM, message("$bad", "Unspeakable"), message("$good", "speakable")))
    assert ids(room.store, "unspeakable") == ["$bad"]
    room.take(room.next.join(ROOM, redaction("$r", "$bad")))
    assert ids(room.store, "unspeakable") == []
    assert ids(room.store, "speakable") == ["$good"]
    assert room.store.check() == []
    assert b"unspeakable" not in bytes_of(path).lower()


def test_p38_forget_and_prune_leave_nothing_in_the_index(room: Feed, path: Path, sql: Sql) -> None:
    texts = [message(f"$u{n}", f"unspeakable {n}") for n in range(3)]
    room.take(room.next.join(OTHER, *texts, message("$last", "over"), prev_batch="p5", limited=True))
    assert len(ids(room.store, "unspeakable")) == 3
    room.store.prune(OTHER, keep=1)
    assert len(ids(room.store, "unspeakable")) == len(sql("SELECT 1 FROM messages WHERE body LIKE 'unspeakable%'")) < 3
    assert room.store.check() == []
    room.store.forget(OTHER)
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


WRONG = {
    "entries of the search index": "UPDATE search_text SET body = 'slow' WHERE body = 'a quick note'",
    "messages are not in the search index": "DELETE FROM search_text WHERE body = 'a quick note'",
}


@pytest.mark.parametrize("what", WRONG)
def test_p38_check_finds_an_index_that_says_something_else(room: Feed, path: Path, what: str) -> None:
    room.store.search("quick")
    assert room.store.check() == []
    plant(path, WRONG[what])
    (found,) = room.store.check()
    assert what in found

"""Back-fill: a page and its token in one commit, and gaps that close only on proof (promises 10, 13 and 14)."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import pytest

from syncstore.errors import NotFoundError, WireError
from syncstore.model.records import Gap
from tests.store.bodies import ANN, BOB, ME, ROOM, create, member, message, name, page, redaction, topic
from tests.store.conftest import Feed, Sql
from tests.store.crowd import hold_gap

PLACES = "SELECT event_id FROM timeline ORDER BY segment, position"


@pytest.fixture
def gap(feed: Feed) -> Gap:
    """A hole between $a and $z: walked from p2, bounded by s1."""
    feed.take(feed.next.join(ROOM, message("$a0"), message("$a"), state=[create(), topic("$t", "T")], prev_batch=None))
    feed.take(feed.next.join(ROOM, message("$z"), limited=True, prev_batch="p2"))
    return feed.store.gaps()[0]


def closed(feed: Feed, sql: Sql) -> str:
    """The proof that closed the only gap; "" if it is open."""
    rows = sql("SELECT coalesce(reason, '') FROM gap WHERE status = 'closed'")
    assert len(rows) + len(feed.store.gaps()) == 1
    return str(rows[0][0]) if rows else ""


def test_p13_a_page_moves_its_gap_s_token(feed: Feed, gap: Gap, sql: Sql) -> None:
    done = feed.store.apply_page(gap, "p2", page(message("$y"), message("$x"), end="q1"))
    assert (done.added, done.discarded) == (2, False)
    now = feed.store.gaps()[0]
    assert (now.prev_batch, now.since, now.newest_before, now.oldest_after, now.attempts) == ("q1", "s1", "$a", "$x", 1)
    assert sql(PLACES) == [("$a0",), ("$a",), ("$x",), ("$y",), ("$z",)]


@pytest.mark.parametrize("body", [page(message("$y"), end="q9"), page(message("$y")), page()])
def test_p13_a_page_of_another_token_is_discarded(feed: Feed, gap: Gap, sql: Sql, body: bytes) -> None:
    feed.store.apply_page(gap, "p2", page(message("$x"), end="q1"))
    before, seq = sql("SELECT * FROM gaps"), feed.store.seq
    assert feed.store.apply_page(gap, "p2", body).discarded
    assert (sql("SELECT * FROM gaps"), feed.store.seq) == (before, seq)
    assert ("$y",) not in sql(PLACES)


def test_p13_a_page_for_a_closed_gap_is_discarded(feed: Feed, gap: Gap, sql: Sql) -> None:
    feed.store.apply_page(gap, "p2", page())
    assert feed.store.apply_page(gap, "p2", page(message("$y"), end="q")).discarded
    assert feed.store.gap(gap.id) is None
    with pytest.raises(NotFoundError):
        feed.store.room("!none:example.org")


def test_p13_one_request_per_gap_at_a_time_across_processes(feed: Feed, gap: Gap, path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        with feed.store.lease_gap(gap, 60) as row:
            assert row is not None
            assert pool.apply(hold_gap, (str(path), ROOM)) is False
        assert pool.apply(hold_gap, (str(path), ROOM)) is True


def test_p13_a_lease_ends_by_itself_and_is_its_owner_s(feed: Feed, gap: Gap) -> None:
    with feed.store.lease_gap(gap, 0.001) as first:
        time.sleep(0.01)
        second = feed.store.lease_gap(gap, 60)
        assert first is not None and second.__enter__() is not None
    with feed.store.lease_gap(gap, 60) as third:  # the first one's end has not freed the second's
        assert third is None
    second.__exit__(None, None, None)


def test_p14_a_page_without_end_closes(feed: Feed, gap: Gap, sql: Sql) -> None:
    feed.store.apply_page(gap, "p2", page(message("$y")))
    assert closed(feed, sql)
    assert sql(PLACES)[-2:] == [("$y",), ("$z",)]


def test_p14_the_older_token_closes(feed: Feed, gap: Gap, sql: Sql) -> None:
    feed.store.apply_page(gap, "p2", page(message("$y"), end="s1"))
    assert closed(feed, sql)


def test_p14_an_empty_page_that_goes_nowhere_closes(feed: Feed, gap: Gap, sql: Sql) -> None:
    feed.store.apply_page(gap, "p2", page(end="p2"))
    assert closed(feed, sql)


def test_p14_an_empty_page_with_another_end_goes_on(feed: Feed, gap: Gap, sql: Sql) -> None:
    feed.store.apply_page(gap, "p2", page(end="q1"))
    assert closed(feed, sql) == ""
    assert feed.store.gaps()[0].prev_batch == "q1"


def test_p14_a_page_with_events_and_the_same_end_is_an_error(feed: Feed, gap: Gap, sql: Sql) -> None:
    feed.store.apply_page(gap, "p2", page(message("$y"), end="p2"))
    assert closed(feed, sql) == ""
    assert [(one.status, bool(one.reason)) for one in feed.store.gaps()] == [("unreachable", True)]
    assert ("$y",) in sql(PLACES)


def test_p14_a_known_event_alone_is_no_proof(feed: Feed, gap: Gap, sql: Sql) -> None:
    for asked, end in (("p2", "q1"), ("q1", "q2")):
        feed.store.apply_page(gap, asked, page(message(f"${end}"), message("$a"), end=end))
    feed.store.apply_page(gap, "q2", page(message("$late"), message("$a0"), end="q3"))
    assert closed(feed, sql) == ""
    assert ("$late",) in sql(PLACES)


def test_p14_a_whole_known_page_before_the_older_end_is_met_is_no_proof(feed: Feed, gap: Gap, sql: Sql) -> None:
    feed.store.apply_page(gap, "p2", page(message("$a0"), end="q1"))
    assert closed(feed, sql) == ""


def test_p14_one_further_whole_known_page_closes_by_overlap(feed: Feed, gap: Gap, sql: Sql) -> None:
    feed.store.apply_page(gap, "p2", page(message("$y"), message("$a"), end="q1"))
    assert closed(feed, sql) == ""
    feed.store.apply_page(gap, "q1", page(message("$a0"), end="q2"))
    assert "overlap" in closed(feed, sql)


def test_p14_create_closes_only_before_the_first_segment(feed: Feed, gap: Gap, sql: Sql) -> None:
    feed.store.apply_page(gap, "p2", page(create(), end="q1"))
    assert closed(feed, sql) == ""
    feed.store.forget(ROOM)
    feed.take(feed.next.join(ROOM, message("$a"), prev_batch="p1"))
    first = feed.store.gaps()[0]
    feed.store.apply_page(first, "s3", page(message("$b"), create(), end="q1"))
    assert feed.store.gaps() == []


def test_p14_a_body_that_is_no_page_is_refused(feed: Feed, gap: Gap) -> None:
    for body in (b"{}", b"[]", b"<html>", b'{"chunk": 5}', b'{"chunk": [], "end": 5}'):
        with pytest.raises(WireError):
            feed.store.apply_page(gap, "p2", body)
    assert feed.store.gaps() == [gap]


def test_p10_state_in_a_page_never_touches_the_pile(feed: Feed, gap: Gap, sql: Sql) -> None:
    before = sql("SELECT * FROM state"), sql("SELECT * FROM state_history"), sql("SELECT name, topic FROM rooms")
    old = [
        name("$old_name", "Old"),
        topic("$old_topic", "Old"),
        member("$old_me", ME, "ban"),
        member("$b", BOB, "join"),
    ]
    feed.store.apply_page(gap, "p2", page(*old, topic("$t", "T"), end="q1"))
    assert (
        sql("SELECT * FROM state"),
        sql("SELECT * FROM state_history"),
        sql("SELECT name, topic FROM rooms"),
    ) == before
    assert sql("SELECT source FROM events WHERE event_id = '$old_name'") == [("messages",)]
    assert sql("SELECT membership FROM rooms") == [("join",)]


def test_p10_a_redaction_found_in_a_page_strips(feed: Feed, gap: Gap, sql: Sql) -> None:
    feed.store.apply_page(gap, "p2", page(redaction("$r", "$t"), redaction("$r2", "$a"), end="q1"))
    assert feed.store.room(ROOM).topic is None
    assert sql("SELECT event_id FROM messages ORDER BY 1") == [("$a0",), ("$z",)]


def test_p05_a_bad_event_in_a_page_is_set_aside(feed: Feed, gap: Gap, sql: Sql) -> None:
    feed.store.apply_page(gap, "p2", page(message("$y"), message("$bad", sender=5), end="q1"))
    assert sql("SELECT room_id, section, event_id FROM quarantine") == [(ROOM, "messages", "$bad")]
    assert sql("SELECT kind, event_count, quarantined_count FROM batch ORDER BY id DESC LIMIT 1") == [("page", 1, 1)]


def test_an_unreachable_gap_can_be_tried_again(feed: Feed, gap: Gap) -> None:
    feed.store.give_up_gap(gap, "the server says no")
    assert [(one.status, one.reason) for one in feed.store.gaps()] == [("unreachable", "the server says no")]
    feed.store.apply_page(gap, "p2", page(message("$y", sender=ANN), end="q1"))
    assert [(one.status, one.reason) for one in feed.store.gaps()] == [("open", None)]


def test_p14_what_comes_again_after_a_gap_was_closed_changes_nothing(feed: Feed, gap: Gap, sql: Sql) -> None:
    feed.store.apply_page(gap, "p2", page())
    before = sql(PLACES)
    feed.take(feed.next.join(ROOM, message("$z"), prev_batch=None))
    assert (sql(PLACES), feed.store.gaps()) == (before, [])


def test_p13_a_limited_sync_while_a_page_is_under_way(feed: Feed, gap: Gap, sql: Sql) -> None:
    """The page lands before its own segment; the new gap is untouched."""
    feed.take(feed.next.join(ROOM, message("$new"), limited=True, prev_batch="p3"))
    newest = feed.store.gaps()[0]
    feed.store.apply_page(gap, "p2", page(message("$y")))
    assert [row[0] for row in sql(PLACES)][-3:] == ["$y", "$z", "$new"]
    assert feed.store.gap(newest.id) == newest
    assert feed.store.check() == []


def test_p14_a_farewell_s_own_events_are_no_overlap(feed: Feed, sql: Sql) -> None:
    """They lie after the older end: a server that heeds `to` pages through them, and late events stand below."""
    feed.take(feed.next.join(ROOM, message("$a"), state=[create()], prev_batch=None))
    last = [message(f"$l{number}") for number in range(3)]
    feed.take(feed.next.leave(ROOM, *last, member("$bye", ME, "leave"), prev_batch="p2"))
    feed.take(feed.next.join(ROOM, member("$back", ME, "join"), limited=True, prev_batch="p3"))
    gap = feed.store.gaps()[0]
    token = str(sql("SELECT walk FROM gap WHERE id = ?", gap.id)[0][0])
    for number, event in enumerate([member("$bye", ME, "leave"), *reversed(last), message("$late")]):
        feed.store.apply_page(gap, token, page(event, end=f"q{number}"))
        token = f"q{number}"
        assert feed.store.gap(gap.id) is not None
    assert sql("SELECT segment IS NOT NULL FROM events WHERE event_id = '$late'") == [(1,)]
    for number in range(2):  # a server that ignores `to` goes on to what we knew before
        feed.store.apply_page(gap, token, page(message("$a"), end=f"r{number}"))
        token = f"r{number}"
    assert feed.store.gap(gap.id) is None


def test_p13_a_page_of_before_the_end_was_doubted_is_discarded(feed: Feed, gap: Gap, sql: Sql) -> None:
    feed.store.apply_page(gap, "p2", page(message("$y"), end="q"))
    feed.store.apply_page(gap, "q", page())
    done = feed.store.apply_page(gap, "p2", page(message("$y"), end="q"))
    assert done.discarded and feed.store.gap(gap.id) is not None
    feed.store.apply_page(gap, "p2", page(message("$y"), end="q"), again=True)
    assert closed(feed, sql)


def test_p14_after_a_new_login_what_was_known_before_lies_beyond(feed: Feed, sql: Sql) -> None:
    """So that the gap of the first sync over an old store closes by overlap too."""
    feed.take(feed.next.join(ROOM, message("$a"), message("$b"), state=[create()], prev_batch=None))
    feed.store.rebind("OTHER")
    feed.take(feed.next.join(ROOM, message("$z"), limited=True, prev_batch="p2"), since=None)
    gap = feed.store.gaps()[0]
    token = str(sql("SELECT walk FROM gap WHERE id = ?", gap.id)[0][0])
    for number, event in enumerate([message("$z"), message("$b"), message("$a")]):
        assert feed.store.gap(gap.id) is not None
        feed.store.apply_page(gap, token, page(event, end=f"q{number}"))
        token = f"q{number}"
    assert feed.store.gap(gap.id) is None

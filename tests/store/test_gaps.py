"""Where holes are recorded, with both ends (promise 12)."""

from __future__ import annotations

import pytest

from tests.store.bodies import ANN, ME, ROOM, create, member, message, page, topic
from tests.store.conftest import Feed, Sql

GAPS = "SELECT kind, prev_batch, since, newest_before, oldest_after, status FROM gaps ORDER BY segment"
WALKS = "SELECT walk FROM gap ORDER BY segment"
RUNS = "SELECT group_concat(event_id, ' ') FROM (SELECT * FROM timeline ORDER BY segment, position) GROUP BY segment"


def begin(feed: Feed) -> None:
    """A room whose beginning is known: nothing is missing before $a."""
    feed.take(feed.next.join(ROOM, message("$a"), state=[create()], prev_batch=None))


def test_p12_a_first_sight_has_a_gap_until_the_beginning_is_reached(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, message("$a"), prev_batch="p1"))
    assert sql(GAPS) == [("start", "p1", None, None, "$a", "open")]
    assert sql(WALKS) == [("s1",)]  # by topology: from the response's own end


@pytest.mark.parametrize(("limited", "gaps"), [(False, 0), (True, 1)])
def test_p12_without_prev_batch_the_beginning_is_reached_unless_limited(
    feed: Feed, sql: Sql, limited: bool, gaps: int
) -> None:
    feed.take(feed.next.join(ROOM, message("$a"), prev_batch=None, limited=limited))
    assert len(sql(GAPS)) == gaps
    assert sql("SELECT gap_count FROM rooms") == [(gaps,)]


def test_p12_a_first_sight_without_a_timeline_is_no_beginning(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, told=False))
    assert sql(GAPS) == [("start", None, None, None, None, "open")]


def test_p12_limited_opens_a_gap_with_both_ends(feed: Feed, sql: Sql) -> None:
    begin(feed)
    feed.take(feed.next.join(ROOM, message("$b"), limited=True, prev_batch="p2"))
    assert sql(GAPS) == [("limited", "p2", "s1", "$a", "$b", "open")]
    assert sql(WALKS) == [("p2",)]
    assert sql(RUNS) == [("$a",), ("$b",)]


def test_p12_any_number_of_gaps_and_nothing_older_dropped(feed: Feed, sql: Sql) -> None:
    begin(feed)
    for number in range(2, 6):
        feed.take(feed.next.join(ROOM, message(f"${number}"), limited=True, prev_batch=f"p{number}"))
    assert sql(GAPS) == [
        ("limited", f"p{n}", f"s{n - 1}", f"${n - 1}" if n > 2 else "$a", f"${n}", "open") for n in range(2, 6)
    ]
    assert sql("SELECT count(*) FROM timeline") == [(5,)]
    assert len({row[0] for row in sql("SELECT segment FROM timeline")}) == 5


def test_p12_contiguous_timelines_have_no_gap(feed: Feed, sql: Sql) -> None:
    begin(feed)
    feed.take(feed.next)
    feed.take(feed.next.join(ROOM, message("$b")))
    feed.take(feed.next.join(ROOM, told=False))
    feed.take(feed.next.join(ROOM, message("$c")))
    assert (sql(GAPS), sql(RUNS)) == ([], [("$a $b $c",)])


def test_p12_a_limited_timeline_that_holds_the_newest_event_joins_on(feed: Feed, sql: Sql) -> None:
    begin(feed)
    feed.take(feed.next.join(ROOM, message("$a"), message("$b"), limited=True))
    assert (sql(GAPS), sql(RUNS)) == ([], [("$a $b",)])


def test_p12_an_older_known_event_does_not_join_on(feed: Feed, sql: Sql) -> None:
    begin(feed)
    feed.take(feed.next.join(ROOM, message("$b")))
    feed.take(feed.next.join(ROOM, message("$a"), message("$c"), limited=True))
    assert [row[0] for row in sql(GAPS)] == ["limited"]


def test_p12_a_state_block_never_joins_on(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, topic("$t", "T"), prev_batch=None))
    feed.take(feed.next.join(ROOM, message("$b"), state=[topic("$t", "T")], limited=True))
    assert [row[0] for row in sql(GAPS)] == ["limited"]


def test_p12_an_empty_limited_timeline_is_a_gap(feed: Feed, sql: Sql) -> None:
    begin(feed)
    feed.take(feed.next.join(ROOM, limited=True, prev_batch="p2"))
    assert sql(GAPS) == [("limited", "p2", "s1", "$a", None, "open")]
    feed.take(feed.next.join(ROOM, message("$b")))
    assert sql(GAPS) == [("limited", "p2", "s1", "$a", "$b", "open")]


def test_p12_two_empty_limited_timelines_are_two_gaps(feed: Feed, sql: Sql) -> None:
    begin(feed)
    feed.take(feed.next.join(ROOM, limited=True, prev_batch="p2"))
    feed.take(feed.next.join(ROOM, limited=True, prev_batch="p3"))
    assert [row[:3] for row in sql(GAPS)] == [("limited", "p2", "s1"), ("limited", "p3", "s2")]


def test_p12_limited_without_prev_batch_has_a_null_token(feed: Feed, sql: Sql) -> None:
    begin(feed)
    feed.take(feed.next.join(ROOM, message("$b"), limited=True, prev_batch=None))
    assert sql(GAPS) == [("limited", None, "s1", "$a", "$b", "open")]
    assert sql(WALKS) == [(None,)]


def leave(feed: Feed) -> None:
    feed.take(feed.next.leave(ROOM, member("$out", ME, "leave"), prev_batch="left"))


@pytest.mark.parametrize("limited", [False, True])
def test_p12_a_rejoin_is_after_an_absence_whatever_limited_says(feed: Feed, sql: Sql, limited: bool) -> None:
    begin(feed)
    leave(feed)
    feed.take(feed.next.join(ROOM, member("$in", ME, "join"), limited=limited, prev_batch="p3"))
    assert sql(GAPS) == [("absence", "p3", "left", "$out", "$in", "open")]
    assert sql(WALKS) == [("s3",)]


def test_p12_events_sent_while_only_invited_are_behind_a_gap(feed: Feed, sql: Sql) -> None:
    """Down to where we left: the second leave entry did not continue, so its prev_batch bounds nothing."""
    begin(feed)
    leave(feed)
    feed.take(feed.next.invite(ROOM))
    feed.take(feed.next.leave(ROOM, member("$no", ME, "leave"), prev_batch="p4"))
    assert sql(GAPS) == [("absence", "p4", "left", "$out", "$no", "open")]
    feed.take(feed.next.join(ROOM, member("$in", ME, "join"), prev_batch="p5"))
    assert [row[:3] for row in sql(GAPS)] == [("absence", "p4", "left"), ("absence", "p5", "left")]


def test_p12_an_invite_seen_from_the_joined_room_keeps_the_coverage(feed: Feed, sql: Sql) -> None:
    """Left and invited between two syncs, and the server told of the invite only."""
    begin(feed)
    feed.take(feed.next.invite(ROOM))
    feed.take(feed.next)
    feed.take(feed.next.join(ROOM, message("$b"), prev_batch="p4"))
    assert sql(GAPS) == [("absence", "p4", "s1", "$a", "$b", "open")]


def test_p12_a_snapshot_over_an_old_store_proves_no_contiguity(feed: Feed, sql: Sql) -> None:
    begin(feed)
    feed.snapshot(feed.next.join(ROOM, message("$a"), message("$late"), message("$b"), prev_batch="p2"))
    assert sql(GAPS) == [("absence", "p2", "s1", "$a", "$late", "open")]
    assert sql(WALKS) == [("s2",)]
    assert sql(RUNS) == [("$a",), ("$late $b",)]
    feed.take(feed.next.join(ROOM, message("$c")))
    assert sql(RUNS) == [("$a",), ("$late $b $c",)]


def test_p12_a_room_that_a_snapshot_lacks_was_covered_until_then(feed: Feed, sql: Sql) -> None:
    begin(feed)
    feed.snapshot(feed.next)
    feed.take(feed.next.join(ROOM, message("$b"), prev_batch="p3"))
    assert sql(GAPS) == [("absence", "p3", "s1", "$a", "$b", "open")]


def test_p12_a_request_with_an_older_since_is_after_an_absence(feed: Feed, sql: Sql) -> None:
    """`since` decides, not `held`: this answer repeats what is known and may lack what came between."""
    begin(feed)
    feed.take(feed.next.join(ROOM, message("$b")))
    feed.take(feed.next.join(ROOM, message("$b"), message("$c"), prev_batch="p3"), since="s1")
    assert sql(GAPS) == [("absence", "p3", "s2", "$b", "$c", "open")]


def test_p12_after_leaving_the_leave_entry_s_prev_batch_is_the_bound(feed: Feed, sql: Sql) -> None:
    begin(feed)
    feed.take(feed.next.leave(ROOM, message("$x"), member("$out", ME, "leave"), limited=True, prev_batch="left"))
    assert sql(GAPS) == [("limited", "left", "s1", "$a", "$x", "open")]
    feed.take(feed.next.join(ROOM, member("$in", ME, "join"), prev_batch="p3"))
    assert sql(GAPS)[1] == ("absence", "p3", "left", "$out", "$in", "open")


def test_p12_a_leave_entry_that_tells_nothing_keeps_the_coverage(feed: Feed, sql: Sql) -> None:
    begin(feed)
    feed.take(feed.next.leave(ROOM, told=False))
    feed.take(feed.next.join(ROOM, member("$in", ME, "join", sender=ANN), prev_batch="p3"))
    assert [row[2] for row in sql(GAPS)] == ["s1"]


def test_p12_a_timeline_with_the_whole_state_unasked_does_not_continue(feed: Feed, sql: Sql) -> None:
    """Left and back between two syncs: the server took us for newly joined, and what it lists proves nothing."""
    begin(feed)
    token = feed.store.token
    again = [create(), member("$back", ME, "join")]
    feed.take(feed.next.join(ROOM, message("$out"), message("$z"), state=again, limited=True, prev_batch="p9"))
    gap = feed.store.gaps()[0]
    assert (gap.kind, gap.since, gap.prev_batch) == ("absence", token, "p9")
    assert sql("SELECT walk FROM gap WHERE id = ?", gap.id) == [(feed.store.token,)]


def test_p12_the_whole_state_that_was_asked_for_continues(feed: Feed, sql: Sql) -> None:
    begin(feed)
    before = len(feed.store.gaps())
    feed.take(feed.next.join(ROOM, message("$z"), state=[create(), member("$me", ME, "join")]), full_state=True)
    assert len(feed.store.gaps()) == before


def test_p12_a_farewell_listed_by_topology_bounds_nothing(feed: Feed) -> None:
    """Its prev_batch is no moment: the coverage reaches only to where it did before."""
    begin(feed)
    token = feed.store.token
    feed.snapshot(feed.next.leave(ROOM, message("$z"), member("$bye", ME, "leave"), limited=True, prev_batch="t5-9"))
    feed.take(feed.next.join(ROOM, member("$back", ME, "join"), limited=True, prev_batch="p7"))
    assert feed.store.gaps()[0].since == token


def test_p12_filled_history_is_no_newest_event(feed: Feed, sql: Sql) -> None:
    """A segment without a live event: what back-fill brought into it does not join a later timeline on."""
    feed.take(feed.next.join(ROOM, message("$a"), prev_batch=None))
    feed.take(feed.next.join(ROOM, limited=True, prev_batch="p"))
    feed.store.apply_page(feed.store.gaps()[0], "p", page(message("$late"), end="q"))
    assert sql("SELECT segment, position FROM timeline WHERE event_id = '$late'") == [(2 << 20, -1)]
    feed.take(feed.next.join(ROOM, message("$late"), message("$z"), limited=True, prev_batch="r"))
    assert [gap.prev_batch for gap in feed.store.gaps()] == ["r", "q"]

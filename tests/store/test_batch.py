"""One response, one transaction; the row that tells of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncstore.errors import WireError
from tests.store import rich
from tests.store.bodies import ROOM, message
from tests.store.conftest import Feed, Sql


def test_p01_a_body_without_next_batch_writes_nothing(feed: Feed, path: Path) -> None:
    feed.take(rich.first(feed.next))
    before = rich.contents(path)
    body = rich.second(feed.next)
    del body.json["next_batch"]
    for broken in (body.done(), b"[]", b"", b"nonsense", body.done()[:-5], b'{"next_batch": 5}'):
        with pytest.raises(WireError):
            feed.store.apply(broken)
    assert rich.contents(path) == before


def test_p01_batches_tells_what_each_sync_brought(feed: Feed, sql: Sql) -> None:
    feed.take(rich.first(feed.next), fetch_ms=12)
    feed.take(rich.second(feed.next), full_state=True)
    columns = "since, next_batch, initial, full_state, fetch_ms, event_count, known_count, quarantined_count, form"
    assert sql(f"SELECT {columns} FROM batches ORDER BY batch") == [
        (None, "s1", 1, 0, 12, 9, 0, 0, "v3"),
        ("s1", "s2", 0, 1, None, 5, 0, 1, "v3"),
    ]
    assert sql(
        "SELECT count(*) FROM batches WHERE body_bytes > 100 AND apply_ms >= 0 AND received_at LIKE '20__-%Z'"
    ) == [(2,)]


def test_p01_an_idle_poll_moves_the_token_and_adds_no_row(feed: Feed, sql: Sql) -> None:
    feed.take(rich.first(feed.next))
    seq = feed.store.seq
    applied = feed.take(feed.next.key("device_one_time_keys_count", {}).key("device_unused_fallback_key_types", []))
    applied = feed.take(feed.next.key("device_one_time_keys_count", {}))
    assert applied.batch is None
    assert feed.store.token == "s3"
    assert feed.store.seq == seq + 1  # the first counts that a server tells are news
    assert sql("SELECT next_batch FROM account") == [("s3",)]


def test_applied_counts_what_was_new(feed: Feed) -> None:
    feed.take(feed.next.join(ROOM, message("$a")))
    applied = feed.take(feed.next.join(ROOM, message("$a"), message("$b"), message("$c", sender=5)))
    assert (applied.rooms, applied.events, applied.new_events, applied.quarantined) == (1, 2, 1, 1)


def test_touched_notes_rows_that_are_gone(feed: Feed, sql: Sql) -> None:
    """Where nothing is left of a row, the change feed still hears of it."""
    feed.take(feed.next.invite(ROOM))
    applied = feed.take(feed.next.leave(ROOM))
    assert ("invite_state",) in sql("SELECT what FROM touched WHERE batch = ?", applied.batch)
    forgotten = feed.store.seq
    feed.store.forget(ROOM)
    assert sql("SELECT what FROM touched WHERE batch > ?", forgotten) == [("room",)]

"""compact: space goes back to the disk, and redacted bytes are gone from file and WAL (promises 16 and 26)."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncstore.errors import StoreLockedError
from syncstore.store import connection
from tests.store.bodies import ROOM, create, message, redaction
from tests.store.conftest import Feed, bytes_of

SECRET = "SECRET-TEXT"


def test_p26_compact_gives_space_back(feed: Feed, path: Path) -> None:
    feed.take(feed.next.join(ROOM, *(message(f"$m{n}", "x" * 1000) for n in range(500)), state=[create()]))
    feed.take(feed.next.join(ROOM, message("$last"), limited=True, prev_batch="p"))
    feed.store.prune(keep=1)
    before, after = feed.store.compact()
    assert after < before / 3 and after == path.stat().st_size
    assert not bytes_of(path).count(b"x" * 1000)
    assert feed.store.check() == []


def test_p26_redacted_bytes_are_gone_though_a_reader_was_in_the_way(
    feed: Feed, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed.take(feed.next.join(ROOM, message("$m", SECRET), state=[create()]))
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.1)
    with feed.store.read() as reader:
        assert reader.rooms()
        feed.take(feed.next.join(ROOM, redaction("$r", "$m")))
        assert SECRET.encode() in bytes_of(path)
    feed.store.compact()
    assert SECRET.encode() not in bytes_of(path)


def test_p26_compact_says_who_is_in_the_way(feed: Feed, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feed.take(feed.next.join(ROOM, message("$m"), state=[create()]))
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.1)
    feed.store.compact()  # from here on the writer waits no longer than that
    with feed.store.read() as reader:
        assert reader.rooms()
        feed.take(feed.next.join(ROOM, message("$n")))
        with pytest.raises(StoreLockedError, match="try again"):
            feed.store.compact()
    feed.store.compact()
    assert feed.store.check() == []

"""Memory of a first sync grows with its body and no faster; a store is read without loading it.

`make bench` measures 200 MB and a million events. Here it is less: what does not grow with the body (64 MiB of page
cache, and some) is allowed as it is, and a second copy of the body, or of its events, would not fit.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.memory import MB, first_sync, open_large
from benchmarks.workload import USER, long_account
from syncstore import SyncStore


def test_a_first_sync_holds_its_body_once() -> None:
    body, grown = first_sync(40 * MB)
    assert body >= 40 * MB
    assert grown < body + 90 * MB


def test_a_store_is_opened_and_shown_without_being_loaded(tmp_path: Path) -> None:
    path = tmp_path / "large.db"
    with SyncStore.open(path, user_id=USER) as store:
        for response in long_account(100, 30_000):
            store.apply(response)
        assert store.info().events >= 30_000
    assert open_large(path) < 20 * MB

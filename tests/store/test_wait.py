"""Waiting for another batch, by whatever thread or process it comes."""

from __future__ import annotations

import multiprocessing
import threading
import time
from pathlib import Path

from syncstore import SyncStore
from tests.store.bodies import ROOM, Body, message
from tests.store.crowd import apply_one


def one(token: str, id: str) -> bytes:
    return Body(token).join(ROOM, message(id)).done()


def test_wait_ends_when_a_thread_applies(store: SyncStore) -> None:
    threading.Timer(0.2, lambda: store.apply(one("s1", "$a"))).start()
    started = time.monotonic()
    assert store.wait(0, 20) == 1
    assert time.monotonic() - started < 5


def test_wait_ends_when_another_process_applies(store: SyncStore, path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=apply_one, args=(str(path), one("s1", "$a")))
    process.start()
    assert store.wait(0, 30) == 1
    process.join()
    assert store.room(ROOM).latest_event_id == "$a"


def test_wait_gives_up_in_time_and_never_waits_for_what_is_there(store: SyncStore) -> None:
    store.apply(one("s1", "$a"))
    started = time.monotonic()
    assert store.wait(0, 20) == 1
    assert store.wait(store.seq, 0) is None
    assert store.wait(store.seq, 0.3) is None
    assert 0.25 < time.monotonic() - started < 3


def test_an_idle_poll_wakes_nobody(store: SyncStore) -> None:
    store.apply(one("s1", "$a"))
    store.apply(b'{"next_batch": "s2"}')
    assert store.wait(1, 0) is None

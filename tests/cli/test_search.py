from __future__ import annotations

import json
from pathlib import Path

from . import bodies
from .conftest import Run, refused


def _said(out: str) -> list[str]:
    return [line.split("  ", 3)[3] for line in out.splitlines()]


def test_the_newest_last_with_room_and_sender(store: Path, run: Run) -> None:
    (line,) = run("search", "later").out.splitlines()
    assert line.split("  ") == ["1970-01-01 00:00:01Z", bodies.ROOM, bodies.BOB, "later"]
    assert _said(run("search", "hel*", "c").out) == ["hello a\\x1b[2J\\x1b]0;t\\x07\\u202eb\\x9b\\nc"]
    found = _said(run("search", "l*").out)
    assert found == ["later"]


def test_json_is_an_event_each(store: Path, run: Run) -> None:
    out = run("search", "HELLO", "--json").out
    (found,) = json.loads(out)
    assert (found["event_id"], found["content"]["body"]) == ("$m1", f"hello {bodies.NASTY}")
    assert out.isascii()


def test_of_one_room_and_no_more_than_asked(store: Path, run: Run) -> None:
    assert len(_said(run("search", "hello", "--room", bodies.ROOM).out)) == 1
    assert run("search", "hello", "--room", bodies.LEFT).out == ""
    assert "!none" in refused(run("search", "hello", "--room", "!none:x.org"))
    assert len(_said(run("search", "l*", "--limit", 1).out)) == 1
    assert run("search", "l*", "--limit", 0).code == 2


def test_nothing_found_is_no_failure(store: Path, run: Run) -> None:
    done = run("search", "4711")  # it was redacted
    assert (done.code, done.out, done.err) == (0, "", "")
    assert json.loads(run("search", "4711", "--json").out) == []


def test_words_without_a_letter_are_wrong_usage(store: Path, run: Run) -> None:
    done = run("search", "!?")
    assert done.code == 2 and "letters or digits" in done.err and "Traceback" not in done.err
    assert run("search").code == 2


def test_a_store_that_does_not_exist_is_not_made(path: Path, run: Run) -> None:
    refused(run("search", "hello"))
    assert not path.exists()

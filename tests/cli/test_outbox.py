"""Sending and following from the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from syncstore import SyncStore

from . import bodies
from .conftest import ROOT, Run, refused


def test_a_message_is_queued_shown_and_cancelled(store: Path, run: Run) -> None:
    queued = run("send", bodies.ROOM, "no \x1b[31m network").out.split()[-1]
    assert run("timeline", bodies.ROOM).out.splitlines()[-1].endswith("no \\x1b[31m network (on its way)")
    (row,) = json.loads(run("outbox", "--json").out)
    assert (row["transaction_id"], row["state"], row["content"]["body"]) == (queued, "queued", "no \x1b[31m network")
    assert queued in run("outbox", bodies.ROOM).out
    assert run("retry", queued).code == 0
    assert run("cancel", queued).out == "cancelled 1\n"
    assert json.loads(run("outbox", "--json").out) == []
    assert "is not in the outbox" in refused(run("cancel", queued))
    assert "no room" in refused(run("send", "nowhere", "x"))


def test_watch_prints_what_another_process_changes_until_it_is_interrupted(store: Path) -> None:
    command = [sys.executable, "-m", "syncstore", "-s", str(store), "watch", "--json"]
    with SyncStore.open(store) as other:
        since = other.last_change
        command += ["--since", str(since)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert child.stdout is not None
        try:
            queued = other.room(bodies.ROOM).send_text("x")
            seen = json.loads(child.stdout.readline())
        finally:
            child.send_signal(signal.SIGINT)
        child.stdout.close()
    assert (seen["kind"], seen["op"], seen["key"], seen["seq"]) == ("outbox", "add", queued.transaction_id, since + 1)
    assert child.wait(10) == 0

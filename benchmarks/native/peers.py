"""The native peers: how each is built and run, and what it keeps."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clock import PHASES, Times

_HERE = Path(__file__).parent
RUN = _HERE.parents[1] / ".run" / "native"


@dataclass(frozen=True)
class Peer:
    """A small program around somebody's library.

    tool: what builds it. build: the command, run in `source`. program: what that makes, under RUN.
    versions, keeps: for people. database: the file that it makes in the folder it is given. counts: what it is asked.
    """

    tool: str
    source: Path
    build: tuple[str, ...]
    program: str
    versions: str
    keeps: str
    database: str
    counts: dict[str, str]


PEERS = {
    "hicli": Peer(
        tool="go",
        source=_HERE / "hicli",
        build=("go", "build", "-trimpath", "-tags", "goolm", "-o", str(RUN / "hicli"), "."),
        program="hicli",
        versions="gomuks 0.2601.0, mautrix-go 0.26.2, go-sqlite3 1.14.33",
        keeps="""is gomuks' core, in Go. It keeps each event's content, current state, timelines, a user's newest
            receipt in a room, the token: one transaction per batch, WAL, synchronous NORMAL. Beyond us it counts
            reactions and unread messages itself, cleans HTML and lists media. It drops what it does not know of an
            event (beside its content, and within unsigned), the server's counts, gaps (a limited timeline empties the
            room's, and a room has one prev_batch), what state replaced, and rooms that were left. Much of its time goes
            into preparing statements, each anew.""",
        database="gomuks.db",
        counts={
            "rooms": "SELECT count(*) FROM room",
            "members": "SELECT count(*) FROM current_state WHERE event_type = 'm.room.member'",
            "current state": "SELECT count(*) FROM current_state",
            "receipts": "SELECT count(*) FROM receipt",
            "events": "SELECT count(*) FROM event",
            "in timelines": "SELECT count(*) FROM timeline",
        },
    ),
    "matrix-sdk-base": Peer(
        tool="cargo",
        source=_HERE / "rust",
        build=("cargo", "build", "--release", "--target-dir", str(RUN / "rust")),
        program="rust/release/native-peer",
        versions="matrix-sdk-base and matrix-sdk-sqlite 0.18.0, ruma 0.16.0",
        keeps="""is the core of matrix-rust-sdk over matrix-sdk-sqlite, in Rust, without encryption. It keeps a summary
            of each room, current state, members and their names, a user's newest receipt in a room, the token: one
            transaction per batch, WAL, synchronous FULL. Beyond us it judges events by push rules. It drops timelines:
            messages and reactions are decoded and handed on, and only the event cache of matrix-sdk, a layer above and
            not measured here, would store them; nor does it keep gaps or what state replaced.""",
        database="matrix-sdk-state.sqlite3",
        counts={
            "rooms": "SELECT count(*) FROM room_info",
            "members": "SELECT count(*) FROM member",
            "current state": "SELECT count(*) FROM state_event",
            "receipts": "SELECT count(*) FROM receipt",
        },
    ),
}


def installed(peer: Peer) -> bool:
    """Whether the tool that builds it is there."""
    return shutil.which(peer.tool) is not None


def built(peer: Peer) -> str:
    """Build a peer where it is not built already; returns its tool's version. Exits if it does not build."""
    RUN.mkdir(parents=True, exist_ok=True)
    if subprocess.run(peer.build, cwd=peer.source, check=False, env={**os.environ, "CGO_ENABLED": "1"}).returncode:
        sys.exit(f"{peer.source.name}: `{' '.join(peer.build)}` failed in {peer.source}")
    asked = (peer.tool, "version") if peer.tool == "go" else (peer.tool, "--version")
    return subprocess.run(asked, cwd=peer.source, check=True, capture_output=True, text=True).stdout.strip()


def run(peer: Peer, bodies: Path) -> tuple[Times, dict[str, int]]:
    """Feed a new store of a peer's. Returns times and counts; RuntimeError with its words if it failed."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([RUN / peer.program, bodies, folder], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{peer.program}: {done.stderr}")
        times = json.loads(done.stdout)
        with closing(sqlite3.connect(Path(folder) / peer.database)) as db:
            counts = {what: db.execute(query).fetchone()[0] for what, query in peer.counts.items()}
    return {phase: (times[phase][0], times[phase][1]) for phase in PHASES}, counts

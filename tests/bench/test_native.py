"""The native peers get the workload byte by byte, and the table tells of each. No Go and no Rust is needed here."""

from __future__ import annotations

import struct
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.clock import PHASES
from benchmarks.native import compare, peers
from benchmarks.native.bodies import write
from benchmarks.workload import Size, bodies

TINY = Size(rooms=3, members=4, messages=2, batches=5)
NAMES = ("hicli", "matrix-sdk-base")
# In the place of a peer's program: it makes a database of as many rooms as the first body has, and prints times.
_STAND_IN = f"""#!{sys.executable}
import json, sqlite3, struct, sys
file = open(sys.argv[1], "rb")
(length,) = struct.unpack(">Q", file.read(8))
db = sqlite3.connect(sys.argv[2] + "/it.db")
db.execute("CREATE TABLE room AS SELECT key FROM json_each(?, '$.rooms.join')", [file.read(length).decode()])
db.commit()
print(json.dumps({{"first sync": [2, 4], "small batches": [1, 2], "both": [3, 6]}}))
"""


def _split(data: bytes) -> list[bytes]:
    found = []
    while data:
        (length,) = struct.unpack_from(">Q", data)
        found.append(data[8 : 8 + length])
        data = data[8 + length :]
    return found


def test_bodies_come_back_as_they_were(tmp_path: Path) -> None:
    made = [*bodies(TINY), b"", "\N{SNOWMAN}".encode()]
    write(tmp_path / "bodies", made)
    assert _split((tmp_path / "bodies").read_bytes()) == made
    assert len(made) == TINY.batches + 3


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> peers.Peer:
    """A peer that Python builds and that is a script; it stands in for both."""
    program = tmp_path / "program"
    program.write_text(_STAND_IN)
    program.chmod(0o755)
    peer = peers.Peer(
        tool=sys.executable,
        source=tmp_path,
        build=(sys.executable, "-c", "pass"),
        program="program",
        versions="it 1.0",
        keeps="keeps rooms.",
        database="it.db",
        counts={"rooms": "SELECT count(*) FROM room", "members": "SELECT 4 * count(*) FROM room"},
    )
    for module in (peers, compare):
        monkeypatch.setattr(module, "RUN", tmp_path)
    monkeypatch.setattr(compare, "PEERS", dict.fromkeys(NAMES, peer))
    return peer


@pytest.mark.usefixtures("stand_in")
def test_the_table_tells_of_each() -> None:
    measured = compare.measure(2, TINY)
    assert measured.missing == []
    text = compare.section(measured.result)
    for name in NAMES:
        assert text.count(f" | {name} | ") == len(PHASES) * 2
        assert f"- **{name}** (it 1.0, Python " in text
    assert text.count("keeps rooms. Held: 3 rooms, 12 members.") == 2
    assert "| first sync | wall | hicli | 4.00 | " in text


def test_a_tool_that_is_missing_is_named(stand_in: peers.Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = replace(stand_in, tool="no-such-tool")
    monkeypatch.setattr(compare, "PEERS", {"hicli": stand_in, "matrix-sdk-base": absent})
    measured = compare.measure(1, TINY)
    assert measured.missing == ["matrix-sdk-base: install no-such-tool"]
    assert {one["runner"] for one in measured.result["rows"]} == {"syncstore", "hicli"}
    monkeypatch.setattr(compare, "PEERS", dict.fromkeys(NAMES, absent))
    with pytest.raises(SystemExit) as stopped:
        compare.measure(1, TINY)
    told = str(stopped.value.code).splitlines()
    assert told == [f"not measured: {name}: install no-such-tool" for name in NAMES]


def test_a_peer_that_did_not_take_it_all_is_no_peer(stand_in: peers.Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    short = replace(stand_in, counts={"rooms": "SELECT count(*) FROM room", "members": "SELECT 11"})
    monkeypatch.setattr(compare, "PEERS", {"hicli": short})
    with pytest.raises(RuntimeError, match="hicli did not take the workload"):
        compare.measure(1, TINY)


def test_a_peer_that_does_not_build_is_named(stand_in: peers.Peer) -> None:
    with pytest.raises(SystemExit, match=" failed in "):
        peers.built(replace(stand_in, build=(sys.executable, "-c", "raise SystemExit(1)")))

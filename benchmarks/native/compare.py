"""CPU and wall seconds of syncstore and of the native peers, in turn, each in a fresh process, on the same bytes."""

from __future__ import annotations

import sys

from benchmarks.clock import PHASES, Times
from benchmarks.native.bodies import write
from benchmarks.native.peers import PEERS, RUN, built, installed, run
from benchmarks.page import Json, Measured, prose
from benchmarks.runs import RUNNERS, alone
from benchmarks.speed import OURS, row, table
from benchmarks.workload import Size, bodies

_INTRO = """
    The same bytes ({rounds} rounds, the runners in turn, each in a fresh process and a fresh file) through the stores
    of two clients that are compiled to machine code, by small programs of ours (`benchmarks/native`), each store with
    its own defaults. CPU is that of all threads. They do not do the same work: what each leaves out stands below.
"""


def measure(rounds: int, size: Size = Size()) -> Measured:  # noqa: B008 (frozen)
    """Build the peers whose tools are installed and run everybody `rounds` times, interleaved. Exits if none is."""
    ready = {name: peer for name, peer in PEERS.items() if installed(peer)}
    missing = [f"{name}: install {peer.tool}" for name, peer in PEERS.items() if name not in ready]
    if not ready:
        sys.exit("\n".join(f"not measured: {one}" for one in missing))
    tools = {name: built(peer) for name, peer in ready.items()}
    file = RUN / "bodies.bin"
    write(file, bodies(size))
    found: dict[str, list[Times]] = {name: [] for name in (OURS, *ready)}
    counts: Json = {}
    for number in range(rounds):
        if sys.stderr.isatty():
            print(f"\rround {number + 1} of {rounds}\r", end="", file=sys.stderr, flush=True)
        found[OURS].append(alone(RUNNERS[OURS], size))
        for name, peer in ready.items():
            times, counts[name] = run(peer, file)
            found[name].append(times)
            _check(name, counts[name], size)
    rows = [row(phase, at, name, found) for phase in PHASES for at in range(2) for name in found]
    versions = {name: f"{peer.versions}, {tools[name]}" for name, peer in ready.items()}
    keeps = {name: peer.keeps for name, peer in ready.items()}
    result = {"rounds": rounds, "rows": rows, "counts": counts, "versions": versions, "keeps": keeps}
    return Measured(result, [], missing)


def _check(name: str, counts: dict[str, int], size: Size) -> None:
    """A peer that did not take the workload has no times to compare."""
    if (counts["rooms"], counts["members"]) != (size.rooms, size.rooms * size.members):
        raise RuntimeError(f"{name} did not take the workload: {counts}")


def section(result: Json) -> str:
    """The table of seconds and ratios, and what each keeps."""
    lines = ["## Native peers", "", prose(_INTRO.format(rounds=result["rounds"])), "", *table(result["rows"])]
    lines += ["", "What each does with it, and what its file held at the end:", ""]
    for name, keeps in result["keeps"].items():
        held = ", ".join(f"{number:,} {what}" for what, number in result["counts"][name].items())
        lines.append(prose(f"**{name}** ({result['versions'][name]}) {keeps} Held: {held}.", "- "))
    return "\n".join(lines)

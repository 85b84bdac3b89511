"""CPU and wall seconds of syncstore and of the native peers, in turn, each in a fresh process, on the same bytes."""

from __future__ import annotations

import sys

from benchmarks.clock import PHASES, Times
from benchmarks.native import bodies, peers
from benchmarks.page import Json, Measured, prose
from benchmarks.runs import RUNNERS, alone
from benchmarks.speed import OURS, row, table
from benchmarks.workload import Size
from benchmarks.workload import bodies as workload

_INTRO = """
    The same bytes ({rounds} rounds, the runners in turn, each in a fresh process and a fresh file) through two stores
    whose languages compile to machine code. CPU is that of all threads. Only what a store keeps can be compared: what
    each leaves out stands below.
"""


def measure(rounds: int, size: Size = Size()) -> Measured:  # noqa: B008 (frozen)
    """Build both peers and run everybody `rounds` times, interleaved. Exits with a line for each tool that is missing."""
    if lines := peers.missing():
        sys.exit("\n".join(lines))
    tools = {name: peers.built(peer) for name, peer in peers.PEERS.items()}
    file = peers.RUN / "bodies.bin"
    bodies.write(file, workload(size))
    found: dict[str, list[Times]] = {name: [] for name in (OURS, *peers.PEERS)}
    counts: Json = {}
    for number in range(rounds):
        print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
        found[OURS].append(alone(RUNNERS[OURS], size))
        for name, peer in peers.PEERS.items():
            times, counts[name] = peers.run(peer, file)
            found[name].append(times)
            _whole(name, counts[name], size)
    print(file=sys.stderr)
    rows = [row(phase, at, name, found) for phase in PHASES for at in range(2) for name in found]
    versions = {name: f"{peer.versions}; {tools[name]}" for name, peer in peers.PEERS.items()}
    keeps = {name: peer.keeps for name, peer in peers.PEERS.items()}
    return Measured({"rounds": rounds, "rows": rows, "counts": counts, "versions": versions, "keeps": keeps}, [])


def _whole(name: str, counts: dict[str, int], size: Size) -> None:
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

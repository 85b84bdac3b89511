"""`python -m benchmarks`: CPU and wall seconds of syncstore and of the floor, in turn, each in a fresh process.

Prints a table of medians and the median of the ratios pair by pair; --json prints the same as JSON. Nothing here passes
or fails: noise of the machine shows in the smallest and largest ratio.
"""

from __future__ import annotations

import argparse
import json
import statistics

from benchmarks.runs import PHASES, Times, alone, run_floor, run_syncstore
from benchmarks.workload import Size


def main() -> None:
    """Run the pairs and print what they took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--pairs", type=int, default=7, help="how many times each runs (default 7)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    pairs = [(alone(run_syncstore, Size()), alone(run_floor, Size())) for _ in range(options.pairs)]
    rows = [_row(phase, kind, at, pairs) for phase in PHASES for at, kind in enumerate(("cpu", "wall"))]
    if options.json:
        print(json.dumps({"pairs": options.pairs, "rows": rows}, indent=1))
        return
    print(f"{'phase':<14} {'time':<5} {'syncstore':>10} {'floor':>8} {'ratio':>6}   (smallest … largest)")
    for row in rows:
        print(
            f"{row['phase']:<14} {row['time']:<5} {row['syncstore_s']:>9.2f}s {row['floor_s']:>7.2f}s"
            f" {row['ratio']:>6.2f}   ({row['smallest']:.2f} … {row['largest']:.2f})"
        )


def _row(phase: str, kind: str, at: int, pairs: list[tuple[Times, Times]]) -> dict[str, str | float]:
    ours, floors = ([one[which][phase][at] for one in pairs] for which in (0, 1))
    ratios = [our / floor for our, floor in zip(ours, floors, strict=True)]
    return {
        "phase": phase,
        "time": kind,
        "syncstore_s": statistics.median(ours),
        "floor_s": statistics.median(floors),
        "ratio": statistics.median(ratios),
        "smallest": min(ratios),
        "largest": max(ratios),
    }


if __name__ == "__main__":
    main()

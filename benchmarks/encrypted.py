"""`python -m benchmarks.encrypted`: what encryption at rest costs, against the same store without it, in turn.

Prints medians of CPU and wall seconds, the median of the ratios pair by pair, and what opening a store takes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.clock import PHASES, Times
from benchmarks.runs import RUNNERS, Runner, alone, timed
from benchmarks.workload import USER, Size
from syncstore import SyncStore

_PASSPHRASE = "benchmark"


def run_encrypted(path: Path, workload: list[bytes]) -> Times:
    """Feed a new encrypted store."""
    with SyncStore.open(path, user_id=USER, passphrase=_PASSPHRASE) as store:
        return timed(store.apply, workload)


def opening(passphrase: str | None) -> tuple[float, float]:
    """Milliseconds of CPU to open a store, and to connect one reader more."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        SyncStore.open(path, user_id=USER, passphrase=passphrase).close()
        marks = [time.process_time()]
        with SyncStore.open(path, passphrase=passphrase) as store:
            marks.append(time.process_time())
            with store.read() as one, store.read() as two:
                assert one.seq == two.seq == 0
            marks.append(time.process_time())
    return (marks[1] - marks[0]) * 1000, (marks[2] - marks[1]) * 1000


def main() -> None:
    """Run the pairs and print what they took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encrypted", description=__doc__)
    parser.add_argument("--pairs", type=int, default=5, help="how many times each runs (default 5)")
    pairs = parser.parse_args().pairs
    encrypted = Runner(run_encrypted, "sqlcipher3", "keeps what syncstore keeps, encrypted")
    runs = [(alone(encrypted, Size()), alone(RUNNERS["syncstore"], Size())) for _ in range(pairs)]
    print(f"{'phase':<14} {'time':<5} {'encrypted':>10} {'plain':>8} {'ratio':>6}   (smallest … largest)")
    for phase in PHASES:
        for at, kind in enumerate(("cpu", "wall")):
            ours, plain = ([one[which][phase][at] for one in runs] for which in (0, 1))
            ratios = [our / other for our, other in zip(ours, plain, strict=True)]
            print(
                f"{phase:<14} {kind:<5} {statistics.median(ours):>9.2f}s {statistics.median(plain):>7.2f}s"
                f" {statistics.median(ratios):>6.2f}   ({min(ratios):.2f} … {max(ratios):.2f})"
            )
    for what, at in (("open a store", 0), ("two readers more", 1)):
        ours, plain = ([opening(one)[at] for _ in range(pairs)] for one in (_PASSPHRASE, None))
        print(f"{what:<20} {statistics.median(ours):>8.1f}ms {statistics.median(plain):>6.1f}ms (cpu)")


if __name__ == "__main__":
    main()

"""`python -m benchmarks [NAME …]`: measure, print tables and bars; with --keep write docs/performance.md as well.

Nothing here passes or fails: whether a bar is met is printed as the numbers say it.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from benchmarks.machine import machine
from benchmarks.page import SECTIONS, Measured, keep, section


def main() -> None:
    """Run the benchmarks that are named, by default the one of speed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", default=["speed"], metavar="NAME", help=", ".join(SECTIONS))
    parser.add_argument("--rounds", type=int, default=7, help="how many times each is measured (default 7)")
    parser.add_argument("--keep", action="store_true", help="write docs/performance/NAME.json and docs/performance.md")
    options = parser.parse_args()
    for name in options.names:
        if name not in SECTIONS:
            parser.error(f"{name} is no benchmark: {', '.join(SECTIONS)}")
    for name in options.names:
        measured: Measured = import_module(f"benchmarks.{name}").measure(options.rounds)
        print(section(name, measured.result))
        for bar in measured.bars:
            print(bar)
        for one in measured.missing:
            print(f"not measured: {one}")
        print()
        if options.keep and measured.missing:
            sys.exit(f"{name}: not kept, for something is missing")
        if options.keep:
            command = f"python -m benchmarks {name} --rounds {options.rounds} --keep"
            keep(name, measured, command, machine())


if __name__ == "__main__":
    main()

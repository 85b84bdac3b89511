"""CPU and wall seconds of syncstore, of the floor and of its peers, in turn, each in a fresh process."""

from __future__ import annotations

import statistics
import sys
from importlib.util import find_spec

from benchmarks.clock import PHASES, Times
from benchmarks.page import Bar, Json, Measured, prose
from benchmarks.runs import RUNNERS, alone
from benchmarks.workload import Size

OURS = "syncstore"
_TIMES = ("cpu", "wall")
_BARS = (
    # phase, runner, limit, and which ratio: the runner's time over ours at least (True), ours over the runner's at most
    ("first sync", "floor", 1.25, False),
    ("small batches", "floor", 1.25, False),
    ("both", "matrix-nio", 5, True),
    ("both", "mautrix", 3.5, True),
)


def measure(rounds: int, size: Size = Size()) -> Measured:  # noqa: B008 (frozen)
    """Run every runner `rounds` times, interleaved: A, B, C, A, B, C."""
    runners = {name: runner for name, runner in RUNNERS.items() if find_spec(runner.needs)}
    found: dict[str, list[Times]] = {name: [] for name in runners}
    for number in range(rounds):
        for name, runner in runners.items():
            if sys.stderr.isatty():
                print(f"\rround {number + 1} of {rounds}: {name:<12}\r", end="", file=sys.stderr, flush=True)
            found[name].append(alone(runner, size))
    rows = [row(phase, at, name, found) for phase in PHASES for at in range(2) for name in runners]
    bars = [_bar(phase, name, limit, least, rows) for phase, name, limit, least in _BARS if name in runners]
    missing = [f"{name}: install `.[bench]`" for name in RUNNERS if name not in runners]
    keeps = {name: runner.keeps for name, runner in runners.items()}
    return Measured({"rounds": rounds, "keeps": keeps, "rows": rows}, bars, missing)


def row(phase: str, at: int, name: str, found: dict[str, list[Times]]) -> Json:
    """Seconds of one runner, and how often ours fits into them, round by round."""
    theirs, ours = ([one[phase][at] for one in found[who]] for who in (name, OURS))
    return {
        "phase": phase,
        "time": _TIMES[at],
        "runner": name,
        "seconds": _three(theirs),
        "ours_over": _three([our / their for our, their in zip(ours, theirs, strict=True)]),
        "over_ours": _three([their / our for our, their in zip(ours, theirs, strict=True)]),
    }


def _three(values: list[float]) -> Json:
    rounded = (round(value, 4) for value in (statistics.median(values), min(values), max(values)))
    return dict(zip(("median", "smallest", "largest"), rounded, strict=True))


def _bar(phase: str, name: str, limit: float, at_least: bool, rows: list[Json]) -> Bar:
    which = "over_ours" if at_least else "ours_over"
    row = next(row for row in rows if (row["phase"], row["time"], row["runner"]) == (phase, "cpu", name))
    of = f"{name} / {OURS}" if at_least else f"{OURS} / {name}"
    return Bar(f"CPU of {_PHASE_NAMES[phase]}, {of}", row[which]["median"], limit, "", at_least)


_PHASE_NAMES = {"first sync": "the first sync", "small batches": "1,000 small batches", "both": "both together"}


_INTRO = """
    One account, fixed and seeded, fed as bytes: a first sync of 200 rooms of 200 members, then 1,000 batches of 10
    events, 54,000 events in all (`benchmarks/workload.py`). {rounds} rounds, the runners in turn, each in a fresh
    process. Timed is what becomes of the bytes, decoding included; imports, opening and the making of the workload are
    not.
"""


def section(result: Json) -> str:
    """The table of seconds and ratios, and what each keeps."""
    lines = ["## Speed", "", prose(_INTRO.format(rounds=result["rounds"])), "", *table(result["rows"])]
    lines += ["", "What each does with it:", ""]
    lines += [prose(f"**{name}** {keeps}", "- ") for name, keeps in result["keeps"].items()]
    return "\n".join(lines)


def table(rows: list[Json]) -> list[str]:
    """The rows that `row` made, as lines of Markdown."""
    lines = [
        "| phase | time | runner | seconds | runner / syncstore | syncstore / runner |",
        "|---|---|---|---:|---:|---:|",
    ]
    for one in rows:
        both = ["", ""] if one["runner"] == OURS else [_ratio(one[key]) for key in ("over_ours", "ours_over")]
        seconds = f"{one['seconds']['median']:.2f}"
        lines.append(f"| {' | '.join([one['phase'], one['time'], one['runner'], seconds, *both])} |")
    return lines


def _ratio(three: Json) -> str:
    return f"{three['median']:.2f} ({three['smallest']:.2f} … {three['largest']:.2f})"

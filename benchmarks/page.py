"""docs/performance.md, made of the JSON files in docs/performance: one of each benchmark, `<name>.json`.

A benchmark is a module `benchmarks.<name>`, named in SECTIONS, with these functions:

    measure(rounds: int) -> Measured       measures, and prints nothing but progress
    section(result: Json) -> str           Markdown from `Measured.result`, from its heading on
    draw(result: Json, folder: Path)       if it has plots: PNG files beside the JSON files

It may import at its top only what `.[test]` installs: a test renders the page in an environment that has no more.
"""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

Json = dict[str, Any]
DOCS = Path(__file__).parents[1] / "docs"
# In the order of the page.
SECTIONS = ("speed", "growth", "readers", "memory", "loop", "start", "disk", "native")

_HEAD = """# Performance

Written by the benchmarks from their JSON files in [performance](performance), not by hand. `make bench` measures anew.
A ratio is the median of the ratios round by round; the smallest and the largest stand beside it in brackets.
"""


@dataclass(frozen=True)
class Bar:
    """One promise in numbers: `measured` is at most, or at least, `limit`. unit: printed after both."""

    what: str
    measured: float
    limit: float
    unit: str = ""
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        return f"{self.what}: {self.measured:.2f}{self.unit}, bar {sign} {self.limit:g}{self.unit}: {_verdict(self)}"


@dataclass(frozen=True)
class Measured:
    """What a benchmark found. result: plain JSON, all that its section needs. missing: what cannot be measured here."""

    result: Json
    bars: list[Bar]
    missing: list[str] = field(default_factory=list)


def keep(name: str, measured: Measured, command: str, machine: Json, docs: Path = DOCS) -> None:
    """Write a benchmark's JSON file, and the page anew."""
    bars = [asdict(bar) for bar in measured.bars]
    told = {"command": command, "machine": machine, "bars": bars, "result": measured.result}
    folder = docs / "performance"
    folder.mkdir(exist_ok=True)
    text = json.dumps(told, indent=1, ensure_ascii=False)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    draw = getattr(import_module(f"benchmarks.{name}"), "draw", None)
    if draw is not None:
        draw(measured.result, folder)
    write(docs)


def write(docs: Path = DOCS) -> None:
    """Write the page anew: `python -m benchmarks.page` after a section's words have changed, or JSON files came."""
    (docs / "performance.md").write_text(page(docs), encoding="utf-8")


def page(docs: Path = DOCS) -> str:
    """The page that the JSON files make."""
    found = [(name, docs / "performance" / f"{name}.json") for name in SECTIONS]
    told = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in found if path.exists()}
    parts = [_HEAD, _bars(told), *(_section(name, one) for name, one in told.items())]
    return "\n".join(parts)


def prose(text: str, first: str = "") -> str:
    """A paragraph of the page, or with `first="- "` an item of a list."""
    return textwrap.fill(
        " ".join(text.split()),
        120,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )


def section(name: str, result: Json) -> str:
    """One benchmark's part of the page."""
    text: str = import_module(f"benchmarks.{name}").section(result)
    return text.rstrip() + "\n"


def _section(name: str, told: Json) -> str:
    machine = told["machine"]
    where = f"{machine['processor']}, {machine['memory']}, {machine['system']}"
    what = f"{machine['python']}, SQLite {machine['sqlite']}, {machine['libraries']}"
    measured = prose(f"Measured by `{told['command']}` on {where}; {what}.")
    return f"{section(name, told['result'])}\n{measured}\n"


def _bars(told: dict[str, Json]) -> str:
    rows = ["## The bars", "", "| what | measured | bar | |", "|---|---:|---:|---|"]
    for one in told.values():
        for bar in (Bar(**values) for values in one["bars"]):
            sign = "≥" if bar.at_least else "≤"
            measured, limit = f"{bar.measured:.2f}{bar.unit}", f"{sign} {bar.limit:g}{bar.unit}"
            rows.append(f"| {bar.what} | {measured} | {limit} | {_verdict(bar)} |")
    return "\n".join(rows) + "\n"


def _verdict(bar: Bar) -> str:
    return "met" if bar.met else "**missed**"


if __name__ == "__main__":
    write()

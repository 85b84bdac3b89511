"""`python -m benchmarks.growth_page FILE`: docs/growth.png, from what `benchmarks.growth --json FILE` wrote."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"


def draw(rows: list[dict[str, Any]], target: Path) -> None:
    """One panel for each operation: milliseconds of ours and of the same SQL by hand, both axes by powers of ten."""
    from matplotlib.figure import Figure  # type: ignore[import-not-found,unused-ignore]
    from matplotlib.ticker import NullFormatter, StrMethodFormatter  # type: ignore[import-not-found,unused-ignore]

    operations = list(dict.fromkeys(row["operation"] for row in rows))
    figure = Figure(figsize=(12, 7), layout="constrained")
    for at, operation in enumerate(operations):
        axes = figure.add_subplot(2, 3, at + 1)
        found = [row for row in rows if row["operation"] == operation]
        sizes = [row["events"] for row in found]
        for key, name, mark in (("ours_ms", "syncstore", "o-"), ("by_hand_ms", "same SQL by hand", "s--")):
            axes.plot(sizes, [row[key] for row in found], mark, label=name)
        axes.set_xscale("log")
        axes.set_yscale("log")
        most, least = max(row["ours_ms"] for row in found), min(row["by_hand_ms"] for row in found)
        axes.set_ylim(least / 5, most * 5)
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_title(operation)
        axes.set_xlabel("stored events, in 1,000 rooms")
        axes.set_ylabel("CPU time, milliseconds")
        axes.grid(True, which="major", alpha=0.4)
        axes.legend(fontsize="small")
    figure.savefig(target, dpi=100)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text())["rows"], DOCS / "growth.png")

"""Bars are judged by their own numbers, and the page is written from what was kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import disk, start
from benchmarks.machine import machine
from benchmarks.page import Bar, keep, page
from benchmarks.workload import Size


@pytest.mark.parametrize(
    ("measured", "limit", "at_least", "met"),
    [(1.25, 1.25, False, True), (1.26, 1.25, False, False), (5, 5, True, True), (4.99, 5, True, False)],
)
def test_a_bar_is_met_or_missed(measured: float, limit: float, at_least: bool, met: bool) -> None:
    bar = Bar("one", measured, limit, " MB", at_least)
    assert bar.met is met
    assert str(bar).endswith(": met" if met else ": **missed**")


def test_what_is_kept_is_on_the_page(tmp_path: Path) -> None:
    found = start.measure(1)
    keep("start", found, "python -m benchmarks start", machine(), tmp_path)
    told = json.loads((tmp_path / "performance" / "start.json").read_text(encoding="utf-8"))
    assert told["result"] == found.result
    text = (tmp_path / "performance.md").read_text(encoding="utf-8")
    assert text == page(tmp_path)
    assert "## Start" in text
    assert "Measured by `python -m benchmarks start` on " in text
    assert f"| {found.bars[0].measured:.2f} | ≤ 1.3 | " in text
    assert "## Disk" not in text


def test_disk_counts_what_came_and_what_stays() -> None:
    found = disk.stored("few", Size(rooms=3, members=3, messages=2, batches=4))
    assert found["file_bytes"] % 4096 == 0
    assert found["ratio"] == pytest.approx(found["file_bytes"] / found["json_bytes"], rel=0.01)
    assert "| default: few | " in disk.section({"default": found})

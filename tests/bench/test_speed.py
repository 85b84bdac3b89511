"""Every runner that is installed takes the workload, and the table tells of each."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from benchmarks.clock import PHASES
from benchmarks.page import Json
from benchmarks.runs import RUNNERS, alone
from benchmarks.speed import measure, section
from benchmarks.workload import Size

TINY = Size(rooms=4, members=5, messages=3, batches=3)
# The peers are in the extra `bench`, not in `test`.
INSTALLED = [name for name, runner in RUNNERS.items() if find_spec(runner.needs)]


@pytest.mark.parametrize("name", INSTALLED)
def test_a_runner_takes_the_workload(name: str) -> None:
    times = alone(RUNNERS[name], TINY)
    assert tuple(times) == PHASES
    for cpu, wall in times.values():
        assert cpu > 0
        assert wall > 0
    for kind in range(2):
        assert times["both"][kind] == pytest.approx(times["first sync"][kind] + times["small batches"][kind])


@pytest.fixture(scope="module")
def result() -> Json:
    measured = measure(rounds=2, size=TINY)
    assert [one.partition(":")[0] for one in measured.missing] == [name for name in RUNNERS if name not in INSTALLED]
    assert [bar.measured > 0 for bar in measured.bars] == [True] * len(INSTALLED)
    return measured.result


def test_ratios_are_of_the_same_round_and_go_both_ways(result: Json) -> None:
    assert len(result["rows"]) == len(PHASES) * 2 * len(INSTALLED)
    for row in result["rows"]:
        over, under = row["over_ours"], row["ours_over"]
        assert over["smallest"] <= over["median"] <= over["largest"]
        assert over["smallest"] * under["largest"] == pytest.approx(1, rel=0.05)
        if row["runner"] == "syncstore":
            assert set(over.values()) == {1.0}


def test_the_section_has_a_row_for_each(result: Json) -> None:
    text = section(result)
    for name in INSTALLED:
        assert text.count(f" | {name} | ") == len(PHASES) * 2
        assert f"- **{name}** " in text

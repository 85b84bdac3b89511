"""The benchmark of event loops measures what it says."""

from __future__ import annotations

from benchmarks import loop


def test_a_loop_beats_while_an_account_is_stored() -> None:
    beats, median, p99, longest = loop.waits(loop.MB)
    assert beats > 1
    assert median <= p99 <= longest
    told = loop.section({"mb": 1, "rounds": 1, "median_ms": 0.1, "p99_ms": 4.0, "longest_ms": 5.5})
    assert "by 4.0 ms at most" in told

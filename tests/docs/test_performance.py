"""docs/performance.md is what its JSON files make, and each of them has its section."""

from __future__ import annotations

from benchmarks.page import DOCS, SECTIONS, page


def test_the_page_is_what_the_measurements_make() -> None:
    assert (DOCS / "performance.md").read_text(encoding="utf-8") == page()


def test_every_measurement_has_a_section() -> None:
    files = {path.stem for path in (DOCS / "performance").glob("*.json")}
    assert files
    assert files <= set(SECTIONS)

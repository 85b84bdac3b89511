"""docs/invariants.md names every promise and exactly the files whose tests hold it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_LAST = 38
_TEXT = (ROOT / "docs" / "invariants.md").read_text(encoding="utf-8")
_PROMISES = {int(number): text for number, text in re.findall(r"^(\d+)\. (.*?)(?=^\d+\. |\Z)", _TEXT, re.M | re.S)}


def _holding(number: int) -> set[str]:
    """The files with tests of this promise."""
    name = re.compile(rf"^def test_p{number:02d}_", re.M)
    found = (path for path in (ROOT / "tests").rglob("test_*.py") if name.search(path.read_text(encoding="utf-8")))
    return {path.relative_to(ROOT).as_posix() for path in found}


def test_all_are_there() -> None:
    assert list(_PROMISES) == list(range(1, _LAST + 1))


@pytest.mark.parametrize("number", range(1, _LAST + 1))
def test_each_names_the_files_that_hold_it(number: int) -> None:
    named = set(re.findall(r"`(tests/[^`]+\.py)`", _PROMISES[number].partition("Tests:")[2]))
    assert _holding(number), f"no test holds promise {number}"
    assert _holding(number) <= named, "a file with tests of this promise is not named"
    assert all((ROOT / name).is_file() for name in named)

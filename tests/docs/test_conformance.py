"""docs/conformance.md: every demand has a test that exists, or a reason why it does not apply."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_TEXT = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
_ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\| *\d.*$", _TEXT, re.M)]
_TEST = r"`(tests/[\w/]+\.py)::(test_\w+)`"
_REASON = r"\*[^*]+\*"
_HELD = re.compile(rf"{_REASON}|{_TEST}(?:, {_TEST})*(?: {_REASON})?")


@cache
def _tests(file: str) -> frozenset[str]:
    """The names of the tests of a file."""
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return frozenset(one.name for one in body if isinstance(one, ast.FunctionDef))


def test_the_rows_are_numbered_without_a_hole() -> None:
    assert len(_ROWS) >= 55
    assert [row[0] for row in _ROWS] == [str(number) for number in range(1, len(_ROWS) + 1)]


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: row[0])
def test_each_row_is_whole(row: list[str]) -> None:
    _, promise, theirs, held = row
    assert promise
    assert re.search(r"[\w/]+: `test_\w+`", theirs)
    assert _HELD.fullmatch(held), f"neither a test nor a reason: {held}"


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`(tests/[^`]*?)::([^`]*)`", _TEXT)
    assert not [f"{file}::{test}" for file, test in named if test not in _tests(file)]

"""docs/security.md names tests that exist, and every test of tests/security that holds a row of it can be found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
_NAMED = re.findall(r"`((?:tests/)?[\w/]+\.py)(?:::(\w+))?`", _TEXT)


@pytest.mark.parametrize(("file", "test"), _NAMED, ids=lambda part: str(part)[-50:])
def test_what_is_named_exists(file: str, test: str) -> None:
    path = ROOT / file if "/" in file else ROOT / "tests" / "security" / file
    assert path.is_file()
    assert not test or re.search(rf"^def {test}\(", path.read_text(encoding="utf-8"), re.M)


def test_each_file_of_tests_is_named() -> None:
    files = {path.name for path in (ROOT / "tests" / "security").glob("test_*.py")}
    assert files <= {file for file, _ in _NAMED} and len(_NAMED) > 40


def test_each_attacker_has_what_is_not_held() -> None:
    sections = _TEXT.split("\n## ")[1:]
    assert len(sections) == 5 and all("\nNot held" in section for section in sections)

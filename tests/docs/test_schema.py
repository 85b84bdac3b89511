"""docs/schema.md describes every view with exactly its columns, and each example query runs and returns rows."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from syncstore.store.views import VIEWS

ROOT = Path(__file__).parents[2]
_TEXT = (ROOT / "docs" / "schema.md").read_text(encoding="utf-8")
_SECTIONS = {
    part.split("\n", 1)[0]: part for part in re.split(r"^## ", _TEXT, flags=re.M)[1:] if part.split("\n", 1)[0] in VIEWS
}


def test_every_view_is_described() -> None:
    assert set(_SECTIONS) == set(VIEWS)


@pytest.mark.parametrize("view", VIEWS)
def test_with_its_columns(view: str, full_store: Path) -> None:
    db = sqlite3.connect(full_store)
    columns = [column[0] for column in db.execute(f"SELECT * FROM {view}").description]
    db.close()
    assert _SECTIONS[view].split("\n\n")[1].replace("\n", " ") == ", ".join(columns)


@pytest.mark.parametrize("view", VIEWS)
def test_the_example_returns_rows(view: str, full_store: Path) -> None:
    queries = re.findall(r"```sql\n(.*?)```", _SECTIONS[view], re.S)
    assert len(queries) == 1
    assert view in queries[0]
    db = sqlite3.connect(full_store)
    rows = db.execute(queries[0]).fetchall()
    db.close()
    assert rows, view

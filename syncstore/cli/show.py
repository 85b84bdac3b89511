"""Output: tables for people, JSON for programs. What came from servers is never printed raw."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from syncstore.model.text import printable

_COLUMN_CAP = 60  # on a terminal; in a pipe nothing is cut


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, as_json: bool = False) -> None:
    """Print rows under their columns, or as one JSON array of objects."""
    listed = [list(row) for row in rows]
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in listed])
    elif sys.stdout.isatty():
        _rich_table(columns, listed)
    else:
        _plain_table(columns, listed)


def print_json(value: object) -> None:
    """Print JSON, ASCII only: a lone surrogate stays the escape it came as."""
    line(json.dumps(value, indent=1, default=_as_text), clean=False)


def facts(pairs: Mapping[str, object], *, as_json: bool = False) -> None:
    """Print names with their values, one a line."""
    if as_json:
        print_json(dict(pairs))
        return
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        line(f"{name:<{width}}  {text(value)}")


def line(words: str, *, clean: bool = True) -> None:
    """Print one line."""
    sys.stdout.write((printable(words) if clean else words) + "\n")


def text(value: object) -> str:
    """A value for people: nothing for null, JSON for objects, control characters escaped."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, bytes):
        return printable(value.decode("utf-8", "backslashreplace"))
    if isinstance(value, dict | list):
        return printable(json.dumps(value, ensure_ascii=False))
    return printable(str(value))


def when(ts: int | None) -> str:
    """Milliseconds since 1970 as UTC to the second; empty for none, the number itself if no calendar has it."""
    if ts is None:
        return ""
    try:
        return datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return str(ts)


def _rich_table(columns: Sequence[str], rows: list[list[object]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        shown.add_column(column, overflow="ellipsis", max_width=_COLUMN_CAP)
    for row in rows:
        # Text, not str: square brackets in a room name are no markup.
        shown.add_row(*(Text(text(value)) for value in row))
    Console().print(shown)


def _plain_table(columns: Sequence[str], rows: list[list[object]]) -> None:
    cells = [list(columns), *([text(value) for value in row] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(columns))]
    for row in cells:
        line("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip(), clean=False)


def _as_text(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)

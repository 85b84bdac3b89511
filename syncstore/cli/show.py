"""What comes out: tables, lines and JSON. Text of servers passes `printable` here, on every way but JSON's own escapes.

On a terminal rich lays tables out; in a pipe the same rows are aligned with spaces, whole, without colours.
"""

from __future__ import annotations

import base64
import json
import math
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from syncstore.model.text import printable

if TYPE_CHECKING:
    from rich.console import Console

Row = Sequence[object]

# Rows that decide how wide the columns of a pipe are: a long answer is written while it is read.
_MEASURED = 500
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOT_ASCII = re.compile("[^ -~]")
_LEFT_TO_RIGHT = "\u200e"
_RIGHT_TO_LEFT = ("R", "AL", "AN")


class JsonText(str):
    """JSON as a server sent it, put out as it came: huge numbers and repeated keys survive."""

    __slots__ = ()


def on_terminal() -> bool:
    """Whether a person looks at the output."""
    return sys.stdout.isatty()


def line(*parts: tuple[str, str]) -> None:
    """One line of (text, style) parts; styles count on a terminal only."""
    shown = [(printable(text), style) for text, style in parts if text]
    if not on_terminal():
        print("  ".join(text for text, _ in shown).rstrip())  # noqa: T201
        return
    from rich.text import Text

    joined = Text("  ").join(Text(_apart(text), style=style) for text, style in shown)
    _console().print(joined, soft_wrap=True)


def note(text: str) -> None:
    """A remark between the rows, such as `-- gap … --`."""
    line((f"-- {text} --", "dim"))


def table(titles: Sequence[str], rows: Iterable[Row]) -> None:
    """Rows under their titles."""
    cells = ([cell(value) for value in row] for row in rows)
    if on_terminal():
        _rich_table(titles, cells)
    else:
        _plain_table(titles, cells)


def pairs(rows: Iterable[tuple[str, object]]) -> None:
    """Names and values, a line each."""
    shown = [(name, cell(value)) for name, value in rows]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        line((name.ljust(width), "bold"), (value, ""))


def objects(rows: Iterable[Mapping[str, object]]) -> None:
    """One JSON array, an object a line, in ASCII: safe for every terminal, pipe and file."""
    lead = "[\n"
    for row in rows:
        print(lead + json_text(row), end="")  # noqa: T201
        lead = ",\n"
    print("[]" if lead == "[\n" else "\n]")  # noqa: T201


def columns(record: Any) -> dict[str, object]:
    """The fields of a record under the names that they have in the views, its JSON unread."""
    named: dict[str, object] = {}
    for name in record.__struct_fields__:
        value = getattr(record, name)
        is_json = name.endswith("_json") and isinstance(value, str)
        named[name.removesuffix("_json")] = JsonText(value) if is_json else value
    return named


def json_text(value: object) -> str:
    """A value as JSON in ASCII. bytes: {"base64": …}. An infinite number: one too large for a double, as 1e400 was."""
    if isinstance(value, JsonText):
        return _NOT_ASCII.sub(_escape, value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)}: {json_text(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(json_text, value)) + "]"
    if isinstance(value, bytes):
        return json_text({"base64": base64.b64encode(value).decode()})
    if isinstance(value, float) and not math.isfinite(value):
        return "1e999" if value > 0 else "-1e999"
    return json.dumps(value)


def cell(value: object) -> str:
    """A value for a person, in one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    return printable(str(value))


def moment(ms: int | None) -> str:
    """A timestamp in UTC; servers send any integer, so one beyond the calendar is shown as it is."""
    if ms is None:
        return ""
    try:
        return f"{_EPOCH + timedelta(milliseconds=ms):%Y-%m-%d %H:%M:%SZ}"
    except OverflowError:
        return str(ms)


def _escape(match: re.Match[str]) -> str:
    # Outside of strings JSON holds no control characters but white space, inside of them none at all.
    return " " if match[0] in "\t\n\r" else json.dumps(match[0])[1:-1] if match[0] != "\x7f" else "\\u007f"


def _plain_table(titles: Sequence[str], rows: Iterable[list[str]]) -> None:
    rows = iter(rows)
    first = list(islice(rows, _MEASURED))
    head = [cell(title.upper()) for title in titles]
    widths = [max(map(len, column)) for column in zip(head, *first, strict=True)]
    for row in chain([head], first, rows):
        print("  ".join(map(str.ljust, row, widths)).rstrip())  # noqa: T201


def _rich_table(titles: Sequence[str], rows: Iterable[list[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold dim")
    for title in titles:
        shown.add_column(Text(cell(title.upper())), overflow="fold")
    for row in rows:
        shown.add_row(*(Text(_apart(text)) for text in row))
    _console().print(shown)


def _apart(text: str) -> str:
    """Text that a terminal may write from right to left, kept from changing places with what stands beside it."""
    if text.isascii() or not any(unicodedata.bidirectional(char) in _RIGHT_TO_LEFT for char in text):
        return text
    return f"{_LEFT_TO_RIGHT}{text}{_LEFT_TO_RIGHT}"


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)

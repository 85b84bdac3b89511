"""`syncstore sql`: any query over the documented views, read-only."""

from __future__ import annotations

import csv
import os
import sqlite3
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from syncstore.cli import show
from syncstore.cli.options import Json, store_of
from syncstore.cli.places import store_path
from syncstore.errors import NotFoundError, SyncStoreError
from syncstore.model.text import printable
from syncstore.store.file import path_of


class QueryError(SyncStoreError):
    """The query is wrong, or would write."""

    kind = "query"


def register(app: typer.Typer) -> None:
    """Add this command."""
    # Typer knows no repeated option of two values: what it does not know is read by _parameters.
    loose = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command(
        name="sql", context_settings=loose, epilog="-p NAME VALUE: the value of :NAME in the query; may be repeated."
    )(sql)


def sql(
    context: typer.Context,
    query: Annotated[str, typer.Argument(metavar="QUERY|-", help="One SQL query; - reads it from standard input.")],
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    attach: Annotated[
        list[str] | None, typer.Option("--attach", metavar="NAME=FILE", help="Another store or database, read-only.")
    ] = None,
    json: Json = False,
) -> None:
    """Run a query over the store, opened for reading only: docs/schema.md describes the views."""
    text = sys.stdin.read() if query == "-" else query
    parameters = _parameters(context.args)
    with _connect(path_of(store_path(store_of(context)))) as raw:
        try:
            for one in attach or ():
                _attach(raw, one)
            found = raw.execute(text, parameters)
            rows = found.fetchall()
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise QueryError(f"the query fails: {error}") from None
        columns = [column[0] for column in found.description or ()]
    if as_csv:
        _print_csv(columns, rows)
    elif columns:
        show.table(columns, rows, as_json=json)


def _parameters(words: list[str]) -> dict[str, str]:
    """The values given as `-p NAME VALUE`, any number of times."""
    found: dict[str, str] = {}
    for at in range(0, len(words), 3):
        if words[at] != "-p" or len(words) < at + 3:
            raise typer.BadParameter(f"not understood: {' '.join(words[at:])} (parameters are given as -p NAME VALUE)")
        found[words[at + 1].removeprefix(":")] = words[at + 2]
    return found


def _connect(path: Path) -> sqlite3.Connection:
    """The file for reading; immutable if it is closed and its folder cannot be written."""
    if not path.is_file():
        raise NotFoundError(f"{path} does not exist")
    try:
        raw = sqlite3.connect(_uri(path), uri=True)
        # Text that is not UTF-8 can come out of JSON functions: show it rather than fail.
        raw.text_factory = lambda raw_text: raw_text.decode("utf-8", "backslashreplace")
        raw.execute("SELECT 1 FROM own_account")
    except sqlite3.Error as error:
        raise QueryError(f"{path} cannot be read as a store: {error}") from None
    return raw


def _uri(path: Path) -> str:
    still = not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists()
    return f"file:{quote(str(path))}?mode=ro" + ("&immutable=1" if still else "")


def _attach(raw: sqlite3.Connection, one: str) -> None:
    name, _, file = one.partition("=")
    if not file or not name.isidentifier():
        raise QueryError(f"--attach takes NAME=FILE, not {one!r}")
    if not Path(file).is_file():
        raise NotFoundError(f"{file} does not exist")
    raw.execute(f"ATTACH DATABASE ? AS {name}", (_uri(Path(file)),))


def _print_csv(columns: list[str], rows: list[tuple[object, ...]]) -> None:
    clean = printable if sys.stdout.isatty() else str
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[clean(value) if isinstance(value, str) else value for value in row] for row in rows])

"""SQL over the documented views: one statement, read-only in every way SQLite knows."""

from __future__ import annotations

import csv
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from syncstore.cli import passphrase, places, show
from syncstore.cli.options import AsJson, text
from syncstore.errors import CorruptStoreError, NotFoundError, StoreError
from syncstore.model.text import clean
from syncstore.store import driver
from syncstore.store.failures import ADVICE

_INTERRUPTED = 9  # SQLITE_INTERRUPT
_REFUSED = 23  # SQLITE_AUTH
_READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
# Pragmas that read although they take an argument, and those that act although they need none.
_ASKING = {"table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list"}
_ASKING |= {"integrity_check", "quick_check", "foreign_key_check"}
_ACTING = {"wal_checkpoint", "optimize", "incremental_vacuum"}
_STEPS = 100_000  # of SQLite's machine between two looks at Ctrl-C

Query = Annotated[str, typer.Argument(metavar="QUERY", callback=text, help="One statement; - reads it from stdin.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="CSV with a line of titles.")]
Named = Annotated[
    list[str] | None,
    typer.Option("-p", metavar="NAME VALUE", callback=None, help="A value, as text, for :NAME."),
]
Attached = Annotated[
    list[str] | None,
    typer.Option("--attach", metavar="NAME=FILE", help="Another SQLite file, for its tables NAME.…"),
]


class PairedOptions(TyperCommand):
    """Takes `-p NAME VALUE` as two words, which typer has no type for when it may be repeated."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Join the two words before they are read."""
        words, joined = iter(args), []
        for word in words:
            if word == "--":
                joined += [word, *words]
            elif word == "-p":
                name, value = next(words, None), next(words, None)
                if name is None or value is None:
                    raise typer.BadParameter("expected NAME VALUE", ctx=ctx, param_hint="-p")
                joined += ["-p", f"{name}={value}"]
            else:
                joined.append(word)
        return list(super().parse_args(ctx, joined))


def sql(
    context: typer.Context,
    query: Query,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
    named: Named = None,
    attach: Attached = None,
) -> None:
    """Ask the store a question in SQL; nothing can be changed."""
    if as_csv and as_json:
        raise typer.BadParameter("choose one of --csv and --json")
    asked = _read_stdin() if query == "-" else query
    values = dict(one.split("=", 1) for one in map(text, named or ()) if one)
    with _opened(context, attach or ()) as database, _told():
        answer = _answered(database, asked, values)
        if answer.description is None:
            raise StoreError("sql: this is no question: a SELECT gives rows")
        titles = [str(column[0]) for column in answer.description]
        if as_json:
            show.objects(dict(zip(titles, row, strict=True)) for row in answer)
        elif as_csv:
            _write_csv(titles, answer)
        else:
            show.table(titles, answer)


def _read_stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise StoreError("sql: standard input is not valid UTF-8") from None


class _Values(dict[str, str]):
    """Named values that know which of them the query asked for."""

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__(values)
        self.unused = set(values)

    def __getitem__(self, name: str) -> str:
        if name not in self:
            raise StoreError(f"sql: the query asks for :{name}, which no -p gives")
        self.unused.discard(name)
        return super().__getitem__(name)


def _answered(database: sqlite3.Connection, query: str, values: dict[str, str]) -> sqlite3.Cursor:
    named = _Values(values)
    answer = database.execute(query, named)
    if named.unused:
        raise StoreError(f"sql: the query has no :{min(named.unused)}")
    return answer


@contextmanager
def _opened(context: typer.Context, attach: Sequence[str]) -> Iterator[sqlite3.Connection]:
    from syncstore.store.unlock import key_of

    with places.reading(context) as store:  # says clearly what is no store
        path = store.path
    given = passphrase.worked(path)
    key = None if given is None else key_of(path, given)
    with closing(driver.connect(path, key, _mode(path), timeout=30)) as database:
        database.text_factory = lambda raw: raw.decode(errors="replace")
        for one in attach:
            _attach(database, one, encrypted=key is not None)
        # As in the store's own connections: sorted rows reach no file.
        for setting in ("temp_store = MEMORY", "query_only = ON"):
            database.execute("PRAGMA " + setting)
        database.set_authorizer(_may)
        # Inside one long step the interpreter sees no signal: it gets a moment now and then.
        database.set_progress_handler(lambda: 0, _STEPS)
        yield database


def _mode(path: Path) -> str:
    return "mode=ro&immutable=1" if driver.is_still(path) else "mode=ro"


def _attach(database: sqlite3.Connection, told: str, *, encrypted: bool) -> None:
    name, _, file = told.partition("=")
    if not name or not file or clean(told) != told:
        raise typer.BadParameter(f"{told!a}: expected NAME=FILE", param_hint="--attach")
    if not Path(file).is_file():
        raise NotFoundError(f"{file} does not exist")
    try:
        quoted = '"' + name.replace('"', '""') + '"'
        # Else SQLCipher would try the store's own key on it.
        no_key = " KEY ''" if encrypted else ""
        database.execute(f"ATTACH ? AS {quoted}{no_key}", (driver.uri_of(Path(file), _mode(Path(file))),))
        database.execute(f"SELECT 1 FROM {quoted}.sqlite_schema LIMIT 1")
    except driver.errors() as error:
        raise StoreError(f"{file} cannot be attached as {name}: {error}") from None


def _may(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    """Allow what reads, and nothing else: a read-only connection would still make other files and drop its guards."""
    if action == sqlite3.SQLITE_FUNCTION:
        reads = second != "load_extension"
    elif action == sqlite3.SQLITE_PRAGMA:
        reads = first in _ASKING or (second is None and first not in _ACTING)
    else:
        # The columns of json_each and its like are declared as by a change of sqlite_master; a real one is refused.
        reads = action in _READING or (action == sqlite3.SQLITE_UPDATE and first == "sqlite_master")
    return sqlite3.SQLITE_OK if reads else sqlite3.SQLITE_DENY


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except driver.errors() + driver.errors("Warning") as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code == _INTERRUPTED:
            raise KeyboardInterrupt from None
        text_ = "one statement at a time" if "one statement" in str(error) else str(error)
        text_ = "this would do more than read" if code == _REFUSED else text_
        raise StoreError(f"sql: {text_}") from None
    except UnicodeDecodeError:
        # SQLite names columns, and tells what is wrong, in the bytes of a damaged schema.
        raise CorruptStoreError(f"sql: the file is damaged: its schema holds text that is no UTF-8; {ADVICE}") from None


def _write_csv(titles: list[str], rows: sqlite3.Cursor) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    raw = not show.on_terminal()
    writer.writerow(titles if raw else map(show.cell, titles))
    for row in rows:
        writer.writerow([value if raw and not isinstance(value, bytes) else show.cell(value) for value in row])

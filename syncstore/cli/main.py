"""The application: its options, its commands, and the edge where errors become one line."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated

import typer

from syncstore.cli import account, file, rooms, sql, sync
from syncstore.cli.options import Context
from syncstore.cli.places import VARIABLE
from syncstore.errors import SyncStoreError
from syncstore.model.text import printable

TRACE = "SYNCSTORE_TRACE"

app = typer.Typer(
    name="syncstore",
    help="A durable, queryable, local replica of one Matrix account, in one SQLite file.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for commands in (account, sync, rooms, sql, file):
    commands.register(app)


@app.callback()
def _options(
    context: typer.Context,
    store: Annotated[
        str | None,
        typer.Option(
            "-s", "--store", metavar="STORE", help=f"The store's file; by default {VARIABLE}, or the only account's."
        ),
    ] = None,
) -> None:
    context.obj = Context(store)


def main() -> None:
    """Run a command; exit 0 done, 1 refused with one line on stderr, 2 wrong usage."""
    try:
        app(standalone_mode=True)
    except SyncStoreError as error:
        _refuse(str(error))
    except BrokenPipeError:
        # Whoever read us has enough (`| head`): leave without a word, and without Python's own at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except OSError as error:
        _refuse(f"{error.filename or 'system'}: {error.strerror or error}")
    except Exception as error:
        if TRACE in os.environ:
            raise
        _refuse(f"unexpected {type(error).__name__}: {error} (a defect: set {TRACE}=1 to see where)")


def _refuse(message: str) -> None:
    sys.stderr.write(f"syncstore: {printable(message)}\n")
    sys.exit(1)

"""The commands, in the order in which --help lists them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from syncstore.cli import (
    consumers,
    encryption,
    file,
    login,
    outbox,
    places,
    replay,
    rooms,
    search,
    sql,
    sync,
    timeline,
    upkeep,
    watch,
)
from syncstore.cli.options import text

Store = Annotated[
    str | None,
    typer.Option(
        "-s",
        metavar="STORE",
        envvar=places.VARIABLE,
        callback=text,
        help="The store's file; by default that of the only account logged in.",
    ),
]

app = typer.Typer(
    name="syncstore",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


@app.callback()
def syncstore(context: typer.Context, store: Store = None) -> None:
    """A durable, queryable, local replica of one Matrix account, in one SQLite file."""
    context.obj = store


_COMMANDS: tuple[Callable[..., None], ...] = (
    login.login,
    login.logout,
    login.accounts,
    sync.sync,
    replay.replay,
    rooms.rooms,
    rooms.invites,
    rooms.state,
    rooms.members,
    timeline.timeline,
    timeline.event,
    search.search,
    timeline.gaps,
    outbox.send,
    outbox.outbox,
    outbox.retry,
    outbox.cancel,
    sync.backfill,
    sync.verify,
    rooms.forget,
    watch.watch,
    consumers.consumers,
    sql.sql,
    file.check,
    file.info,
    file.backup,
    upkeep.compact,
    upkeep.prune,
    upkeep.recover,
    encryption.encrypt,
    encryption.decrypt,
    encryption.rekey,
)
for command in _COMMANDS:
    app.command(cls=sql.PairedOptions if command is sql.sql else None)(command)

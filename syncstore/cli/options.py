"""Options and arguments that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer


@dataclass(frozen=True, slots=True)
class Context:
    """What was said before the command: the store's file, if any."""

    store: str | None


Json = Annotated[bool, typer.Option("--json", help="Print one JSON array instead of a table.")]
RoomName = Annotated[str, typer.Argument(metavar="ROOM", help="A room id, an alias, or a name that only one room has.")]
MaybeRoom = Annotated[
    str | None, typer.Argument(metavar="[ROOM]", help="Only this room: its id, alias or unique name.")
]
Server = Annotated[
    str | None, typer.Option("--homeserver", metavar="URL", help="Base URL of the homeserver; by default the store's.")
]
TokenFile = Annotated[
    str | None,
    typer.Option(
        "--token-file", metavar="FILE", help="Where the access token is; by default the environment or keyring."
    ),
]


def store_of(context: typer.Context) -> str | None:
    """The store named before the command."""
    found: Context = context.obj
    return found.store

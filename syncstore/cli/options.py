"""The arguments and options that several commands share, each told once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from syncstore.model.text import is_text


def text(value: str | None) -> str | None:
    """Refuse an argument whose bytes are no text: no id and no name can be meant."""
    if value is not None and not is_text(value):
        raise typer.BadParameter("is not valid UTF-8")
    return value


RoomName = Annotated[str, typer.Argument(metavar="ROOM", callback=text, help="Room id, alias or unique name.")]
SomeRoom = Annotated[
    str | None,
    typer.Argument(metavar="[ROOM]", callback=text, help="Room id, alias or unique name; else all rooms."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON array.")]
ServerUrl = Annotated[
    str | None, typer.Option("--homeserver", metavar="URL", help="Base URL, if the store does not know it.")
]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", metavar="FILE", help="A file with the access token, mode 0600.")
]

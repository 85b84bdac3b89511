"""Follow a store: what commits change, a line each, as they come."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from time import sleep
from typing import Annotated

import typer

from syncstore.cli import places, show
from syncstore.model.change import Change

Since = Annotated[
    int | None, typer.Option("--since", metavar="SEQ", min=0, help="Begin after this place; else with what comes.")
]
Lines = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]

_LOOK_SECONDS = 0.2


def watch(context: typer.Context, since: Since = None, as_json: Lines = False) -> None:
    """Print what changes in the store, by whatever process, until Ctrl-C."""
    # It ends by Ctrl-C and no other way: that is no failure.
    with places.reading(context) as store, suppress(KeyboardInterrupt):
        seen = store.last_change if since is None else since
        while True:
            for change in store.changes(seen):
                _print(change, as_json=as_json)
                seen = change.seq
            sys.stdout.flush()
            sleep(_LOOK_SECONDS)


def _print(change: Change, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(show.columns(change)))
        return
    named = (change.room_id, change.kind, change.op, change.type, change.key, change.event_id, change.origin)
    show.line((f"{change.seq}", "dim"), (" ".join(part for part in named if part), ""))

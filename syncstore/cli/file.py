"""The file as a whole: at a glance, is it sound, a copy of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from syncstore.cli import places, show
from syncstore.cli.options import AsJson
from syncstore.errors import CorruptStoreError

Target = Annotated[Path, typer.Argument(metavar="FILE", help="A new file; an old one is never overwritten.")]


def info(context: typer.Context, as_json: AsJson = False) -> None:
    """Show the store at a glance: whose it is, how far it is, how much is in it."""
    with places.reading(context) as store:
        found = show.columns(store.info())
    if as_json:
        show.objects([found])
        return
    last, rooms = found.pop("last_sync_ts"), found.pop("rooms")
    assert isinstance(rooms, dict) and (last is None or isinstance(last, int))
    counts = ", ".join(f"{count} {membership}" for membership, count in rooms.items())
    show.pairs([*found.items(), ("last_sync", show.moment(last)), ("token_age", _age(last)), ("rooms", counts)])


def _age(ts: int | None) -> str:
    """How long ago that was, in the largest unit of which there are at least two; ts in milliseconds."""
    if ts is None:
        return ""
    seconds = max(0, int(time.time() - ts / 1000))
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"


def check(context: typer.Context, as_json: AsJson = False) -> None:
    """Check the file: SQLite's own checks, and derived data against the events behind it."""
    with places.reading(context) as store:
        found = store.check()
        path = store.path
    if as_json:
        show.objects({"problem": problem} for problem in found)
    elif not found:
        show.line(("ok", ""))
    else:
        for problem in found:
            show.line((problem, ""))
    if found:
        raise CorruptStoreError(f"{path}: {len(found)} problems")


def backup(context: typer.Context, target: Target) -> None:
    """Write a consistent, compact copy of the store to a new file."""
    with places.reading(context) as store:
        store.backup(target)

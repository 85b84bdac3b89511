"""Commands for the file itself."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

import typer

from syncstore.cli import show
from syncstore.cli.options import Json, store_of
from syncstore.cli.places import open_to_read
from syncstore.model.records import Info


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (check, info, backup):
        app.command()(command)


def check(context: typer.Context) -> None:
    """Check integrity, foreign keys, and derived data against the events; exit 1 if anything is wrong."""
    with open_to_read(store_of(context)) as store:
        wrong = store.check()
    for line in wrong or ["ok"]:
        show.line(line)
    if wrong:
        raise typer.Exit(1)


def info(context: typer.Context, json: Json = False) -> None:
    """Show the store at a glance: account, age of the token, rooms, events, gaps, size, quarantine."""
    with open_to_read(store_of(context)) as store:
        found = store.info()
    if json:
        show.print_json(asdict(found))
    else:
        show.facts(_facts(found))


def backup(
    context: typer.Context, file: Annotated[str, typer.Argument(metavar="FILE", help="A file that does not exist.")]
) -> None:
    """Write a consistent, compact copy of the store."""
    with open_to_read(store_of(context)) as store:
        store.backup(file)
    show.line(f"written: {file}")


def _facts(found: Info) -> dict[str, object]:
    rooms = ", ".join(f"{count} {membership}" for membership, count in found.rooms.items()) or "none"
    return {
        "file": f"{found.path} ({found.file_bytes:,} bytes, format {found.format})",
        "account": f"{found.user_id}, device {found.device_id or 'unknown'}",
        "homeserver": found.homeserver or "unknown",
        "token": found.next_batch or "none: never synced",
        "token age": _age(found.last_sync_ts),
        "rooms": rooms,
        "events": f"{found.events:,}",
        "gaps": f"{found.gaps} ({found.unreachable_gaps} unreachable)",
        "quarantine": found.quarantined,
        "suspect rooms": found.suspect_rooms,
    }


def _age(ts: int | None) -> str:
    if ts is None:
        return ""
    seconds = max(0, int(time.time() - ts / 1000))
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"

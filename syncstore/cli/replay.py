"""Recorded responses, played into a store without any server."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncstore.cli import places, show
from syncstore.cli.options import text
from syncstore.errors import StoreError, SyncStoreError

if TYPE_CHECKING:
    from syncstore.ingest import SyncStore
    from syncstore.model.records import Applied
    from syncstore.sync.recording import Recorded

Recordings = Annotated[
    list[Path],
    typer.Argument(metavar="FILE|DIR…", help="Bodies, or folders of `sync --record`, in this order."),
]
UserId = Annotated[
    str | None,
    typer.Option("--user-id", metavar="ID", callback=text, help="Whose bodies these are, for a new store."),
]


def replay(context: typer.Context, recordings: Recordings, user_id: UserId = None) -> None:
    """Apply recorded responses in the order given; one that is stored already changes nothing."""
    responses = _responses(recordings)
    first = next(responses)
    with _opened(places.where(context), first[1], user_id) as store:
        applied = repeated = 0
        for place, one in chain([first], responses):
            done = _applied(store, place, one)
            applied, repeated = applied + (not done.repeated), repeated + done.repeated
    show.line((f"{applied} applied, {repeated} already stored", ""))


def _responses(recordings: list[Path]) -> Iterator[tuple[str, Recorded]]:
    """Each response and where it comes from, for people."""
    from syncstore.sync.recording import recorded

    for path in recordings:
        for number, one in enumerate(recorded(path), start=1):
            yield f"{path} (response {number})" if one.told else str(path), one


def _opened(where: str, first: Recorded, user_id: str | None) -> SyncStore:
    from syncstore.cli.passphrase import opened
    from syncstore.store.file import path_of

    if path_of(where).exists():
        return opened(where, user_id=user_id or first.user_id)
    owner = user_id or first.user_id
    if owner is None:
        raise StoreError(f"{where} is a new store: say whose bodies these are (--user-id)")
    return opened(where, user_id=owner, device_id=first.device_id)


def _applied(store: SyncStore, place: str, one: Recorded) -> Applied:
    try:
        if not one.told:
            return store.apply(one.body)
        if one.held is None and one.device_id not in (None, store.device_id):
            store.rebind(one.device_id)  # as it was done when this was recorded
        return store.apply(one.body, since=one.since, held=one.held, full_state=one.full_state, joined=one.joined)
    except SyncStoreError as error:
        error.args = (f"{place}: {error}",)
        raise

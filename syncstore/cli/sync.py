"""Commands that bring something into a store: sync, replay, backfill."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated

import typer

from syncstore import Applied, Homeserver, Syncer, SyncStore
from syncstore.cli import show
from syncstore.cli.options import MaybeRoom, Server, TokenFile, store_of
from syncstore.cli.places import open_to_write, store_path
from syncstore.cli.progress import Progress
from syncstore.errors import NotFoundError, SyncStoreError
from syncstore.net.tokens import VARIABLE, find_token
from syncstore.store.file import path_of
from syncstore.sync import Recorded, recorded


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (sync, replay, backfill):
        app.command()(command)


class _Stopped(Exception):  # noqa: N818 - the way out of a long poll, no failure
    pass


def sync(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow/--once", help="Go on until stopped; by default one batch.")] = False,
    record: Annotated[
        str | None, typer.Option("--record", metavar="DIR", help="Keep every response with its request.")
    ] = None,
    full_members: Annotated[
        bool, typer.Option("--full-members", help="Ask for all members instead of loading them lazily.")
    ] = False,
    rebind: Annotated[bool, typer.Option("--rebind", help="Take the store to the device of this token.")] = False,
    homeserver: Server = None,
    token_file: TokenFile = None,
) -> None:
    """Fetch what is new and commit it. The token of access comes from SYNCSTORE_ACCESS_TOKEN, a file or the keyring."""
    with _store_and_server(store_of(context), homeserver, token_file, rebind=rebind) as (store, server):
        progress = Progress(first=store.token is None)
        syncer = Syncer(
            server,
            store,
            full_members=full_members,
            on_batch=progress.batch,
            on_status=progress.status,
            record=record,
        )
        with progress:
            if follow:
                _follow(syncer)
            else:
                progress.total(syncer.run_once())


def replay(
    context: typer.Context,
    what: Annotated[
        list[str], typer.Argument(metavar="FILE|DIR…", help="Recordings, or bare response bodies, in order.")
    ],
    user_id: Annotated[
        str | None, typer.Option("--user-id", help="Whose store it is, for a new store and bare bodies.")
    ] = None,
) -> None:
    """Apply recorded responses to a store, which is made if there is none."""
    path = store_path(store_of(context))
    applied = repeated = 0
    store: SyncStore | None = None
    try:
        for where in what:
            for one in recorded(where):
                store = store or SyncStore.open(path, user_id=user_id or one.user_id, device_id=one.device_id)
                done = _play(store, one)
                applied, repeated = applied + (not done.repeated), repeated + done.repeated
    finally:
        if store is not None:
            store.close()
    already = f", {repeated} stored already" if repeated else ""
    show.line(f"{applied} responses applied{already}: {path}")


def backfill(
    context: typer.Context,
    room: MaybeRoom = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="Events per page.")] = 100,
    pages: Annotated[int, typer.Option("--pages", min=1, help="Pages at most.")] = 1000,
    homeserver: Server = None,
    token_file: TokenFile = None,
) -> None:
    """Fill the gaps of all rooms, or of one, from the server."""
    with _store_and_server(store_of(context), homeserver, token_file) as (store, server):
        syncer = Syncer(server, store)
        gaps = store.gaps() if room is None else store.room_named(room).gaps()
        added = closed = 0
        for gap in gaps:
            now = gap
            while pages > 0 and now is not None:
                pages -= 1
                filled = syncer.backfill(now, limit)
                added += filled.events_added
                closed += filled.closed
                if filled.gap is None or filled.gap == now or filled.gap.status != "open":
                    break
                now = filled.gap
        left = len(store.gaps() if room is None else store.room_named(room).gaps())
    show.line(f"{added} events added, {closed} gaps closed, {left} left")


def _play(store: SyncStore, one: Recorded) -> Applied:
    if not one.told:
        return store.apply(one.body)
    return store.apply(one.body, since=one.since, held=one.held, full_state=one.full_state, joined=one.joined)


@contextmanager
def _store_and_server(
    named: str | None, url: str | None, token_file: str | None, *, rebind: bool = False
) -> Iterator[tuple[SyncStore, Homeserver]]:
    """The store and its homeserver, the store made if a token tells whose it is."""
    path = store_path(named)
    store = open_to_write(named) if path_of(path).exists() else _made(path, url, token_file)
    with store:
        base = url or store.homeserver
        if base is None:
            raise SyncStoreError(f"{path} does not know its homeserver: give --homeserver URL")
        token = find_token(store.user_id, store.device_id or "", token_file)
        with Homeserver(base, access_token=token) as server:
            _check_device(store, server, rebind=rebind)
            if base != store.homeserver:
                store.bind(base)
            yield store, server


def _made(path: str, url: str | None, token_file: str | None) -> SyncStore:
    """A new store for the account that the token belongs to."""
    if url is None or (token_file is None and VARIABLE not in os.environ):
        raise NotFoundError(
            f"{path} does not exist: log in first, or give --homeserver URL and a token ({VARIABLE} or --token-file)"
        )
    with Homeserver(url, access_token=find_token("", "", token_file)) as server:
        who = server.whoami()
    return SyncStore.open(path, user_id=who.user_id, device_id=who.device_id)


def _check_device(store: SyncStore, server: Homeserver, *, rebind: bool) -> None:
    """Refuse a token of another account or device: tokens of one device mean nothing to another."""
    who = server.whoami()
    if who.user_id != store.user_id:
        raise SyncStoreError(f"{store.path} belongs to {store.user_id}, the access token to {who.user_id}")
    if who.device_id is None or who.device_id == store.device_id:
        return
    if store.device_id is None:
        store.bind(server.base_url, who.device_id)
    elif rebind:
        store.rebind(who.device_id)
    else:
        raise SyncStoreError(
            f"{store.path} belongs to device {store.device_id}, the access token to {who.device_id}: "
            "give --rebind to take the store to the new device"
        )


def _follow(syncer: Syncer) -> None:
    """Run until SIGINT or SIGTERM: a batch that is being committed is committed first."""
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()
        # Only while waiting for the network: a commit is never torn.
        if syncer.interruptible:
            raise _Stopped

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        syncer.run_forever(stop)
    except _Stopped:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

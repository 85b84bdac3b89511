"""Commands for logins: an account gets a file in the platform's data folder, and its token a place outside of it."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from syncstore import Homeserver, SyncStore
from syncstore.cli import show
from syncstore.cli.options import Json, TokenFile, store_of
from syncstore.cli.places import (
    account_file,
    account_files,
    is_user_id,
    make_folder,
    open_to_read,
    store_path,
)
from syncstore.errors import SyncStoreError
from syncstore.net import discover
from syncstore.net.tokens import drop_token, find_token, keep_token

_DEVICE_NAME = "syncstore"


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (login, logout, accounts):
        app.command()(command)


def login(
    context: typer.Context,
    user_id: Annotated[str, typer.Argument(metavar="USER_ID", help="For example @alice:example.org.")],
    homeserver: Annotated[
        str | None,
        typer.Option("--homeserver", metavar="URL", help="Base URL; by default found by the server's name."),
    ] = None,
    token: Annotated[
        bool, typer.Option("--token", help="The secret is a login token, not a password.")
    ] = False,
    token_file: TokenFile = None,
) -> None:
    """Log in with a password, asked for on the terminal or read from standard input, and make or rebind the store."""
    if not is_user_id(user_id):
        raise typer.BadParameter(f"{user_id!r} is no user id, such as @alice:example.org")
    url = homeserver or discover(user_id.partition(":")[2])
    with Homeserver(url) as server:
        secret = _secret("Login token" if token else f"Password of {user_id}")
        if token:
            made = server.login_token(secret, device_name=_DEVICE_NAME)
        else:
            made = server.login(user_id, secret, device_name=_DEVICE_NAME)
        # The token first: a login whose token is lost is a device that nobody can use.
        keep_token(made.user_id, made.device_id, made.access_token, token_file)
    _take(store_of(context), url, made.user_id, made.device_id)
    show.line(f"logged in as {made.user_id}, device {made.device_id}")


def logout(context: typer.Context, token_file: TokenFile = None) -> None:
    """End the login at the server and drop its token. The store stays."""
    with open_to_read(store_of(context)) as store:
        user_id, device_id, url = store.user_id, store.device_id, store.homeserver
    if device_id is None or url is None:
        raise SyncStoreError(f"{store_path(store_of(context))} was never logged in")
    with Homeserver(url, access_token=find_token(user_id, device_id, token_file)) as server:
        server.logout()
    drop_token(user_id, device_id, token_file)
    show.line(f"logged out: {user_id}, device {device_id}")


def accounts(json: Json = False) -> None:
    """List the accounts that have a file in the data folder."""
    rows: list[tuple[object, ...]] = []
    for path in account_files():
        with SyncStore.open(path, read_only=True) as store:
            found = store.info()
        rows.append(
            (found.user_id, found.device_id, found.homeserver, show.when(found.last_sync_ts), str(path))
        )
    show.table(("user_id", "device_id", "homeserver", "last sync", "file"), rows, as_json=json)


def _take(named: str | None, url: str, user_id: str, device_id: str) -> None:
    """Make the account's store, or take an old one to the new device."""
    if named is None:
        make_folder()
    with SyncStore.open(named or account_file(user_id), user_id=user_id) as store:
        if store.device_id not in (None, device_id):
            store.rebind(device_id)
        store.bind(url, device_id)


def _secret(what: str) -> str:
    """Ask without echo on a terminal, else read one line of standard input; never an argument."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{what}: ")
    return sys.stdin.readline().rstrip("\n")

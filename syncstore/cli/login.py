"""Logging in and out, and who is logged in. Passwords and tokens come hidden or by standard input, never in argv."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncstore.cli import logins, places, show
from syncstore.cli.folder import folder, make_folder
from syncstore.cli.options import AsJson, ServerUrl, TokenFile, text
from syncstore.cli.passphrase import opened
from syncstore.cli.secret import secret
from syncstore.errors import OtherAccountError, RemoteError, UnknownTokenError

if TYPE_CHECKING:
    from syncstore.net import Homeserver, Login

_DEVICE_NAME = "syncstore"

UserId = Annotated[str, typer.Argument(metavar="USER_ID", callback=text, help="@alice:example.org")]
ByToken = Annotated[bool, typer.Option("--token", help="Log in with a login token of single sign-on, not a password.")]


def login(
    context: typer.Context,
    user_id: UserId,
    homeserver: ServerUrl = None,
    by_token: ByToken = False,
    token_file: TokenFile = None,
) -> None:
    """Log in, keep the access token in the keyring or a file, and make the account's store."""
    server_name = _server_name(user_id)
    where = Path(places.given(context) or places.file_of(user_id)).expanduser().absolute()
    device_id = _known_device(where, user_id)
    given = secret("Login token: " if by_token else "Password: ")
    from syncstore.net import Homeserver, discover

    with Homeserver(homeserver or discover(server_name)) as server:
        ask = server.login_token if by_token else lambda *one, **more: server.login(user_id, *one, **more)
        got = ask(given, device_id=device_id, device_name=_DEVICE_NAME)
        try:
            _keep(server, got, user_id, where, token_file and token_file.absolute())
        except BaseException:
            # A device that nobody holds the token of would stay on the server for ever.
            with suppress(RemoteError):
                server.logout()
            raise
    show.line((f"{got.user_id} is logged in as device {got.device_id}; the store is {where}", ""))


def _server_name(user_id: str) -> str:
    localpart, _, server_name = user_id.partition(":")
    if not localpart.startswith("@") or not server_name:
        raise typer.BadParameter(f"{user_id!a}: expected @name:server", param_hint="USER_ID")
    return server_name


def _known_device(where: Path, user_id: str) -> str | None:
    """The device of a store that is there already: logging in as the same one keeps all that hangs on it."""
    if not where.exists():
        return None
    with opened(where, user_id=user_id) as store:
        return store.device_id


def _keep(server: Homeserver, got: Login, user_id: str, where: Path, token_file: Path | None) -> None:
    """Keep the token, make the store, note the login; each undone if a later one fails."""
    from syncstore.net.tokens import drop_token, keep_token

    if got.user_id != user_id:
        raise OtherAccountError(f"{server.base_url} calls this account {got.user_id}, not {user_id}: log in by that id")
    keep_token(got.user_id, got.device_id, got.access_token, token_file)
    try:
        if where.parent == folder():
            make_folder()
        with opened(where, user_id=user_id, device_id=got.device_id) as store:
            store.bind(server.base_url, got.device_id)
        kept = str(token_file) if token_file else None
        logins.remember(logins.Login(got.user_id, got.device_id, server.base_url, str(where), kept))
    except BaseException:
        drop_token(got.user_id, got.device_id, token_file)
        raise


def logout(context: typer.Context, token_file: TokenFile = None) -> None:
    """End the login on the server and drop its access token; the store stays."""
    where = places.where(context)
    from syncstore.cli.server import connected
    from syncstore.net.tokens import drop_token

    with connected(where, None, token_file) as (server, store):
        user_id, device_id = store.user_id, store.device_id or ""
        with suppress(UnknownTokenError):  # ended already
            server.logout()
    note = logins.login_of(user_id, device_id)
    kept = token_file or (Path(note.token_file) if note and note.token_file else None)
    if note is not None or token_file is not None:
        drop_token(user_id, device_id, kept)
    logins.forget(user_id, device_id)
    show.line((f"{user_id} is logged out; the store stays: {where}", ""))


def accounts(as_json: AsJson = False) -> None:
    """List the accounts that are logged in, and where their stores are."""
    found = logins.logins()
    if as_json:
        show.objects(map(show.columns, found))
        return
    titles = ("user_id", "device_id", "homeserver", "token", "store")
    show.table(titles, ((one.user_id, one.device_id, one.homeserver, _kept(one), one.store) for one in found))


def _kept(one: logins.Login) -> str:
    return one.token_file or "keyring"

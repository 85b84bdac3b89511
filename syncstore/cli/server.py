"""The homeserver of a store: where it is, with which token, and whether that token is this account's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from syncstore.cli.logins import login_of
from syncstore.cli.passphrase import opened
from syncstore.errors import NotFoundError, OtherAccountError, StoreError
from syncstore.ingest import SyncStore
from syncstore.net import Homeserver, WhoAmI
from syncstore.net.tokens import VARIABLE, find_token
from syncstore.store.file import path_of


@contextmanager
def connected(
    where: str, homeserver: str | None, token_file: Path | None, *, create: bool = False, rebind: bool = False
) -> Iterator[tuple[Homeserver, SyncStore]]:
    """A store and its homeserver. create: make the store of the token's owner. rebind: take it to the token's device.

    Raises NotFoundError, OtherAccountError, UnknownTokenError, and what opening and asking raise.
    """
    if create and not path_of(where).exists():
        opened = _first(where, homeserver, token_file)
    else:
        opened = _again(where, homeserver, token_file, rebind=rebind)
    server, store = opened
    with server, store:
        yield server, store


def _first(where: str, homeserver: str | None, token_file: Path | None) -> tuple[Homeserver, SyncStore]:
    """A new store: the token says whose it is."""
    if token_file is None and not os.environ.get(VARIABLE):
        raise NotFoundError(f"{where} does not exist: log in, or give the token in {VARIABLE} or by --token-file")
    if homeserver is None:
        raise StoreError(f"{where} is a new store: say where the account lives (--homeserver)")
    server = Homeserver(homeserver, access_token=find_token("", "", token_file))
    owner = server.whoami()
    store = opened(where, user_id=owner.user_id, device_id=owner.device_id)
    store.bind(server.base_url, owner.device_id)
    return server, store


def _again(
    where: str, homeserver: str | None, token_file: Path | None, *, rebind: bool
) -> tuple[Homeserver, SyncStore]:
    store = opened(where, create=False)
    try:
        server = _server(store, homeserver, token_file, rebind=rebind)
    except BaseException:
        store.close()
        raise
    return server, store


def _server(store: SyncStore, homeserver: str | None, token_file: Path | None, *, rebind: bool) -> Homeserver:
    address = homeserver or store.homeserver
    if address is None:
        raise StoreError(f"{store.path} does not know where the account lives: give --homeserver")
    login = login_of(store.user_id, store.device_id)
    if token_file is None and not os.environ.get(VARIABLE) and login is not None and login.token_file is not None:
        token_file = Path(login.token_file)
    server = Homeserver(address, access_token=find_token(store.user_id, store.device_id or "", token_file))
    # The keyring files a token under its owner; any other one may be anybody's.
    if token_file is not None or os.environ.get(VARIABLE) or server.base_url != store.homeserver:
        owner = server.whoami()
        _check_owner(store, owner, rebind=rebind)
        if server.base_url != store.homeserver or store.device_id is None:
            store.bind(server.base_url, owner.device_id)
    return server


def _check_owner(store: SyncStore, owner: WhoAmI, *, rebind: bool) -> None:
    if owner.user_id != store.user_id:
        raise OtherAccountError(f"{store.path} belongs to {store.user_id}, the access token to {owner.user_id}")
    if None in (owner.device_id, store.device_id) or owner.device_id == store.device_id:
        return
    if not rebind or owner.device_id is None:
        raise OtherAccountError(
            f"{store.path} belongs to device {store.device_id}, the access token to {owner.device_id}: "
            "use another file, or take this one to the new login with `syncstore sync --rebind`"
        )
    store.rebind(owner.device_id)

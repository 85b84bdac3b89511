"""The store of a nio client: which file it is, when it is opened, and whose login it is for."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import nio

from syncstore.errors import NotFoundError
from syncstore.ingest import SyncStore


class StoreFile:
    """Opens a store when a login asks for it. `store` is None until then.

    given: a path, or an open store, which stays its owner's to close; None: a file named after the user in `folder`.
    """

    def __init__(
        self, given: str | os.PathLike[str] | SyncStore | None, folder: str | None, passphrase: str | None
    ) -> None:
        if isinstance(given, SyncStore) and passphrase is not None:
            raise TypeError("syncstore_passphrase: the store given as syncstore is open already")
        self.store = self._lent = given if isinstance(given, SyncStore) else None
        self._path = None if isinstance(given, SyncStore) else given
        self._folder = folder or ""
        self._passphrase = passphrase
        self._bound = False

    def open_old(self, user: str) -> None:
        """Open the file if it is there: what is wrong with it shows before a login has made a device.

        user: as nio logs in, an id or only the name in it.
        """
        if self.store is not None:
            return
        user_id = user if user.startswith("@") else None
        with suppress(NotFoundError):
            self.store = SyncStore.open(self._where(user), user_id=user_id, create=False, passphrase=self._passphrase)

    def open(self, user_id: str, device_id: str, homeserver: str) -> None:
        """Open the store for a login, made if there is none, and take it to the login's device."""
        if self.store is None:
            self.store = SyncStore.open(self._where(user_id), user_id=user_id, passphrase=self._passphrase)
        if self._bound:
            return
        store = self.store
        if store.user_id != user_id:
            raise nio.LocalProtocolError(f"the store {store.path} is of {store.user_id}, the login of {user_id}")
        if device_id and store.device_id not in (None, device_id):
            store.rebind(device_id)
        store.bind(homeserver, device_id or None)
        self._bound = True

    def close(self) -> None:
        """Close what was opened here; `open` opens it again."""
        if self.store is not None and self._lent is None:
            self.store.close()
            self.store, self._bound = None, False

    def _where(self, user: str) -> str | os.PathLike[str]:
        return Path(self._folder) / f"{quote(user, safe='@:')}.syncstore.db" if self._path is None else self._path

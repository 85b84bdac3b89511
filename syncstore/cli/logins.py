"""Who is logged in: one small file a login in the data folder. It says where the token is kept, never the token."""

from __future__ import annotations

import json
import os
from pathlib import Path

from msgspec import Struct
from msgspec.structs import asdict

from syncstore.cli.folder import folder, make_folder, safe_name
from syncstore.errors import StoreError

_SUFFIX = ".login.json"


class Login(Struct, frozen=True):
    """A login made by `syncstore login`. token_file: None if the keyring has the token."""

    user_id: str
    device_id: str
    homeserver: str
    store: str
    token_file: str | None


def logins() -> list[Login]:
    """All of them, by user and device."""
    return [_read(path) for path in sorted(folder().glob(f"*{_SUFFIX}"))]


def login_of(user_id: str, device_id: str | None) -> Login | None:
    """The login of one device, if there is one."""
    path = _path(user_id, device_id or "")
    return _read(path) if path.exists() else None


def remember(login: Login) -> None:
    """Note a login, in place of an older one of the same device."""
    make_folder()
    path = _path(login.user_id, login.device_id)
    new = path.with_name(f"{path.name}.new")
    try:
        handle = os.open(new, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            json.dump(asdict(login), file, indent=1)
        new.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from None


def forget(user_id: str, device_id: str) -> None:
    """Drop the note of a login; none is no error."""
    _path(user_id, device_id).unlink(missing_ok=True)


def _path(user_id: str, device_id: str) -> Path:
    return folder() / (safe_name(f"{user_id} {device_id}") + _SUFFIX)


def _read(path: Path) -> Login:
    try:
        return Login(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        raise StoreError(f"{path} is no note of a login: remove it and log in again") from None

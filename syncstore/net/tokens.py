"""Where an access token is kept: never in argv, in the database or in a log.

A file that was named counts first, then the environment, then the keyring of the desktop.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from syncstore.errors import RemoteError, UnknownTokenError
from syncstore.net.credentials import check_token

VARIABLE = "SYNCSTORE_ACCESS_TOKEN"
SERVICE = "syncstore"
_LIMIT = 1 << 16
_INSTEAD = f"set {VARIABLE} or use a token file"

T = TypeVar("T")


def find_token(user_id: str, device_id: str, token_file: str | Path | None = None) -> str:
    """Return the access token of a device.

    UnknownTokenError (soft_logout: the device is still there) if none is kept; RemoteError for a file that others can
    read, and for a keyring that does not work.
    """
    if token_file is not None:
        return _read(Path(token_file))
    token = os.environ.get(VARIABLE) or _keyring(lambda ring: ring.get_password(SERVICE, _name(user_id, device_id)))
    if not token:
        message = f"no access token kept for {user_id} on {device_id}: log in, {_INSTEAD}"
        raise UnknownTokenError(message, soft_logout=True)
    return token


def keep_token(user_id: str, device_id: str, token: str, token_file: str | Path | None = None) -> None:
    """Keep a device's token in the file if one is named, else in the keyring."""
    check_token(token)
    if token_file is not None:
        return _write(Path(token_file), token)
    name = _name(user_id, device_id)
    _keyring(lambda ring: ring.set_password(SERVICE, name, token))
    # keyring's null backend takes everything and keeps nothing.
    if _keyring(lambda ring: ring.get_password(SERVICE, name)) != token:
        raise RemoteError(f"the keyring did not keep the access token: {_INSTEAD}")
    return None


def drop_token(user_id: str, device_id: str, token_file: str | Path | None = None) -> None:
    """Forget a device's token; none kept is no error."""
    if token_file is not None:
        return Path(token_file).unlink(missing_ok=True)
    name = _name(user_id, device_id)
    if _keyring(lambda ring: ring.get_password(SERVICE, name)) is not None:
        _keyring(lambda ring: ring.delete_password(SERVICE, name))
    return None


def _name(user_id: str, device_id: str) -> str:
    return f"{user_id} {device_id}"


def _keyring(ask: Callable[[Any], T]) -> T:
    try:
        import keyring
    except ImportError:
        reason = "is not installed (pip install 'syncstore[cli]')"
    else:
        try:
            return ask(keyring)
        except Exception as error:  # a backend raises whatever the libraries of its desktop raise
            # The name alone: nobody knows what a backend puts into its text.
            reason = f"does not work ({type(error).__name__})"
    raise RemoteError(f"the keyring {reason}: {_INSTEAD}")


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            # Of the open file, not of the name: the two may differ by the time of reading.
            mode = os.fstat(file.fileno()).st_mode
            if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise RemoteError(f"token file {path} is open to others (mode {stat.S_IMODE(mode):03o}): chmod 600 it")
            text = file.read(_LIMIT).decode("ascii").strip()
    except UnicodeDecodeError:
        text = ""
    except OSError as error:
        raise RemoteError(f"token file {path}: {error.strerror}") from None
    if not text or len(text.split()) != 1:
        raise RemoteError(f"token file {path}: expected one line with the access token")
    return text


def _write(path: Path, token: str) -> None:
    # mkstemp makes the file 0600 before anything is in it; the rename replaces an older one at once.
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(f"{token}\n")
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise RemoteError(f"token file {path}: {error.strerror}") from None

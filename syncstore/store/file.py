"""The file itself: made readable for its owner alone, and refused with one clear line when it cannot be a store."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from syncstore.errors import NotFoundError, StoreError, StoreFullError
from syncstore.store.connection import Connections
from syncstore.store.driver import is_still
from syncstore.store.durable import to_disk
from syncstore.store.format import prepare
from syncstore.store.key import Key
from syncstore.store.unlock import try_key, unlocked


def path_of(where: str | os.PathLike[str]) -> Path:
    """A path, or the file of a SQLAlchemy URL such as sqlite:///alice.db; StoreError for anything else."""
    text = os.fspath(where)
    if "://" not in text:
        if not text or text == ":memory:":
            raise StoreError("a store is a file: give its path")
        return Path(text).expanduser()
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise StoreError(f"{text} is no database URL: {error}") from None
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        raise StoreError(f"{url.render_as_string()}: only files of SQLite are supported (sqlite:///path)")
    return Path(url.database)


def open_file(
    path: Path,
    *,
    user_id: str | None,
    device_id: str | None,
    read_only: bool,
    create: bool,
    passphrase: str | None = None,
) -> Connections:
    """Connections to a store at today's format, made if there is none and `create` says so.

    passphrase: of an encrypted file, None for one that is not. Raises StoreError and its kinds; the file is
    left as it was.
    """
    made = False
    if not path.exists():
        if read_only or not create:
            raise NotFoundError(f"{path} does not exist")
        if user_id is None:
            raise StoreError(f"{path} does not exist: to make a new store, say whose it is (user_id)")
        made = _make(path)
    else:
        _look(path, read_only)
    try:
        if not read_only:
            _check_owner(path)
        return unlocked(path, passphrase, lambda key: _connect(path, key, user_id, device_id, read_only))
    except BaseException:
        # A store that could not be made leaves nothing behind, unless another process has written to it meanwhile.
        if made and path.stat().st_size == 0:
            path.unlink()
        raise


def _connect(path: Path, key: Key | None, user_id: str | None, device_id: str | None, read_only: bool) -> Connections:
    connections = Connections(path, key=key, read_only=read_only, immutable=read_only and is_still(path))
    try:
        if key is not None:
            try_key(connections)
        prepare(connections, user_id, device_id)
        if not read_only:
            _secure(path)
    except BaseException:
        connections.close()
        raise
    return connections


def _secure(path: Path) -> None:
    """A process that was killed between writing a commit and syncing it left it to us: SQLite takes it for committed.

    Whoever asks from its token tells the server that its to-device messages are on the disk (promise 4).
    """
    try:
        to_disk(Path(f"{path}-wal"))
    except FileNotFoundError:
        pass  # closed in good order: all is in the file
    except OSError as error:
        raise _told(error, path, "cannot be synced") from None


def _make(path: Path) -> bool:
    """Create the file with mode 0600 before SQLite opens it; its WAL and index follow that mode."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_CLOEXEC", 0), 0o600))
    except FileExistsError:
        if not path.exists():
            raise StoreError(f"{path} is a link that leads nowhere") from None
        return False
    except OSError as error:
        raise _told(error, path, "cannot be created") from None
    return True


def _look(path: Path, read_only: bool) -> None:
    if path.is_dir():
        raise StoreError(f"{path} is a folder, not a store")
    # Not opened to look into it: closing it again would take away every lock that this process has on the file.
    if not os.access(path, os.R_OK):
        raise StoreError(f"{path} cannot be read: Permission denied")
    if not read_only:
        for needed in (path, path.parent):
            if not os.access(needed, os.W_OK):
                raise StoreError(f"{path} cannot be written: no permission to write {needed}")


def _check_owner(path: Path) -> None:
    """Refuse what another user has put there: whoever owns the file, or the WAL that SQLite would go on with, reads it.

    An empty file becomes a store, and its owner's alone, whoever we are; a store of somebody else is for root only.
    """
    if os.name != "posix":
        return
    there, ours = path.stat(), os.geteuid()
    owner, new = there.st_uid, there.st_size == 0
    if owner not in ((ours,) if new else (ours, 0)) and (new or ours != 0):
        raise StoreError(f"{path} belongs to another user")
    for beside in (Path(f"{path}{suffix}") for suffix in ("-wal", "-shm", "-journal")):
        with suppress(FileNotFoundError):
            found = beside.lstat()
            if stat.S_ISLNK(found.st_mode) or found.st_uid not in (owner, ours, 0):
                raise StoreError(f"{beside} was put there by somebody else: remove it")
    if new:
        path.chmod(0o600)


def _told(error: OSError, path: Path, what: str) -> StoreError:
    kind = StoreFullError if error.errno == 28 else StoreError
    return kind(f"{path} {what}: {error.strerror}")

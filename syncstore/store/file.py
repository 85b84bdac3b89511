"""The file itself: made readable for its owner alone, and refused with one clear line when it cannot be a store."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from syncstore.errors import CorruptStoreError, NotFoundError, StoreError, StoreFullError
from syncstore.store.connection import Connections
from syncstore.store.failures import ADVICE
from syncstore.store.format import prepare

_MAGIC = b"SQLite format 3\x00"


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


def open_file(path: Path, *, user_id: str | None, device_id: str | None, read_only: bool, create: bool) -> Connections:
    """Connections to a store at today's format, made if there is none and `create` says so.

    Raises StoreError and its kinds; the file is left as it was.
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
        return _connect(path, user_id, device_id, read_only)
    except BaseException:
        # A store that could not be made leaves nothing behind, unless another process has written to it meanwhile.
        if made and path.stat().st_size == 0:
            path.unlink()
        raise


def _connect(path: Path, user_id: str | None, device_id: str | None, read_only: bool) -> Connections:
    connections = Connections(path, read_only=read_only, immutable=read_only and _is_still(path))
    try:
        prepare(connections, user_id, device_id)
    except BaseException:
        connections.close()
        raise
    return connections


def _is_still(path: Path) -> bool:
    """A closed file in a folder we cannot write: SQLite could not make its WAL index there, and needs none."""
    return not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists()


def _make(path: Path) -> bool:
    """Create the file with mode 0600 before SQLite opens it; its WAL and index follow that mode."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_CLOEXEC", 0), 0o600))
    except FileExistsError:
        return False
    except OSError as error:
        raise _told(error, path, "cannot be created") from None
    return True


def _look(path: Path, read_only: bool) -> None:
    if path.is_dir():
        raise StoreError(f"{path} is a folder, not a store")
    try:
        with path.open("rb") as file:
            head = file.read(len(_MAGIC))
    except OSError as error:
        raise _told(error, path, "cannot be read") from None
    if head and head != _MAGIC:
        raise CorruptStoreError(f"{path} is not a SQLite database; {ADVICE}")
    if not read_only:
        for needed in (path, path.parent):
            if not os.access(needed, os.W_OK):
                raise StoreError(f"{path} cannot be written: no permission to write {needed}")


def _told(error: OSError, path: Path, what: str) -> StoreError:
    kind = StoreFullError if error.errno == 28 else StoreError
    return kind(f"{path} {what}: {error.strerror}")

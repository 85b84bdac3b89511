"""A layer under SQLite: every write, sync, truncation, opening and deletion of a file passes through Python.

The library's own connections go through it while `under` lasts, with no option of theirs: it is a sqlite3_vfs beside
the default one, made of its parts. SQLite's methods of an open file are a table of functions; a file opened here gets a
copy of the default one's table, in which only those to be watched are ours. All others (locks, shared memory, mapped
pages) are the default's, called without detour.
"""

from __future__ import annotations

import ctypes
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol
from unittest import mock

from tests.encrypted import ENCRYPTED, module

# The module in C; with SQLCipher, SQLite is a part of it.
EXTENSION = "sqlcipher3._sqlite3" if ENCRYPTED else "_sqlite3"
NAME = "faults"
OK = 0
CREATE = 0x4

_File = c_void_p
_CLOSE = CFUNCTYPE(c_int, _File)
_READ = CFUNCTYPE(c_int, _File, c_void_p, c_int, c_int64)
_WRITE = CFUNCTYPE(c_int, _File, c_void_p, c_int, c_int64)
_TRUNCATE = CFUNCTYPE(c_int, _File, c_int64)
_SYNC = CFUNCTYPE(c_int, _File, c_int)
_SHM_MAP = CFUNCTYPE(c_int, _File, c_int, c_int, c_int, c_void_p)
# The name as an address: SQLite's files keep that, not a copy of the text.
_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, _File, c_int, POINTER(c_int))
_DELETE = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
_OPEN_FOLDER = CFUNCTYPE(c_int, c_char_p, c_void_p)
_GET_CALL = CFUNCTYPE(c_void_p, c_void_p, c_char_p)
_SET_CALL = CFUNCTYPE(c_int, c_void_p, c_char_p, c_void_p)


class _Methods(Structure):
    """sqlite3_io_methods. Source: https://sqlite.org/c3ref/io_methods.html"""

    _fields_ = [
        ("iVersion", c_int),
        *[(name, c_void_p) for name in ("xClose", "xRead", "xWrite", "xTruncate", "xSync", "xFileSize")],
        *[(name, c_void_p) for name in ("xLock", "xUnlock", "xCheckReservedLock", "xFileControl", "xSectorSize")],
        *[(name, c_void_p) for name in ("xDeviceCharacteristics", "xShmMap", "xShmLock", "xShmBarrier", "xShmUnmap")],
        *[(name, c_void_p) for name in ("xFetch", "xUnfetch")],
    ]


class _Vfs(Structure):
    """sqlite3_vfs. Source: https://sqlite.org/c3ref/vfs.html"""

    _fields_ = [
        *[(name, c_int) for name in ("iVersion", "szOsFile", "mxPathname")],
        ("pNext", c_void_p),
        ("zName", c_char_p),
        *[(name, c_void_p) for name in ("pAppData", "xOpen", "xDelete", "xAccess", "xFullPathname", "xDlOpen")],
        *[(name, c_void_p) for name in ("xDlError", "xDlSym", "xDlClose", "xRandomness", "xSleep", "xCurrentTime")],
        *[(name, c_void_p) for name in ("xGetLastError", "xCurrentTimeInt64")],
        *[(name, c_void_p) for name in ("xSetSystemCall", "xGetSystemCall", "xNextSystemCall")],
    ]


class Layer(Protocol):
    """What watches. `before` may refuse with a result code; `after` hears of what was done."""

    def before(self, what: str, path: str) -> int:
        """OK, or the code to fail with. what: open, read, write, truncate, sync, delete, shm."""

    def after(self, what: str, path: str, offset: int, data: bytes) -> None:
        """It was done. `offset`: of a write; the new size of a truncation."""


class _Silent:
    """Watches nothing."""

    def before(self, what: str, path: str) -> int:
        return OK

    def after(self, what: str, path: str, offset: int, data: bytes) -> None:
        pass


def library() -> ctypes.CDLL | None:
    """The SQLite under the stores of this run; None if it shows no symbols (built into Python, and stripped)."""
    with Path("/proc/self/maps").open() as maps:
        loaded = {line.split()[-1] for line in maps if "libsqlite3" in line}
    with closing(module().connect(":memory:")) as db:
        source = db.execute("SELECT sqlite_source_id()").fetchone()[0]
    for name in (*sorted(loaded), getattr(import_module(EXTENSION), "__file__", None), None):
        found = ctypes.CDLL(name)
        if hasattr(found, "sqlite3_vfs_find"):
            found.sqlite3_sourceid.restype = c_char_p
            found.sqlite3_vfs_find.restype = POINTER(_Vfs)
            if found.sqlite3_sourceid().decode() == source:
                return found
    return None


class _Shim:
    """The layer's C side: made once for a process, never taken away."""

    def __init__(self, sqlite: ctypes.CDLL) -> None:
        self.layer: Layer = _Silent()
        self._names: dict[int, str] = {}  # open files, by their address
        self._tables: dict[int, _Methods] = {}  # by the address of the table each is made of
        self._kept: list[Any] = []  # what C calls must not be collected
        default = sqlite.sqlite3_vfs_find(None).contents
        self._default = default
        self._vfs = _Vfs.from_buffer_copy(default)
        self._vfs.zName = NAME.encode()
        self._vfs.xOpen = self._c(_OPEN, self._opening(_OPEN(default.xOpen)))
        self._vfs.xDelete = self._c(_DELETE, self._deleting(_DELETE(default.xDelete)))
        self._watch_folders()
        code = sqlite.sqlite3_vfs_register(ctypes.byref(self._vfs), 0)
        assert code == OK, code

    def _c(self, kind: Any, function: Callable[..., int]) -> int:
        made = kind(function)
        self._kept.append(made)
        address = ctypes.cast(made, c_void_p).value
        assert address is not None
        return address

    def _opening(self, real: Callable[..., int]) -> Callable[..., int]:
        def opened(_: int, name: int | None, file: int, flags: int, told: Any) -> int:
            path = ctypes.string_at(name).decode() if name else ""
            methods = c_void_p.from_address(file)
            methods.value = None
            code = self.layer.before("open", path) or real(ctypes.addressof(self._default), name, file, flags, told)
            if code == OK and methods.value:
                self._names[file] = path
                methods.value = ctypes.addressof(self._table(methods.value))
                self.layer.after("open", path, flags & CREATE, b"")
            return code

        return opened

    def _deleting(self, real: Callable[..., int]) -> Callable[..., int]:
        def deleted(_: int, name: bytes, sync_folder: int) -> int:
            path = name.decode()
            code = self.layer.before("delete", path)
            code = code or real(ctypes.addressof(self._default), name, sync_folder)
            if code == OK:
                self.layer.after("delete", path, 0, b"")
            if code == OK and sync_folder:  # it was heard of too early, in the midst of the deletion
                self.layer.after("sync folder", str(Path(path).parent), 0, b"")
            return code

        return deleted

    def _watch_folders(self) -> None:
        """The default opens a folder only to sync it: then what was made and deleted in it is on the disk."""
        real = _OPEN_FOLDER(_GET_CALL(self._default.xGetSystemCall)(None, b"openDirectory"))

        def opened(name: bytes, told: Any) -> int:
            code: int = real(name, told)
            self.layer.after("sync folder", str(Path(name.decode()).parent), 0, b"")
            return code

        _SET_CALL(self._default.xSetSystemCall)(None, b"openDirectory", self._c(_OPEN_FOLDER, opened))

    def _table(self, address: int) -> _Methods:
        if address not in self._tables:
            real = _Methods.from_address(address)
            ours = _Methods.from_buffer_copy(real)
            ours.xClose = self._c(_CLOSE, self._closing(_CLOSE(real.xClose)))
            ours.xRead = self._c(_READ, self._passing("read", _READ(real.xRead)))
            ours.xWrite = self._c(_WRITE, self._writing(_WRITE(real.xWrite)))
            ours.xTruncate = self._c(_TRUNCATE, self._passing("truncate", _TRUNCATE(real.xTruncate)))
            ours.xSync = self._c(_SYNC, self._passing("sync", _SYNC(real.xSync)))
            if real.xShmMap:
                ours.xShmMap = self._c(_SHM_MAP, self._passing("shm", _SHM_MAP(real.xShmMap)))
            self._tables[address] = ours
        return self._tables[address]

    def _closing(self, real: Callable[..., int]) -> Callable[..., int]:
        def closed(file: int) -> int:
            self._names.pop(file, None)
            return real(file)

        return closed

    def _writing(self, real: Callable[..., int]) -> Callable[..., int]:
        def written(file: int, data: int, size: int, offset: int) -> int:
            path = self._names[file]
            code = self.layer.before("write", path) or real(file, data, size, offset)
            if code == OK:
                self.layer.after("write", path, offset, ctypes.string_at(data, size))
            return code

        return written

    def _passing(self, what: str, real: Callable[..., int]) -> Callable[..., int]:
        def passed(file: int, *arguments: int) -> int:
            path = self._names[file]
            code = self.layer.before(what, path) or real(file, *arguments)
            if code == OK and what in ("truncate", "sync"):
                self.layer.after(what, path, arguments[0], b"")
            return code

        return passed


_shims: list[_Shim] = []


def shim() -> _Shim | None:
    """This process's layer; None where SQLite's functions cannot be reached."""
    if not _shims and (sqlite := library()) is not None:
        _shims.append(_Shim(sqlite))
    return _shims[0] if _shims else None


@contextmanager
def under(layer: Layer) -> Iterator[None]:
    """Connections that are opened inside go through this layer."""
    layers = shim()
    assert layers is not None
    connect = module().connect

    def connected(where: Any, *arguments: Any, **named: Any) -> sqlite3.Connection:
        uri = str(where) if named.get("uri") else Path(where).absolute().as_uri()
        uri += f"{'&' if '?' in uri else '?'}vfs={NAME}"
        made: sqlite3.Connection = connect(uri, *arguments, **named | {"uri": True})
        return made

    with mock.patch.object(module(), "connect", connected):
        layers.layer = layer
        try:
            yield
        finally:
            layers.layer = _Silent()

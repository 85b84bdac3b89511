"""A disk that loses power: what was synced is there, of anything later there may be nothing, some, or a torn part.

A Recorder notes what passes to the files of a folder. `after_loss` makes the folder that a machine could find when it
comes up again, had the power gone at any moment of the record. Names are lost like contents: a file that was made or
deleted is so for sure only once its folder was synced.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from .vfs import OK, under

SECTOR = 512


class Done(NamedTuple):
    """One thing done to a file (by number), to a name, or to the folder; or a note of the test."""

    what: str
    file: int = 0
    name: str = ""
    offset: int = 0
    data: bytes = b""
    note: object = None


class Recorder:
    """Watches the files of one folder; what lies there when it begins is taken as synced, unless `synced` says what is.

    synced: name to content, of files that have been written to since they were last synced.
    """

    def __init__(self, folder: Path, synced: dict[str, bytes] | None = None) -> None:
        self.folder = folder
        self.log: list[Done] = []
        self._numbers: dict[str, int] = {}
        self._count = 0
        self.start: dict[str, tuple[int, bytes]] = {}
        known = synced if synced is not None else {}
        for path in sorted(one for one in folder.iterdir() if one.is_file()):
            if not path.name.endswith("-shm"):
                self._begin_with(path.name, known.get(path.name) if synced is not None else path.read_bytes())

    def _begin_with(self, name: str, content: bytes | None) -> None:
        if content is not None:
            self._numbers[name] = self._new_number()
            self.start[name] = (self._numbers[name], content)
        else:
            self._created(name)
        if (now := (self.folder / name).read_bytes()) != content:
            self.log += [
                Done("truncate", self._numbers[name], offset=0),
                Done("write", self._numbers[name], offset=0, data=now),
            ]

    def note(self, note: object) -> None:
        """Remember something at this moment."""
        self.log.append(Done("note", note=note))

    def before(self, what: str, path: str) -> int:
        return OK

    def after(self, what: str, path: str, offset: int, data: bytes) -> None:
        if what == "sync folder":
            if Path(path) == self.folder:
                self.log.append(Done("sync folder"))
            return
        name = Path(path).name
        if Path(path).parent != self.folder:
            return
        if what == "delete":
            self.log.append(Done("delete", self._numbers.pop(name), name))
            return
        if name not in self._numbers:
            self._created(name)
        if what != "open":
            self.log.append(Done(what, self._numbers[name], name, offset, data))

    def fsynced(self, number: int) -> None:
        """Python's own fsync of a descriptor."""
        path = Path(f"/proc/self/fd/{number}").readlink()
        self.after("sync folder" if path.is_dir() else "sync", str(path), 0, b"")

    def _created(self, name: str) -> None:
        self._numbers[name] = self._new_number()
        self.log.append(Done("create", self._numbers[name], name))

    def _new_number(self) -> int:
        self._count += 1
        return self._count


@contextmanager
def recorded(recorder: Recorder) -> Iterator[None]:
    """Whatever connections opened inside write is recorded, and what the library syncs itself."""
    fsync: Callable[[int], None] = os.fsync

    def synced(number: int) -> None:
        fsync(number)
        recorder.fsynced(number)

    with under(recorder), mock.patch.object(os, "fsync", synced):
        yield


class _File:
    """What surely is on the disk, and what has been done since."""

    def __init__(self, content: bytes = b"") -> None:
        self.synced = bytearray(content)
        self.later: list[Done] = []

    def sync(self) -> None:
        for done in self.later:
            _do(self.synced, done, len(done.data))
        self.later = []

    def lost(self, draw: random.Random) -> bytes:
        content = bytearray(self.synced)
        fate = draw.choice(["none", "some", "torn", "all"])
        count = len(self.later)
        if fate == "torn" and count:
            count = draw.randrange(count)
            torn = self.later[count]
            kept = draw.randrange(0, len(torn.data) + 1, SECTOR)
        for at, done in enumerate(self.later):
            if fate == "all" or (fate == "torn" and at < count) or (fate == "some" and draw.random() < 0.5):
                _do(content, done, len(done.data))
            elif fate == "torn" and at == count and done.what == "write":
                _do(content, torn, kept)
        return bytes(content)


def _do(content: bytearray, done: Done, kept: int) -> None:
    """A truncation, or the first `kept` bytes of a write."""
    if done.what == "truncate":
        del content[done.offset :]
    elif kept:
        content.extend(bytes(max(0, done.offset - len(content))))
        content[done.offset : done.offset + kept] = done.data[:kept]


def after_loss(recorder: Recorder, moment: int, draw: random.Random, target: Path) -> None:
    """Fill the empty folder `target` with what could be left had the power gone after so many entries of the log."""
    files = {number: _File(content) for number, content in recorder.start.values()}
    names = {name: number for name, (number, _) in recorder.start.items()}
    synced = dict(names)
    for done in recorder.log[:moment]:
        if done.what == "create":
            files[done.file] = _File()
            names[done.name] = done.file
        elif done.what == "delete":
            del names[done.name]
        elif done.what == "sync folder":
            synced = dict(names)
        elif done.what == "sync":
            files[done.file].sync()
        elif done.what in ("write", "truncate"):
            files[done.file].later.append(done)
    for name in {**synced, **names}:
        number = draw.choice([synced.get(name), names.get(name)])
        if number is not None:
            (target / name).write_bytes(files[number].lost(draw))

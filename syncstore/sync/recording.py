"""Recordings: every response with what its request carried, so that a sync problem can be played again.

A folder of pairs, `000001.request.json` and `000001.body.json`. The body is kept byte by byte; the request never holds
an access token. Bodies are private: files are readable for their owner alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from syncstore.errors import NotFoundError, StoreError
from syncstore.model.text import is_text, printable

_REQUEST, _BODY = ".request.json", ".body.json"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A response and its request. `told` false: a bare body, whose request is not known."""

    body: bytes
    since: str | None = None
    held: str | None = None
    full_state: bool = False
    joined: list[str] | None = None
    user_id: str | None = None
    device_id: str | None = None
    told: bool = True


class Recorder:
    """Adds responses to a folder, which is made if it is missing."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._number = max((int(path.name[:6]) for path in self._folder.glob(f"*{_REQUEST}")), default=0)
        except (OSError, ValueError) as error:
            raise StoreError(f"{self._folder} cannot hold a recording: {error}") from None

    def keep(self, one: Recorded) -> None:
        """Write one response; the request last, so that a pair is whole once its request is there."""
        self._number += 1
        stem = f"{self._number:06d}"
        request = {key: value for key, value in asdict(one).items() if key not in ("body", "told")}
        self._write(stem + _BODY, one.body)
        self._write(stem + _REQUEST, json.dumps(request, indent=1).encode())

    def take_back(self) -> None:
        """Remove the newest response: it was overtaken and is no part of what the store went through."""
        stem = f"{self._number:06d}"
        for name in (stem + _REQUEST, stem + _BODY):
            (self._folder / name).unlink(missing_ok=True)
        self._number -= 1

    def _write(self, name: str, content: bytes) -> None:
        path = self._folder / name
        try:
            with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                file.write(content)
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror}") from None


def recorded(where: str | os.PathLike[str]) -> Iterator[Recorded]:
    """The responses of a recording in their order, or the one body of a file.

    Raises NotFoundError for a path that is neither, StoreError for a request that cannot be read.
    """
    path = Path(where)
    if path.is_dir():
        requests = sorted(path.glob(f"*{_REQUEST}"))
        if not requests:
            raise NotFoundError(f"{path} holds no recording (no *{_REQUEST})")
        for request in requests:
            yield _pair(request)
    elif path.is_file():
        yield Recorded(path.read_bytes(), told=False)
    else:
        raise NotFoundError(f"{path} does not exist")


def _pair(request: Path) -> Recorded:
    body = request.with_name(request.name.replace(_REQUEST, _BODY))
    try:
        one = Recorded(body=body.read_bytes(), **json.loads(request.read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise StoreError(f"{request} cannot be read as a recorded request: {printable(str(error))}") from None
    for name, right in _rightly_typed(one).items():
        if not right:
            raise StoreError(f"{request} cannot be read as a recorded request: {name} is not of its type")
    return one


def _rightly_typed(one: Recorded) -> dict[str, bool]:
    texts = {name: getattr(one, name) for name in ("since", "held", "user_id", "device_id")}
    return {name: value is None or is_text(value) for name, value in texts.items()} | {
        "full_state": isinstance(one.full_state, bool),
        "told": one.told is True,
        "joined": one.joined is None or (isinstance(one.joined, list) and all(map(is_text, one.joined))),
    }

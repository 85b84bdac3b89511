"""What a homeserver answered: whole bodies for the wire wing, and the few short answers that are read here."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, TypeVar

from syncstore.errors import ServerError, UnreachableError
from syncstore.model.text import is_text

T = TypeVar("T")

# Bytes of an answer that is decoded whole: JSON grows up to thirtyfold when it becomes objects of Python.
_SHORT = 1 << 24


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole body as it came, decompressed, and the request it answers.

    ms: from sending the last attempt to the end of the body. path: below the base URL. query: as sent, never the
    token.
    """

    body: bytes | bytearray = field(repr=False)
    status: int
    ms: int
    path: str
    query: dict[str, str]


@dataclass(frozen=True, slots=True)
class Login:
    """A new login. The token is left out of the repr."""

    user_id: str
    device_id: str
    access_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """Whose token this is; appservices have no device."""

    user_id: str
    device_id: str | None


def decode(answer: Answer) -> Any:
    """Return the JSON value of an answer; UnreachableError if it is none."""
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        pass  # raised outside: the exception of json holds the whole body, a token perhaps
    raise UnreachableError(f"{answer.path}: the answer is no JSON")


def pick(answer: Answer, key: str, kind: type[T]) -> T:
    """Return one key of a short answer that must be an object.

    ServerError if it is missing, not of that type, or a text that no column can hold.
    """
    if len(answer.body) > _SHORT:
        raise ServerError(f"{answer.path}: the answer is longer than {_SHORT} bytes", status=answer.status)
    found = decode(answer)
    value = found.get(key) if isinstance(found, dict) else None
    if not isinstance(value, kind) or (kind is str and not is_text(value)):
        raise ServerError(f"{answer.path}: the answer lacks {key!r} ({kind.__name__})", status=answer.status)
    return value

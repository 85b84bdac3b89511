"""The workload as a file for programs in other languages: before each body its length, eight bytes, big-endian."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def write(path: Path, bodies: Iterable[bytes]) -> None:
    """Write the bodies in order."""
    with path.open("wb") as file:
        for body in bodies:
            file.write(len(body).to_bytes(8, "big") + body)

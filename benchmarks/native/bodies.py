"""The workload as a file that programs in other languages read: before each body its length, eight bytes, big-endian."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_LENGTH = 8


def write(path: Path, bodies: Iterable[bytes]) -> None:
    """Write the bodies in order."""
    with path.open("wb") as file:
        for body in bodies:
            file.write(len(body).to_bytes(_LENGTH, "big") + body)


def read(path: Path) -> list[bytes]:
    """The bodies of a file, in order. ValueError if it ends within one."""
    data = path.read_bytes()
    bodies, at = [], 0
    while at < len(data):
        start = at + _LENGTH
        at = start + int.from_bytes(data[at:start], "big")
        if start > len(data) or at > len(data):
            raise ValueError(f"{path}: ends within body {len(bodies) + 1}")
        bodies.append(data[start:at])
    return bodies

"""Files that SQLite does not sync for us."""

from __future__ import annotations

import os
from pathlib import Path


def to_disk(path: Path) -> None:
    """Let a file's content, and its name in its folder, outlast a loss of power.

    Never for a file that SQLite has open under its own name: closing our descriptor would take away the locks that this
    process has on it. OSError if there is no such file, or if the disk fails.
    """
    for one in (path, path.absolute().parent) if os.name == "posix" else (path,):
        sync(one)


def sync(one: Path) -> None:
    """The same for one file's content, or for the names in one folder."""
    number = os.open(one, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)

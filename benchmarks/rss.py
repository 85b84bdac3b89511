"""Resident memory of this process, in bytes, as Linux counts it."""

from __future__ import annotations

from pathlib import Path


def now() -> int:
    """What is resident now."""
    return _read("VmRSS")


def peak() -> int:
    """The most that ever was, since this program was started."""
    # Not getrusage: its number is inherited from the process that started this one.
    return _read("VmHWM")


def _read(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))

"""Fresh processes that print numbers."""

from __future__ import annotations

import subprocess
import sys


def numbers(script: str, *arguments: object) -> list[float]:
    """What a script printed, run by this Python in a process of its own. RuntimeError with its words if it failed."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return [float(word) for word in done.stdout.split()]

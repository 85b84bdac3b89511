"""How long the tests that loop shall loop: a little in `make test`, in `make torture` as long as it takes to trust."""

from __future__ import annotations

import os

VARIABLE = "SYNCSTORE_TORTURE"


def times(usual: int, torture: int) -> int:
    """How many rounds: `usual`, or `torture` where SYNCSTORE_TORTURE is set."""
    return torture if os.environ.get(VARIABLE) else usual

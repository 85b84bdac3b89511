"""The scenario, in chapters that do not need each other.

A chapter acts on the stage and yields where the three clients shall sync and be compared with the server; what
it yields says what has just happened. After the yield it may look at the clients itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..stage import Stage
from ..trio import Trio
from . import account, forks, lazy, membership, state

Chapter = Callable[[Stage, Trio], Iterator[str]]

# The account chapters end with a change of device, so they come last.
CHAPTERS: list[Chapter] = [
    *membership.CHAPTERS,
    *state.CHAPTERS,
    *lazy.CHAPTERS,
    *forks.CHAPTERS,
    *account.CHAPTERS,
]

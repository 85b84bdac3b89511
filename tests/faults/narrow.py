"""A process that may write files of a certain size only: `python -m tests.faults.narrow FILE BYTES SEED`.

Takes a history into a store until there is no more room; is then given more, and goes on in the same process. Prints
how often it was refused. A limit on the size of files is what a full disk is to SQLite: no byte more.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from syncstore.errors import StoreFullError

from .world import World, dump, fill_all, open_store, sync_all


def narrowed(path: Path, step: int, seed: int) -> int:
    """How often there was no room; each time `step` bytes more are granted."""
    world, refused, room = World(seed), 0, step
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    while refused < 10_000:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, most))
        try:
            with open_store(path) as store:
                while True:
                    try:
                        sync_all(store, world)
                        fill_all(store, world)
                        break
                    except StoreFullError as error:
                        refused += 1
                        assert str(path) in str(error)
                        before = dump(path)
                        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
                        assert store.check() == []
                        assert dump(path) == before
                        room += step
                        resource.setrlimit(resource.RLIMIT_FSIZE, (room, most))
            return refused
        except StoreFullError:
            refused += 1  # not even an empty store had room
            room += step
    raise AssertionError("no room is ever enough")


if __name__ == "__main__":
    print(narrowed(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))  # noqa: T201

"""A process that sends an outbox: `python -m tests.e2e.flusher STORE URL`, the access token on standard input."""

from __future__ import annotations

import sys

from syncstore import Homeserver, Syncer, SyncStore


def main(path: str, url: str, token: str) -> None:
    """Sync once and flush until nothing is queued or on its way without an answer."""
    with SyncStore.open(path) as store, Homeserver(url, access_token=token) as server:
        syncer = Syncer(server, store)
        syncer.run_once()
        syncer.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.stdin.read().strip())

"""The wire between a client and the homeserver, which breaks when told to: also between a request and its answer."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_CHUNK = 1 << 16
_MOST = 6  # chunks that a connection carries before it breaks


class Cable:
    """Listens on loopback and carries every connection to `base_url`. A context manager.

    While `breaking`, each connection breaks after a random number of chunks, whichever way they go. `broken` counts.
    """

    def __init__(self, base_url: str, seed: int) -> None:
        self._to = urlsplit(base_url)
        self._random = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.breaking = False
        self.broken = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        left = [self._random.randrange(_MOST) if self.breaking else 1 << 60]
        try:
            far = socket.create_connection((self._to.hostname or "", self._to.port or 80), timeout=60)
        except OSError:
            near.close()  # the server is gone
            return
        ends = ((near, far), (far, near))
        threads = [threading.Thread(target=self._pump, args=(*pair, left), daemon=True) for pair in ends]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for end in (near, far):
            end.close()

    def _pump(self, source: socket.socket, target: socket.socket, left: list[int]) -> None:
        """Carry chunks until one end closes or the wire breaks; then both ends hear of it."""
        try:
            while left[0] > 0 and (chunk := source.recv(_CHUNK)):
                left[0] -= 1
                target.sendall(chunk)
            self.broken += left[0] <= 0
        except OSError:
            pass
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

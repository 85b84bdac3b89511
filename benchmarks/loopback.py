"""A homeserver on loopback that answers every /sync with one body out of a file."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, body: Path, *args: Any) -> None:
        self.body = body
        super().__init__(*args)

    def do_POST(self) -> None:
        """Keep a filter."""
        self.rfile.read(int(self.headers["Content-Length"]))
        answer = b'{"filter_id": "1"}'
        self._head(len(answer))
        self.wfile.write(answer)

    def do_GET(self) -> None:
        """Answer a sync."""
        self._head(self.body.stat().st_size)
        with self.body.open("rb") as file:
            shutil.copyfileobj(file, self.wfile)

    def _head(self, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(body: Path) -> Iterator[str]:
    """The base URL, for as long as the block lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, body))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

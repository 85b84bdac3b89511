"""A homeserver that says what a test tells it to, and a bot of mautrix that syncs with it."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from mautrix.types import DeviceID, UserID

from syncstore import SyncStore
from syncstore.adapters.mautrix import Client
from tests.store.bodies import ME, Body

Answer = tuple[int, bytes]
Said = Body | bytes | Answer | Callable[[], bytes]
_HELD_SECONDS = 0.2  # a long poll of this server


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # the client went away in the middle of a long poll


class Server:
    """On loopback. /sync gives what was said, one after the other, then holds each request and says nothing new."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.filters: list[dict[str, Any]] = []
        self.sent: list[dict[str, Any]] = []
        self.others: dict[str, Any] = {}
        self.at_once = False  # also without news
        self._said: list[Said] = []
        self._http = _Quiet(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()

    def say(self, *said: Said) -> None:
        self._said += said

    @property
    def sinces(self) -> list[str | None]:
        """What the requests for /sync carried."""
        return [query.get("since") for _, path, query in self.seen if path.endswith("/sync")]

    def asked(self, ending: str) -> list[dict[str, str]]:
        """The queries of the requests whose path ends so."""
        return [query for _, path, query in self.seen if path.endswith(ending)]

    def _answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> Answer:
        self.seen.append((method, path, query))
        for ending, value in self.others.items():
            if path.endswith(ending):
                return 200, value if isinstance(value, bytes) else json.dumps(value).encode()
        if "/send/" in path:
            self.sent.append(json.loads(body))
            return 200, b'{"event_id": "$sent"}'
        if path.endswith("/filter"):
            self.filters.append(json.loads(body))
            return 200, json.dumps({"filter_id": f"f{len(self.filters)}"}).encode()
        if not path.endswith("/sync"):
            return 404, b'{"errcode": "M_UNRECOGNIZED", "error": "what?"}'
        if self._said:
            said = self._said.pop(0)
            if isinstance(said, tuple):
                return said
            if isinstance(said, Body):
                return 200, said.done()
            return 200, said if isinstance(said, bytes) else said()
        time.sleep(0 if self.at_once else _HELD_SECONDS)
        return 200, json.dumps({"next_batch": query.get("since", "s0")}).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                url = urlsplit(self.path)
                status, answer = server._answer(self.command, unquote(url.path), dict(parse_qsl(url.query)), body)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = _serve  # noqa: N815

        return Handler


@asynccontextmanager
async def bot(server: Server, path: Path, **options: Any) -> AsyncIterator[Client]:
    """A client that is not started yet; stopped and closed at the end."""
    # An old store may be encrypted, and whoever opens it has the passphrase.
    store = SyncStore.open(path, user_id=ME, device_id="DEV") if path.exists() else path
    client = Client(UserID(ME), DeviceID("DEV"), base_url=server.url, token="secret", syncstore=store, **options)
    try:
        yield client
    finally:
        task = client.syncing_task
        client.stop()
        if task is not None:
            await asyncio.wait([task])
        await client.api.session.close()
        client.syncstore.close()


async def until(true: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait for something that has to come true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        await asyncio.sleep(0.01)


async def synced(server: Server, client: Client, token: str) -> None:
    """Wait until mautrix asks from a token: everything before was handed to its handlers, and they ran."""
    await until(lambda: token in server.sinces)
    await asyncio.sleep(0.05)

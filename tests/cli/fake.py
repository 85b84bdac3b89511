"""A homeserver on loopback with one account: canned syncs one after the other, then a long poll that never ends."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from .bodies import ALICE

TOKEN = "syt_S3cret_token"
PASSWORD = "correct horse"


class FakeServer:
    """One account.

    syncs, pages: bodies still to be given; pages also answer /context and /timestamp_to_event.
    polling: set once a client waits. seen: (method, path, JSON) of requests.
    """

    def __init__(self, *syncs: bytes) -> None:
        self.syncs = list(syncs)
        self.user_id, self.device_id = ALICE, "DEVICE"
        self.pages: list[bytes] = []
        self.seen: list[tuple[str, str, Any]] = []
        self.polling = threading.Event()
        self.closed = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """Let every poll go and stop."""
        self.closed.set()
        self._http.shutdown()
        self._http.server_close()

    def asked(self, ending: str) -> list[Any]:
        """The JSON of the requests whose path ends so."""
        return [body for _, path, body in self.seen if path.endswith(ending)]

    def answer(self, path: str, token: str | None, asked: Any) -> tuple[int, bytes]:
        """The status and the body for one request."""
        name = path.rsplit("/", 1)[1]
        if name == "versions":
            return 200, b'{"versions": ["v1.11"]}'
        if name == "login":
            if PASSWORD not in (asked.get("password"), asked.get("token")):
                return 403, b'{"errcode": "M_FORBIDDEN", "error": "Invalid \\u001b[31mpassword"}'
            self.device_id = asked.get("device_id") or self.device_id
            return 200, self._login()
        if token != f"Bearer {TOKEN}":
            return 401, b'{"errcode": "M_UNKNOWN_TOKEN", "error": "Unknown token"}'
        return self._authorised("messages" if "/context/" in path or name == "timestamp_to_event" else name)

    def _authorised(self, name: str) -> tuple[int, bytes]:
        if name == "sync":
            if not self.syncs:
                self.polling.set()
                self.closed.wait(20)
                return 200, b'{"next_batch": "end"}'
            return 200, self.syncs.pop(0)
        if name == "messages":
            return 200, self.pages.pop(0)
        answers = {
            "whoami": {"user_id": self.user_id, "device_id": self.device_id},
            "filter": {"filter_id": "1"},
            "joined_rooms": {"joined_rooms": []},
            "logout": {},
        }
        return (200, json.dumps(answers[name]).encode()) if name in answers else (404, b'{"errcode": "M_UNRECOGNIZED"}')

    def _login(self) -> bytes:
        return json.dumps({"user_id": self.user_id, "device_id": self.device_id, "access_token": TOKEN}).encode()


def _handler(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = json.loads(raw) if raw else None
            path = unquote(urlsplit(self.path).path)
            server.seen.append((self.command, path, asked))
            status, body = server.answer(path, self.headers.get("Authorization"), asked)
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                pass  # a client that was stopped in its poll

        do_GET = do_POST = do_PUT = _serve  # noqa: N815

    return Handler

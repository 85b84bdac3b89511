"""A fake homeserver that answers what it is told to, also what no server should."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit


@dataclass
class Reply:
    """One answer.

    declared: a Content-Length that is not true, -1 for none. before, after: run before and after anything is sent.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    declared: int | None = None
    before: Callable[[], Any] = lambda: None
    after: Callable[[], Any] = lambda: None


@dataclass
class Seen:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """Still percent-encoded."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """Decoded; for a repeated name the last."""
        return dict(parse_qsl(urlsplit(self.target).query, strict_parsing=True)) if "?" in self.target else {}

    @property
    def lists(self) -> dict[str, list[str]]:
        """Decoded, every value."""
        return parse_qs(urlsplit(self.target).query)


def answer(value: Any, status: int = 200, **headers: str) -> Reply:
    """A JSON answer."""
    names = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"} | names)


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # the client went away, as some tests want


class Fake:
    """A server on 127.0.0.1. It gives the replies one after the other and then the last one for ever."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.connections: set[tuple[str, int]] = set()
        self._replies: list[Reply] = [Reply()]
        self._choose: Callable[[Seen], Reply] | None = None
        self._http = _Quiet(("127.0.0.1", 0), self._handler())
        self.port = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._http.serve_forever, args=(0.005,), daemon=True).start()

    def say(self, *replies: Reply) -> None:
        """Set the coming replies."""
        self._replies = list(replies)

    def choose(self, choose: Callable[[Seen], Reply]) -> None:
        """Let each request say what it gets."""
        self._choose = choose

    def close(self) -> None:
        """Stop listening: from then on connections are refused."""
        self._http.shutdown()
        self._http.server_close()

    def _next(self) -> Reply:
        if self._choose is not None:
            return self._choose(self.seen[-1])
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fake.connections.add(self.client_address)
                fake.seen.append(Seen(self.command, self.path, dict(self.headers), body))
                reply = fake._next()
                reply.before()
                self._write(reply)
                self.wfile.flush()
                reply.after()

            def _write(self, reply: Reply) -> None:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if "Transfer-Encoding" not in reply.headers and reply.declared != -1:
                    self.send_header(
                        "Content-Length", str(len(reply.body) if reply.declared is None else reply.declared)
                    )
                if reply.declared is not None or "Transfer-Encoding" in reply.headers:
                    self.close_connection = True
                self.end_headers()
                self.wfile.write(reply.body)

            do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815

        return Handler

"""The calls of the Client-Server API that a replica needs. Bodies of events go out as bytes, unread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any

from syncstore.errors import RemoteError, ServerError
from syncstore.model.text import is_text
from syncstore.net.address import base_address, join_path
from syncstore.net.answers import Answer, Login, WhoAmI, decode, pick
from syncstore.net.credentials import Auth, TokenSource, hidden
from syncstore.net.retry import Retry
from syncstore.net.transport import Call, Transport

_CLIENT = "/_matrix/client"
# Where the room calls and the sync calls are: in 2015 under two names.
_ROOTS: dict[Auth, tuple[str, str]] = {
    "header": (f"{_CLIENT}/v3", f"{_CLIENT}/v3"),
    "query": (f"{_CLIENT}/api/v1", f"{_CLIENT}/v2_alpha"),
}
POLL_MARGIN = 30.0  # seconds a long poll may be late
# Seconds for an answer that the server has to gather: a first sync, a page out of another server's history.
WORK_SECONDS = 120.0


class Homeserver:
    """One homeserver, asked as one user. May be shared by threads.

    access_token: the token or a function that returns it, called before each attempt. auth: "query" speaks to servers
    of 2015. max_body: bytes of an answer, before and after decompression. `pause` is the sleep between attempts;
    replace it to make it interruptible. `stopped` is asked several times a second while an answer is awaited: once it
    says True the request is given up. `on_retry` is told each failed attempt, and the pause in seconds after it.
    Errors: UnknownTokenError, RateLimitedError, UnreachableError, ServerError; RemoteError for a bad address or token.
    """

    def __init__(
        self,
        base_url: str,
        *,
        access_token: TokenSource = None,
        auth: Auth = "header",
        max_body: int = 1 << 30,
        retry: Retry = Retry(),  # noqa: B008 (frozen)
    ) -> None:
        self.base_url = base_address(base_url)
        self.pause: Callable[[float], None] = time.sleep
        self.stopped: Callable[[], bool] = lambda: False
        self.on_retry: Callable[[RemoteError, float], None] = lambda error, seconds: None
        self._token = hidden(access_token)
        self._auth = auth
        self._rooms, self._sync = _ROOTS[auth]
        self._transport = Transport(self.base_url, auth, max_body, retry, lambda: self.stopped())

    def __repr__(self) -> str:
        return f"Homeserver({self.base_url!r})"

    def __enter__(self) -> Homeserver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    # -- the server and the login

    def versions(self) -> dict[str, Any]:
        """GET /versions, without the token."""
        call = Call("GET", f"{_CLIENT}/versions", (), POLL_MARGIN)
        answer = self._transport.send(call, None, self._wait)
        pick(answer, "versions", list)
        found: dict[str, Any] = decode(answer)
        return found

    def whoami(self) -> WhoAmI:
        """GET /account/whoami."""
        answer = self._get(join_path(self._rooms, "account", "whoami"))
        user_id = pick(answer, "user_id", str)
        device_id = decode(answer).get("device_id")
        return WhoAmI(user_id, device_id if is_text(device_id) else None)

    def login(self, user: str, password: str, *, device_id: str | None = None, device_name: str | None = None) -> Login:
        """Log in with a password; later calls carry the new token. user: localpart or user_id."""
        identifier = {"type": "m.id.user", "user": user}
        asked = {"type": "m.login.password", "identifier": identifier, "password": password}
        return self._login(asked, device_id, device_name)

    def login_token(self, token: str, *, device_id: str | None = None, device_name: str | None = None) -> Login:
        """Log in with the token of a single sign-on (m.login.token); later calls carry the new access token."""
        return self._login({"type": "m.login.token", "token": token}, device_id, device_name)

    def _login(self, asked: dict[str, Any], device_id: str | None, device_name: str | None) -> Login:
        extra = _present({"device_id": device_id, "initial_device_display_name": device_name})
        call = Call("POST", join_path(self._rooms, "login"), (), WORK_SECONDS, asked | extra)
        answer = self._transport.send(call, None, self._wait)
        login = Login(*(pick(answer, key, str) for key in ("user_id", "device_id", "access_token")))
        self._token = hidden(login.access_token)
        return login

    def logout(self) -> None:
        """End this device's login; the server forgets its token and its unread to-device messages."""
        self._post(join_path(self._rooms, "logout"), {})
        self._token = None

    # -- what a replica is fed with

    def sync(
        self,
        *,
        since: str | None = None,
        filter: str | None = None,
        timeout: int = 0,
        full_state: bool = False,
        set_presence: str | None = None,
        use_state_after: bool = True,
    ) -> Answer:
        """GET /sync. timeout: ms the server may hold the answer back. filter: an id, or JSON.

        use_state_after goes under its stable and its unstable name: Synapse 1.163 silently ignores the stable one. It
        is never sent to servers of 2015. Source: Client-Server API, GET /sync; MSC4222.
        """
        after = "true" if use_state_after and self._auth == "header" else None
        query = {
            "since": since,
            "filter": filter,
            "timeout": str(timeout),
            "full_state": "true" if full_state else None,
            "set_presence": set_presence,
            "use_state_after": after,
            "org.matrix.msc4222.use_state_after": after,
        }
        margin = WORK_SECONDS if since is None or full_state else POLL_MARGIN
        call = Call("GET", join_path(self._sync, "sync"), _pairs(query), timeout / 1000 + margin)
        return self._transport.send(call, self._token, self._wait)

    def upload_filter(self, user_id: str, definition: Mapping[str, Any]) -> str:
        """Store a filter on the server and return its filter_id: a long filter inside the URL breaks the connection."""
        path = join_path(self._sync, "user", user_id, "filter")
        return pick(self._post(path, dict(definition)), "filter_id", str)

    def messages(
        self,
        room_id: str,
        *,
        from_: str | None = None,
        to: str | None = None,
        dir: str = "b",
        limit: int = 100,
        filter: str | None = None,
    ) -> Answer:
        """GET /rooms/{roomId}/messages. dir: "b" to older, "f" to newer events. filter: JSON."""
        query = {"from": from_, "to": to, "dir": dir, "limit": str(limit), "filter": filter}
        return self._get(self._room(room_id, "messages"), query)

    def context(self, room_id: str, event_id: str, *, limit: int = 0) -> Answer:
        """GET /rooms/{roomId}/context/{eventId}."""
        return self._get(self._room(room_id, "context", event_id), {"limit": str(limit)})

    def event_at(self, room_id: str, ts: int, *, dir: str = "f") -> str:
        """GET /rooms/{roomId}/timestamp_to_event: the event_id nearest to a moment (ms). dir: "f" after, "b" before it.

        ServerError 404 if there is none on that side. Source: Client-Server API 1.6, MSC3030.
        """
        path = join_path(f"{_CLIENT}/v1", "rooms", room_id, "timestamp_to_event")
        return pick(self._get(path, {"ts": str(ts), "dir": dir}), "event_id", str)

    def state(self, room_id: str) -> Answer:
        """GET /rooms/{roomId}/state: a JSON list of events."""
        return self._get(self._room(room_id, "state"), opening=b"[")

    def members(self, room_id: str, *, at: str | None = None) -> Answer:
        """GET /rooms/{roomId}/members. at: a sync token."""
        return self._get(self._room(room_id, "members"), {"at": at})

    def joined_rooms(self) -> list[str]:
        """GET /joined_rooms."""
        answer = self._get(join_path(self._rooms, "joined_rooms"))
        found = pick(answer, "joined_rooms", list)
        if not all(isinstance(room_id, str) for room_id in found):
            raise ServerError(f"{answer.path}: joined_rooms holds something that is no room_id", status=answer.status)
        return found

    # -- our own membership

    def join(self, room_id_or_alias: str, *, via: Iterable[str] = ()) -> str:
        """Join and return the room_id. via: servers to join through."""
        return self._enter_room("join", room_id_or_alias, via)

    def knock(self, room_id_or_alias: str, *, via: Iterable[str] = ()) -> str:
        """Ask to be let in and return the room_id. via: servers to knock through."""
        return self._enter_room("knock", room_id_or_alias, via)

    def _enter_room(self, verb: str, room_id_or_alias: str, via: Iterable[str]) -> str:
        # server_name is what via was called before spec 1.12.
        query = [(name, server) for server in via for name in ("via", "server_name")]
        answer = self._post(join_path(self._rooms, verb, room_id_or_alias), {}, query)
        return pick(answer, "room_id", str)

    def leave(self, room_id: str) -> None:
        """Leave, reject an invite or withdraw a knock."""
        self._post(self._room(room_id, "leave"), {})

    def invite(self, room_id: str, user_id: str) -> None:
        """Invite somebody."""
        self._post(self._room(room_id, "invite"), {"user_id": user_id})

    def forget(self, room_id: str) -> None:
        """Let the server forget a room that was left."""
        self._post(self._room(room_id, "forget"), {})

    # -- what is said; one attempt each: the outbox knows when to try again

    def send_event(self, room_id: str, type: str, transaction_id: str, content: Mapping[str, Any]) -> str:
        """PUT /rooms/{roomId}/send/{eventType}/{txnId}: the event_id. The same id again sends nothing."""
        return self._put(self._room(room_id, "send", type, transaction_id), content)

    def send_state(self, room_id: str, type: str, state_key: str, content: Mapping[str, Any]) -> str:
        """PUT /rooms/{roomId}/state/{eventType}/{stateKey}: the event_id. Asked again it may make another event."""
        return self._put(self._room(room_id, "state", type, *([state_key] if state_key else [])), content)

    def redact(self, room_id: str, event_id: str, transaction_id: str, content: Mapping[str, Any]) -> str:
        """PUT /rooms/{roomId}/redact/{eventId}/{txnId}: the redaction's event_id. content: {} or with a `reason`."""
        return self._put(self._room(room_id, "redact", event_id, transaction_id), content)

    def send_receipt(self, room_id: str, receipt_type: str, event_id: str, content: Mapping[str, Any]) -> None:
        """POST /rooms/{roomId}/receipt/{receiptType}/{eventId}. content: {} or with a `thread_id`."""
        path = join_path(self._sync, "rooms", room_id, "receipt", receipt_type, event_id)
        call = Call("POST", path, (), WORK_SECONDS, dict(content), once=True)
        self._transport.send(call, self._token, self._wait)

    def _put(self, path: str, content: Mapping[str, Any]) -> str:
        call = Call("PUT", path, (), WORK_SECONDS, dict(content), once=True)
        return pick(self._transport.send(call, self._token, self._wait), "event_id", str)

    # -- everything else

    def request(self, method: str, path: str, json: Any = None, *, query: Mapping[str, str] | None = None) -> Any:
        """Return the decoded JSON of any call. path: from "/_matrix" on, its segments already percent-encoded."""
        if not path.startswith("/") or "?" in path or "#" in path:
            raise RemoteError(f"path {path.partition('?')[0]!r}: expected /…, with what follows '?' in query")
        call = Call(method.upper(), path, _pairs(query or {}), WORK_SECONDS, json, opening=b"")
        return decode(self._transport.send(call, self._token, self._wait))

    def _wait(self, seconds: float, error: RemoteError) -> None:
        self.on_retry(error, seconds)
        self.pause(seconds)

    def _room(self, room_id: str, *segments: str) -> str:
        return join_path(self._rooms, "rooms", room_id, *segments)

    def _get(self, path: str, query: Mapping[str, str | None] | None = None, opening: bytes = b"{") -> Answer:
        call = Call("GET", path, _pairs(query or {}), WORK_SECONDS, opening=opening)
        return self._transport.send(call, self._token, self._wait)

    def _post(self, path: str, json: dict[str, Any], query: list[tuple[str, str]] | None = None) -> Answer:
        call = Call("POST", path, query or (), WORK_SECONDS, json)
        return self._transport.send(call, self._token, self._wait)


def _present(values: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in values.items() if value is not None}


def _pairs(query: Mapping[str, str | None]) -> list[tuple[str, str]]:
    return list(_present(query).items())

"""One login of one person on the lab's server: the client-server API, one method a verb."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from itertools import count
from typing import Any
from urllib.parse import quote, urlencode

Event = dict[str, Any]  # one Matrix event, decoded

_CLIENT = "/_matrix/client/v3"
_transactions = count(1)


class Refused(Exception):  # noqa: N818  (it is what happened, and often what a scenario expects)
    """The server said no: HTTP `status` and the decoded answer."""

    def __init__(self, what: str, status: int, answer: bytes) -> None:
        super().__init__(f"{what}: {status} {answer[:300].decode(errors='replace')}")
        self.status = status


def register(base_url: str, name: str, device_id: str = "LAB") -> User:
    """Make an account `@name:lab.test` and return its first login."""
    wanted = {"username": name, "password": name, "device_id": device_id, "auth": {"type": "m.login.dummy"}}
    return User(base_url, _post(base_url, "/register", wanted))


def login(base_url: str, name: str, device_id: str) -> User:
    """Log an account of `register` in again, with a device of its own."""
    identifier = {"type": "m.id.user", "user": name}
    wanted = {"type": "m.login.password", "identifier": identifier, "password": name, "device_id": device_id}
    return User(base_url, _post(base_url, "/login", wanted))


class User:
    """A login: `user_id`, `device_id`, `access_token`. Every verb raises Refused if the server says no."""

    def __init__(self, base_url: str, answer: dict[str, str]) -> None:
        self.base_url = base_url
        self.user_id = answer["user_id"]
        self.device_id = answer["device_id"]
        self.access_token = answer["access_token"]

    # Rooms and membership.

    def create_room(self, version: str | None = None, **options: object) -> str:
        """Create a room (options of /createRoom: name, preset, is_direct, invite …) and return its id."""
        if version is not None:
            options["room_version"] = version
        return str(self._post("/createRoom", options)["room_id"])

    def join(self, room: str) -> None:
        """Join a room by id or alias."""
        self._post(f"/join/{_q(room)}")

    def knock(self, room: str) -> None:
        self._post(f"/knock/{_q(room)}")

    def leave(self, room: str) -> None:
        self._post(f"/rooms/{_q(room)}/leave")

    def forget(self, room: str) -> None:
        self._post(f"/rooms/{_q(room)}/forget")

    def invite(self, room: str, user_id: str) -> None:
        self._post(f"/rooms/{_q(room)}/invite", {"user_id": user_id})

    def kick(self, room: str, user_id: str) -> None:
        self._post(f"/rooms/{_q(room)}/kick", {"user_id": user_id})

    def ban(self, room: str, user_id: str) -> None:
        self._post(f"/rooms/{_q(room)}/ban", {"user_id": user_id})

    def unban(self, room: str, user_id: str) -> None:
        self._post(f"/rooms/{_q(room)}/unban", {"user_id": user_id})

    # Events.

    def send(self, room: str, body: str | Event, type: str = "m.room.message") -> str:
        """Send a text message, or any content under `type`, and return its event id."""
        content = {"msgtype": "m.text", "body": body} if isinstance(body, str) else body
        return str(self._put(f"/rooms/{_q(room)}/send/{_q(type)}/{next(_transactions)}", content)["event_id"])

    def send_state(self, room: str, type: str, content: Event, state_key: str = "") -> str:
        return str(self._put(f"/rooms/{_q(room)}/state/{_q(type)}/{_q(state_key)}", content)["event_id"])

    def redact(self, room: str, event_id: str) -> str:
        path = f"/rooms/{_q(room)}/redact/{_q(event_id)}/{next(_transactions)}"
        return str(self._put(path, {"reason": "lab"})["event_id"])

    def read(self, room: str, event_id: str) -> None:
        """Send a public read receipt."""
        self._post(f"/rooms/{_q(room)}/receipt/m.read/{_q(event_id)}")

    def fork(self, room: str, type: str, content: Event, **where: object) -> str:
        """Send as this user through the lab's module, where no client API can.

        `where`: prev_event_ids (list; default the newest), origin_server_ts (ms), state_key.
        """
        event = {"sender": self.user_id, "room_id": room, "type": type, "content": content, **where}
        answer = _exchange(f"{self.base_url}/_lab/send", "POST", json.dumps(event).encode(), None)
        return str(json.loads(answer)["event_id"])

    # Account data, to-device, profile.

    def set_account_data(self, type: str, content: Event | bytes, room: str | None = None) -> None:
        """Set global or room account data; bytes are sent as they are (a lone surrogate, say)."""
        scope = "" if room is None else f"/rooms/{_q(room)}"
        self._put(f"/user/{_q(self.user_id)}{scope}/account_data/{_q(type)}", content)

    def send_to_device(self, type: str, messages: dict[str, dict[str, Event]]) -> None:
        """Send {user_id: {device_id or "*": content}}."""
        self._put(f"/sendToDevice/{_q(type)}/{next(_transactions)}", {"messages": messages})

    def set_display_name(self, name: str) -> None:
        self._put(f"/profile/{_q(self.user_id)}/displayname", {"displayname": name})

    # Reading.

    def sync(self, since: str | None = None, *, filter: Event | None = None, **parameters: str) -> bytes:
        """Return one /sync body as it came. `parameters`: full_state, timeout and so on (timeout 0 by default)."""
        query = {"timeout": "0", **parameters}
        if since is not None:
            query["since"] = since
        if filter is not None:
            query["filter"] = json.dumps(filter)
        return self._ask(f"/sync?{urlencode(query)}", "GET")

    def state(self, room: str) -> list[Event]:
        """Return the server's own state of a room; as of our leaving, if we have left."""
        answer: list[Event] = self._get(f"/rooms/{_q(room)}/state")
        return answer

    def members(self, room: str) -> list[Event]:
        answer: list[Event] = self._get(f"/rooms/{_q(room)}/members")["chunk"]
        return answer

    def joined_rooms(self) -> list[str]:
        answer: list[str] = self._get("/joined_rooms")["joined_rooms"]
        return answer

    def event(self, room: str, event_id: str) -> Event:
        answer: Event = self._get(f"/rooms/{_q(room)}/event/{_q(event_id)}")
        return answer

    def messages(self, room: str, *, dir: str = "b", **parameters: str) -> Event:
        """Return one page of history: {chunk, start, end?, state?}. `parameters`: from, to, limit, filter."""
        answer: Event = self._get(f"/rooms/{_q(room)}/messages?{urlencode({'dir': dir, **parameters})}")
        return answer

    def _get(self, path: str) -> Any:
        return json.loads(self._ask(path, "GET"))

    def _post(self, path: str, content: object | None = None) -> Any:
        return json.loads(self._ask(path, "POST", json.dumps(content or {}).encode()))

    def _put(self, path: str, content: object | bytes) -> Any:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return json.loads(self._ask(path, "PUT", body))

    def _ask(self, path: str, method: str, body: bytes | None = None) -> bytes:
        return _exchange(self.base_url + _CLIENT + path, method, body, self.access_token)


def _post(base_url: str, path: str, content: object) -> dict[str, str]:
    answer: dict[str, str] = json.loads(
        _exchange(base_url + _CLIENT + path, "POST", json.dumps(content).encode(), None)
    )
    return answer


def _exchange(url: str, method: str, body: bytes | None, access_token: str | None) -> bytes:
    request = urllib.request.Request(url, data=body, method=method)
    if body is not None:
        request.add_header("Content-Type", "application/json")
    if access_token is not None:
        request.add_header("Authorization", f"Bearer {access_token}")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            received: bytes = answer.read()
            return received
    except urllib.error.HTTPError as error:
        raise Refused(f"{method} {url}", error.code, error.read()) from error


def _q(part: str) -> str:
    return quote(part, safe="")

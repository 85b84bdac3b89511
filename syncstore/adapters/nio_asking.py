"""How the nio client asks: with the filter of `Syncer` or one that loses nothing, and for `state_after`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
import nio

from syncstore.errors import FilterError, UnknownTokenError
from syncstore.model.filters import checked_filter, default_filter

_MAX_BODY = 1 << 30
_STATE_AFTER = {"use_state_after": "true", "org.matrix.msc4222.use_state_after": "true"}


class FailedError(Exception):
    """An answer that was none; `error` is what nio calls it."""

    def __init__(self, error: nio.ErrorResponse, retry_after: float | None = None, *, limited: bool = False) -> None:
        super().__init__(str(error))
        self.error, self.retry_after, self.limited = error, retry_after, limited


class Asking:
    """What a request carries."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._fetched: dict[str, dict[str, Any]] = {}
        self._kept: str | None = None

    def headers(self) -> dict[str, str]:
        """Of a request that nio does not make itself."""
        token = {"Authorization": f"Bearer {self._client.access_token}"}
        return token | (self._client.config.custom_headers or {})

    async def query(
        self,
        sync_filter: str | Mapping[str, Any] | None,
        since: str | None,
        timeout: int,
        full_state: bool | None,
        presence: str | None,
        snapshot: bool,
    ) -> dict[str, str]:
        """The query of /sync. FilterError for a filter that loses events; FailedError if it cannot be uploaded."""
        definition = await self._definition(sync_filter)
        if snapshot:  # only this request proves what is gone
            definition = {**definition, "room": {**definition.get("room", {}), "include_leave": True}}
        query = {"filter": await self._filter_id(definition), "timeout": str(timeout if since else 0)} | _STATE_AFTER
        told = {"since": since, "set_presence": presence, "full_state": "true" if full_state else None}
        return query | {key: value for key, value in told.items() if value}

    async def filter_is_gone(self, status: int) -> bool:
        """Whether the server may have lost the filter that was kept; the next request then uploads it again."""
        if status not in (400, 404) or self._kept is None:
            return False
        await self._client._run(self._client.syncstore.drop_filter, self._kept)
        return True

    async def joined_rooms(self) -> list[str]:
        """The rooms that the server says we are in."""
        answer = await self._client.joined_rooms()
        if isinstance(answer, nio.JoinedRoomsResponse):
            return list(answer.rooms)
        raise _failed(answer)

    async def _definition(self, sync_filter: str | Mapping[str, Any] | None) -> dict[str, Any]:
        if sync_filter is None:
            return default_filter()
        if isinstance(sync_filter, str) and not sync_filter.startswith("{"):
            return checked_filter(await self._fetch(sync_filter))
        try:
            return checked_filter(json.loads(sync_filter) if isinstance(sync_filter, str) else sync_filter)
        except ValueError:
            raise FilterError("sync_filter is neither the id of a filter nor JSON") from None

    async def _fetch(self, filter_id: str) -> dict[str, Any]:
        """The filter behind an id: what it leaves out would be lost like that of any other."""
        if filter_id not in self._fetched:
            client = self._client
            path = f"/_matrix/client/v3/user/{_part(client.user_id)}/filter/{_part(filter_id)}"
            async with await client.send("GET", path, None, self.headers()) as answer:
                body = await read_body(answer)
                if answer.status != 200:
                    raise refused(answer, body)
            found = _object(body)
            if found is None:
                raise FailedError(nio.SyncError(f"the server's answer for filter {filter_id} is no filter"))
            self._fetched[filter_id] = found
        return self._fetched[filter_id]

    async def _filter_id(self, definition: dict[str, Any]) -> str:
        client, text = self._client, json.dumps(definition, sort_keys=True)
        self._kept = await client._run(client.syncstore.filter_id, text)
        if self._kept is not None:
            return self._kept
        answer = await client.upload_filter(**definition)
        if not isinstance(answer, nio.UploadFilterResponse):
            raise _failed(answer)
        await client._run(client.syncstore.keep_filter, text, answer.filter_id)
        return str(answer.filter_id)


def _part(text: str) -> str:
    return quote(text, safe="")


async def read_body(answer: aiohttp.ClientResponse) -> bytes:
    """The whole body. FailedError if it is longer than 1 GiB."""
    body = bytearray()
    async for part in answer.content.iter_any():
        body += part
        if len(body) > _MAX_BODY:
            raise FailedError(nio.SyncError(f"the answer is longer than {_MAX_BODY} bytes"))
    return bytes(body)


def refused(answer: aiohttp.ClientResponse, body: bytes) -> FailedError:
    """Read an answer whose status is not 200. Raises UnknownTokenError."""
    error = nio.SyncError.from_dict(_object(body) or {})
    if error.status_code is None:
        error = nio.SyncError(f"{answer.status}, not a Matrix error")
    error.transport_response = answer
    return _failed(error, answer)


def _failed(error: nio.ErrorResponse, answer: aiohttp.ClientResponse | None = None) -> FailedError:
    if error.status_code == "M_UNKNOWN_TOKEN":
        raise UnknownTokenError(f"M_UNKNOWN_TOKEN: {error.message}", soft_logout=error.soft_logout)
    if not isinstance(error, nio.SyncError):
        error = nio.SyncError(error.message, error.status_code, error.retry_after_ms)
    status = answer.status if answer is not None else None
    seconds = _seconds(error.retry_after_ms, 1000), _seconds(answer and answer.headers.get("Retry-After"), 1)
    return FailedError(error, max(seconds), limited=status == 429 or error.status_code == "M_LIMIT_EXCEEDED")


def _seconds(value: object, divisor: int) -> float:
    """What a server asks to wait; 0 if it asks for nothing that can be understood."""
    try:
        return max(0.0, float(str(value)[:16]) / divisor)
    except ValueError:
        return 0.0


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None

"""mautrix's HTTP layer, but an answer comes as its bytes, in bounded time: what is decoded cannot be stored as sent."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import ClientResponse, ClientTimeout, ServerTimeoutError
from mautrix.api import HTTPAPI, Method
from mautrix.errors import MatrixResponseError, MUnknownToken, make_request_error
from yarl import URL

from syncstore.errors import UnknownTokenError
from syncstore.model.json_text import decode
from syncstore.net.patience import SLOWEST
from syncstore.net.retry import asked_wait

_CONNECT_SECONDS = 30.0
_MAX_BODY = 1 << 30  # bytes, decompressed; as Homeserver's


class LoggedOutError(MUnknownToken, UnknownTokenError):
    """The access token is no longer valid: mautrix's error, which ends its loop, and ours in one."""

    def __init__(self, http_status: int, message: str, *, soft_logout: bool) -> None:
        MUnknownToken.__init__(self, http_status, message)
        self.soft_logout = soft_logout


class RawAPI(HTTPAPI):
    """An `HTTPAPI` for one request: session, address, token and headers are another's, `request` returns bytes.

    seconds: how long the head may take, and silence; the body must then bring 1,024 bytes a second (promise 27).
    asked_wait: the seconds that a refusal asked to wait, None if it named none.
    """

    def __init__(self, api: HTTPAPI, seconds: float) -> None:
        super().__init__(
            api.base_url,
            api.token,
            client_session=api.session,
            log=api.log,
            as_user_id=api.as_user_id,
            as_device_id=api.as_device_id,  # type: ignore[arg-type]
        )
        self._seconds = seconds
        self.asked_wait: float | None = None

    async def _send(
        self, method: Method, url: URL, content: Any, query_params: dict[str, str], headers: dict[str, str]
    ) -> tuple[Any, ClientResponse]:
        # The session's own limit, five minutes in all, would cut the first sync of a large account each time anew.
        limit = ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=self._seconds)
        request = self.session.request(
            str(method), url, data=content, params=query_params, headers=headers, timeout=limit
        )
        async with request as response:
            body = await self._whole(response)
            if not 200 <= response.status < 300:
                raise self._refusal(response, body)
            return body, response

    async def _whole(self, response: ClientResponse) -> bytearray:
        started, body = time.monotonic(), bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > _MAX_BODY:
                raise MatrixResponseError(f"the answer is longer than {_MAX_BODY} bytes")
            if time.monotonic() > started + self._seconds + len(body) / SLOWEST:
                raise ServerTimeoutError("the answer comes too slowly")
        return body

    def _refusal(self, response: ClientResponse, body: bytearray) -> Exception:
        text = body.decode("utf-8", "replace")
        said = _object(text)
        errcode, message = said.get("errcode"), str(said.get("error", ""))
        self.asked_wait = asked_wait(response.headers, said)
        if errcode == MUnknownToken.errcode:
            words = f"the access token is no longer valid, log in again ({message})"
            return LoggedOutError(response.status, words, soft_logout=said.get("soft_logout") is True)
        known = errcode if isinstance(errcode, str) else None
        return make_request_error(http_status=response.status, text=text, errcode=known, message=message)


def _object(text: str) -> dict[str, Any]:
    try:
        found = decode(text)
    except (ValueError, RecursionError):  # a page of a proxy
        return {}
    return found if isinstance(found, dict) else {}

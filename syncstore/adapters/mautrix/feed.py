"""One request of mautrix's client and its commit: the token, the question and the answer are the store's business."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from mautrix.api import Method, Path
from mautrix.client import Client as Base
from mautrix.errors import MatrixRequestError, MatrixResponseError, MLimitExceeded

from syncstore.adapters.mautrix.handed import Json, decoded, handed
from syncstore.adapters.mautrix.raw import RawAPI
from syncstore.ingest import SyncStore
from syncstore.model.records import Applied
from syncstore.net.homeserver import POLL_MARGIN, WORK_SECONDS
from syncstore.sync.pace import FAILURE_CAP, IDLE_CAP, Pace

_AT_ONCE = 1.0  # seconds: a long poll that brings nothing takes longer
_AFTER = {"use_state_after": "true", "org.matrix.msc4222.use_state_after": "true"}

T = TypeVar("T")


class Feed:
    """Feeds a store with what a client of mautrix is answered. filter: the definition that syncs ask with."""

    def __init__(self, client: Base, store: SyncStore, filter: Mapping[str, Any]) -> None:
        self.filter = filter
        self._client = client
        self._store = store
        self._idle = Pace(IDLE_CAP)
        self._bound = False
        self._asked_wait: float | None = None

    async def turn(self, timeout: int, query: Mapping[str, str]) -> Json:
        """Ask from where the store is, commit the answer, and return it as mautrix reads it.

        timeout: of the long poll, in milliseconds. query: what else mautrix asks with. Raises StaleBatchError if
        another process was faster.
        """
        store = self._store
        if not self._bound:
            await finished(store.bind, str(self._client.api.base_url).rstrip("/"), self._client.device_id or None)
            self._bound = True
        held, seq = await asyncio.to_thread(lambda: (store.token, store.seq))
        # Without a token over a store that has rooms (a new login): only this request proves what is gone.
        snapshot = held is None and seq > 0
        started = time.monotonic()
        try:
            body = await self._ask(held, timeout, query, include_leave=snapshot)
        except MLimitExceeded:
            # mautrix would ask again after five seconds, whatever the server asked for.
            await asyncio.sleep(Pace(FAILURE_CAP).next(self._asked_wait))
            raise
        fetch_ms = int((time.monotonic() - started) * 1000)
        joined = [str(room_id) for room_id in await self._client.get_joined_rooms()] if snapshot else None

        def commit() -> tuple[Json | None, Applied, str | None]:
            response = decoded(body)
            if response is not None:
                with store.read() as before:
                    response = handed(response, before)
            full_state = "full_state" in query
            applied = store.apply(body, since=held, held=held, full_state=full_state, fetch_ms=fetch_ms, joined=joined)
            return response, applied, store.token

        response, applied, token = await finished(commit)
        if response is None:
            self._client.log.error("a response is stored, but no handlers are run: Python cannot read it as JSON")
            # Without its counts OlmMachine would take it that the server has no key of ours left.
            keys = await asyncio.to_thread(store.device_keys)
            response = {"next_batch": token, "device_one_time_keys_count": keys.one_time_key_counts}
        await self._rest(started, stands_still=applied.batch is None or token == held)
        return response

    async def get(self, path: Any, seconds: float, method: str, query: dict[str, str] | None = None) -> bytearray:
        """GET as bytes. seconds: for the head. method: its name in mautrix's metrics."""
        raw = RawAPI(self._client.api, seconds)
        try:
            body = await raw.request(Method.GET, path, query_params=query, retry_count=0, metrics_method=method)
        finally:
            self._asked_wait = raw.asked_wait
        assert isinstance(body, bytearray)
        return body

    async def _rest(self, started: float, *, stands_still: bool) -> None:
        """Wait after an answer that came at once with nothing: else it would be a request after the other."""
        if stands_still and time.monotonic() - started < _AT_ONCE:
            await asyncio.sleep(self._idle.next())
        else:
            self._idle.reset()

    async def _ask(
        self, since: str | None, timeout: int, query: Mapping[str, str], *, include_leave: bool
    ) -> bytearray:
        definition = self.filter
        if include_leave:
            definition = {**definition, "room": {**definition.get("room", {}), "include_leave": True}}
        text = json.dumps(definition, sort_keys=True)
        asked = {"timeout": str(timeout if since else 0), **_AFTER, **query}
        if since is not None:
            asked["since"] = since
        # What a server has to gather takes longer.
        seconds = timeout / 1000 + (WORK_SECONDS if since is None or "full_state" in query else POLL_MARGIN)
        kept = await asyncio.to_thread(self._store.filter_id, text)
        filter_id = kept or await self._upload(text, definition)
        try:
            return await self.get(Path.v3.sync, seconds, "sync", asked | {"filter": filter_id})
        except MatrixRequestError as error:
            # A server that lost its filters says so; one that refuses the token says the same of a fresh id.
            if kept is None or error.http_status not in (400, 404):
                raise
        await finished(self._store.drop_filter, kept)
        filter_id = await self._upload(text, definition)
        return await self.get(Path.v3.sync, seconds, "sync", asked | {"filter": filter_id})

    async def _upload(self, text: str, definition: Mapping[str, Any]) -> str:
        client = self._client
        answer: Any = await client.api.request(Method.POST, Path.v3.user[client.mxid].filter, dict(definition))
        filter_id = answer.get("filter_id") if isinstance(answer, dict) else None
        if not isinstance(filter_id, str):
            raise MatrixResponseError("`filter_id` not in response.")
        await finished(self._store.keep_filter, text, filter_id)
        return filter_id


async def finished(function: Callable[..., T], *args: Any) -> T:
    """Run what writes in a thread, to its end also if this task is cancelled: who stops may close the store."""
    task = asyncio.ensure_future(asyncio.to_thread(function, *args))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise

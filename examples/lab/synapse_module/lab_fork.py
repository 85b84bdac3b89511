# mypy: ignore-errors
"""A module that Synapse loads: sends an event on chosen previous events, at a chosen time.

One server alone never forks a room's event graph; federation does. With this, one server makes real forks and
late arrivals. It runs inside Synapse's own environment, whose types are not here, and trusts every caller: only
for a server on loopback.

    POST /_lab/send {sender, room_id, type, content, state_key?, prev_event_ids?, origin_server_ts?} -> {event_id}
"""

from __future__ import annotations

from synapse.api.errors import SynapseError
from synapse.module_api import DirectServeJsonResource, ModuleApi, parse_json_object_from_request
from synapse.types import create_requester


class LabFork(DirectServeJsonResource):
    """The web resource; Synapse makes one when it starts."""

    def __init__(self, config: dict, api: ModuleApi) -> None:
        super().__init__()
        self._events = api._hs.get_event_creation_handler()
        api.register_web_resource("/_lab/send", self)

    @staticmethod
    def parse_config(config: dict) -> dict:
        return config

    async def _async_render_POST(self, request) -> tuple[int, dict]:  # noqa: N802  (Synapse's name)
        wanted = parse_json_object_from_request(request)
        previous = wanted.pop("prev_event_ids", None)
        if previous is not None and not previous:
            raise SynapseError(400, "prev_event_ids is empty")
        requester = create_requester(wanted["sender"])
        event, draft = await self._events.create_event(requester, wanted, prev_event_ids=previous)
        context = await draft.persist(event)
        sent = await self._events.handle_new_client_event(requester, [(event, context)], ratelimit=False)
        return 200, {"event_id": sent.event_id}

"""What is read of our own device: its inbox, other people's devices, and its keys on the server."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from syncstore.model.json_text import decode


class ToDevice(Struct, frozen=True):
    """A message from one device to ours."""

    id: int
    sender: str
    type: str
    content_json: str
    batch: int

    @property
    def content(self) -> dict[str, Any]:
        """The content, decoded anew at each call."""
        value: dict[str, Any] = decode(self.content_json)
        return value


class DeviceLists(Struct, frozen=True):
    """Whose devices changed, and whose need not be followed any more. `*` in `changed`: everybody's.

    batch: give it back to `ack_device_lists` when done.
    """

    changed: frozenset[str]
    left: frozenset[str]
    batch: int


class DeviceKeys(Struct, frozen=True):
    """What the server said last of our own keys: one-time keys by algorithm, and the unused fallback keys.

    unused_fallback_key_types is None if the server never told; then it knows no fallback keys.
    """

    one_time_key_counts: dict[str, int]
    unused_fallback_key_types: list[str] | None

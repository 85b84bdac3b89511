"""Models of the spec's common event contents; `syncstore.model.content` chooses among them.

Source of every model: the event's own section in the client-server spec. A null stands for a missing key. Keys that
the spec does not name are kept, in `model_extra` and as attributes; keys with a dot are fields without it
(`m.federate` is `federate`).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel

_LEVEL = re.compile(r"\s*[+-]?[0-9]+\s*")


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _level(value: object) -> object:
    """Power levels may be floats in room versions 1 to 5, cut at the point, and texts in 1 to 9."""
    if isinstance(value, str) and _LEVEL.fullmatch(value):
        return int(value)
    return int(value) if isinstance(value, float) and abs(value) < 2**63 else value


Integer = Annotated[int, BeforeValidator(_whole)]  # 1e3 is an integer too, and JSON decoders make it a float
Level = Annotated[int, BeforeValidator(_level)]


class Content(BaseModel):
    """An object whose keys are named by the spec, and any number of others."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)


class OtherContent(RootModel[dict[Any, Any]]):
    """The content of a type without a model: `root` is the object as it is, and nothing in it is refused."""


class InReplyTo(Content):
    event_id: str


class RelatesTo(Content):
    rel_type: str | None = None
    event_id: str | None = None
    key: str | None = None
    is_falling_back: bool | None = None
    in_reply_to: InReplyTo | None = Field(None, alias="m.in_reply_to")


class ThirdPartyInvite(Content):
    display_name: str | None = None  # gone after a redaction
    signed: dict[str, Any] | None = None


class Member(Content):
    membership: Literal["invite", "join", "knock", "leave", "ban"]
    displayname: str | None = None
    avatar_url: str | None = None
    is_direct: bool | None = None
    reason: str | None = None
    join_authorised_via_users_server: str | None = None
    third_party_invite: ThirdPartyInvite | None = None


class Predecessor(Content):
    room_id: str
    event_id: str | None = None


class Create(Content):
    room_version: str = "1"
    type: str | None = None
    creator: str | None = None  # room versions 1 to 10; the sender is the creator in all
    additional_creators: Any = None  # user ids from room version 12 on; anything may stand there before
    predecessor: Predecessor | None = None
    federate: bool = Field(True, alias="m.federate")


class Name(Content):
    name: str | None = None


class Topic(Content):
    topic: str | None = None


class ThumbnailInfo(Content):
    mimetype: str | None = None
    size: Integer | None = None  # bytes
    w: Integer | None = None  # pixels
    h: Integer | None = None


class MediaInfo(ThumbnailInfo):
    """Of image, file, audio, video and location alike; each uses its part."""

    duration: Integer | None = None  # milliseconds
    thumbnail_url: str | None = None
    thumbnail_file: dict[str, Any] | None = None
    thumbnail_info: ThumbnailInfo | None = None


class Avatar(Content):
    url: str | None = None
    info: MediaInfo | None = None


class CanonicalAlias(Content):
    alias: str | None = None
    alt_aliases: list[str] | None = None


class AllowCondition(Content):
    type: str
    room_id: str | None = None


class JoinRules(Content):
    join_rule: str  # an open list: room versions add to it
    allow: list[AllowCondition] | None = None


class HistoryVisibility(Content):
    history_visibility: Literal["invited", "joined", "shared", "world_readable"]


class PowerLevels(Content):
    """Missing keys have the spec's defaults."""

    users: dict[str, Level] = {}
    users_default: Level = 0
    events: dict[str, Level] = {}
    events_default: Level = 0
    state_default: Level = 50
    ban: Level = 50
    kick: Level = 50
    redact: Level = 50
    invite: Level = 0
    notifications: dict[str, Level] = {"room": 50}


class Encryption(Content):
    algorithm: str
    rotation_period_ms: Integer | None = None
    rotation_period_msgs: Integer | None = None


class Tombstone(Content):
    body: str
    replacement_room: str


class Message(Content):
    """An m.room.message; by itself that of a msgtype without a model."""

    msgtype: str
    body: str
    relates_to: RelatesTo | None = Field(None, alias="m.relates_to")


class Text(Message):
    """Text, notice and emote: `msgtype` tells them apart."""

    format: str | None = None
    formatted_body: str | None = None


class Media(Text):
    """Image, file, audio and video. `url` is of a plain file, `file` (EncryptedFile) of an encrypted one."""

    filename: str | None = None
    url: str | None = None
    file: dict[str, Any] | None = None
    info: MediaInfo | None = None


class Location(Message):
    geo_uri: str
    info: MediaInfo | None = None


class Reaction(Content):
    relates_to: RelatesTo = Field(alias="m.relates_to")


class Redaction(Content):
    redacts: str | None = None  # room versions from 11
    reason: str | None = None


class SpaceChild(Content):
    """Without `via` the room is no child any more."""

    via: list[str] | None = None
    order: str | None = None
    suggested: bool | None = None


class Tag(Content):
    order: float | None = None


class Tags(Content):
    tags: dict[str, Tag] = {}


class Direct(RootModel[dict[str, list[str]]]):
    """`root`: user_id -> room_ids."""


class Receipt(Content):
    ts: Integer | None = None  # milliseconds
    thread_id: str | None = None


class Receipts(RootModel[dict[str, dict[str, dict[str, Receipt]]]]):
    """`root`: event_id -> receipt type -> user_id -> receipt."""


class Typing(Content):
    user_ids: list[str]


class FullyRead(Content):
    event_id: str


class IgnoredUserList(Content):
    ignored_users: dict[str, Any] = {}


class PushRule(Content):
    rule_id: str
    enabled: bool
    default: bool
    actions: list[Any]
    conditions: list[dict[str, Any]] | None = None
    pattern: str | None = None


class PushRules(Content):
    """`rules`: kind (override, content, room, sender, underride) -> rules, first match first."""

    rules: dict[str, list[PushRule]] = Field({}, alias="global")

"""Typed contents of the spec's common events, for callers who want more than a dict.

The store never goes through these: it keeps what came, whether it fits or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from pydantic import ValidationError

from syncstore.errors import ContentError
from syncstore.model.content_models import (
    Avatar,
    CanonicalAlias,
    Create,
    Direct,
    Encryption,
    FullyRead,
    HistoryVisibility,
    IgnoredUserList,
    JoinRules,
    Location,
    Media,
    Member,
    Message,
    Name,
    OtherContent,
    PowerLevels,
    PushRules,
    Reaction,
    Receipts,
    Redaction,
    SpaceChild,
    Tags,
    Text,
    Tombstone,
    Topic,
    Typing,
)
from syncstore.model.text import printable

_OBJECT = "should be an object"
_JSON_NAMES = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}

EventContent: TypeAlias = (
    Avatar
    | CanonicalAlias
    | Create
    | Direct
    | Encryption
    | FullyRead
    | HistoryVisibility
    | IgnoredUserList
    | JoinRules
    | Location
    | Media
    | Member
    | Message
    | Name
    | OtherContent
    | PowerLevels
    | PushRules
    | Reaction
    | Receipts
    | Redaction
    | SpaceChild
    | Tags
    | Text
    | Tombstone
    | Topic
    | Typing
)

MODELS: dict[str, type[EventContent]] = {
    "m.direct": Direct,
    "m.fully_read": FullyRead,
    "m.ignored_user_list": IgnoredUserList,
    "m.push_rules": PushRules,
    "m.reaction": Reaction,
    "m.receipt": Receipts,
    "m.room.avatar": Avatar,
    "m.room.canonical_alias": CanonicalAlias,
    "m.room.create": Create,
    "m.room.encryption": Encryption,
    "m.room.history_visibility": HistoryVisibility,
    "m.room.join_rules": JoinRules,
    "m.room.member": Member,
    "m.room.message": Message,
    "m.room.name": Name,
    "m.room.power_levels": PowerLevels,
    "m.room.redaction": Redaction,
    "m.room.tombstone": Tombstone,
    "m.room.topic": Topic,
    "m.space.child": SpaceChild,
    "m.tag": Tags,
    "m.typing": Typing,
}

MESSAGES: dict[str, type[Message]] = {
    "m.audio": Media,
    "m.emote": Text,
    "m.file": Media,
    "m.image": Media,
    "m.location": Location,
    "m.notice": Text,
    "m.text": Text,
    "m.video": Media,
}


def parse_content(type: str, content: Mapping[str, Any], *, where: str = "") -> EventContent:
    """Return the typed content of an event, OtherContent for a type that MODELS lacks.

    ContentError if it does not fit, with `where` (say "event $x in !room:hs") in its text. What a redaction has left of
    an event often does not fit its type: ask for that first.
    """
    if not isinstance(content, Mapping):
        raise _refused(type, where, "the content is not an object")
    model = MODELS.get(type, OtherContent)
    if model is Message:
        msgtype = content.get("msgtype")
        model = MESSAGES.get(msgtype, Message) if isinstance(msgtype, str) else Message
    try:
        return model.model_validate(dict(content))
    except ValidationError as error:
        raise _refused(type, where, _first_fault(error)) from None


def _refused(type: str, where: str, fault: str) -> ContentError:
    return ContentError(printable(": ".join(part for part in (type, where, fault) if part)))


def _first_fault(error: ValidationError) -> str:
    """Tell where and what, and of the value only its kind: an error text may end in a log."""
    faults = error.errors(include_url=False, include_context=False)
    fault = faults[0]
    path = ".".join(map(str, fault["loc"]))
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    if fault["type"] == "missing":
        return f"{path} is missing{more}"
    expected = _OBJECT if fault["type"] in ("model_type", "dict_type") else fault["msg"].removeprefix("Input ")
    given = type(fault["input"])
    got = f", got {_JSON_NAMES.get(given, given.__name__)}" if fault["type"].endswith("_type") else ""
    return f"{path} {expected}{got}{more}"

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import RootModel

from syncstore.errors import ContentError
from syncstore.model import content_models as models
from syncstore.model.content import MESSAGES, MODELS, parse_content

MXC = "mxc://x/abc"
THUMBNAIL = {"mimetype": "image/png", "size": 9, "w": 4, "h": 3}
INFO = {"mimetype": "video/mp4", "size": 99, "duration": 1500, "thumbnail_url": MXC, "thumbnail_info": THUMBNAIL}
FILE = {"url": MXC, "key": {"k": "secret"}, "v": "v2"}
RULE = {"rule_id": ".m.rule.master", "default": True, "enabled": False, "actions": ["notify", {"set_tweak": "sound"}]}


def message(msgtype: str, **keys: Any) -> dict[str, Any]:
    return {"msgtype": msgtype, "body": "hi", **keys}


# One full content of each model: type, model, content.
FULL: list[tuple[str, type, dict[str, Any]]] = [
    ("m.room.member", models.Member, {"membership": "join", "displayname": None, "avatar_url": MXC, "reason": "r"}),
    ("m.room.member", models.Member, {"membership": "invite", "third_party_invite": {"signed": {"mxid": "@a:x"}}}),
    ("m.room.create", models.Create, {}),
    ("m.room.create", models.Create, {"room_version": "12", "m.federate": False, "predecessor": {"room_id": "!old:x"}}),
    ("m.room.create", models.Create, {"additional_creators": 5, "type": "m.space"}),
    ("m.room.name", models.Name, {"name": "Kitchen"}),
    ("m.room.name", models.Name, {}),
    ("m.room.topic", models.Topic, {"topic": "Tea", "m.topic": {"m.text": [{"body": "Tea"}]}}),
    ("m.room.avatar", models.Avatar, {"url": MXC, "info": THUMBNAIL}),
    ("m.room.canonical_alias", models.CanonicalAlias, {"alias": None, "alt_aliases": ["#a:x"]}),
    ("m.room.join_rules", models.JoinRules, {"join_rule": "restricted", "allow": [{"type": "t", "room_id": "!r:x"}]}),
    ("m.room.history_visibility", models.HistoryVisibility, {"history_visibility": "world_readable"}),
    ("m.room.power_levels", models.PowerLevels, {"users": {"@a:x": 100}, "ban": 5, "notifications": {"room": 2}}),
    ("m.room.encryption", models.Encryption, {"algorithm": "m.megolm.v1.aes-sha2", "rotation_period_ms": 604800000}),
    ("m.room.tombstone", models.Tombstone, {"body": "moved", "replacement_room": "!new:x"}),
    ("m.room.message", models.Text, message("m.text", format="org.matrix.custom.html", formatted_body="<b>hi</b>")),
    ("m.room.message", models.Text, message("m.notice")),
    ("m.room.message", models.Text, message("m.emote", **{"m.relates_to": {"m.in_reply_to": {"event_id": "$a"}}})),
    ("m.room.message", models.Media, message("m.image", url=MXC, info=INFO)),
    ("m.room.message", models.Media, message("m.file", file=FILE, filename="a.txt")),
    ("m.room.message", models.Media, message("m.audio", url=MXC, info=INFO)),
    ("m.room.message", models.Media, message("m.video", url=MXC, info=INFO)),
    ("m.room.message", models.Location, message("m.location", geo_uri="geo:1,2")),
    ("m.room.message", models.Message, message("org.example.dance", steps=[1, 2.5])),
    ("m.reaction", models.Reaction, {"m.relates_to": {"rel_type": "m.annotation", "event_id": "$a", "key": "👍"}}),
    ("m.room.redaction", models.Redaction, {"redacts": "$a", "reason": "spam"}),
    ("m.space.child", models.SpaceChild, {"via": ["x"], "order": "a", "suggested": True}),
    ("m.tag", models.Tags, {"tags": {"m.favourite": {"order": 0.5}, "u.work": {}, "u.first": {"order": 0}}}),
    ("m.tag", models.Tags, {}),
    ("m.direct", models.Direct, {"@a:x": ["!r:x"], "@b:x": []}),
    ("m.receipt", models.Receipts, {"$a": {"m.read": {"@a:x": {"ts": 5, "thread_id": "main"}}}}),
    ("m.typing", models.Typing, {"user_ids": ["@a:x"]}),
    ("m.fully_read", models.FullyRead, {"event_id": "$a"}),
    ("m.ignored_user_list", models.IgnoredUserList, {"ignored_users": {"@a:x": {}}}),
    ("m.push_rules", models.PushRules, {"global": {"override": [RULE], "room": []}, "device": {}}),
    ("org.example.unknown", models.OtherContent, {"a": [None, {"b": 1e308}], "": 1, "\ud800": "\0", "copy": 5}),
]


@pytest.mark.parametrize(("type", "model", "content"), FULL)
def test_every_key_comes_back(type: str, model: type, content: dict[str, Any]) -> None:
    parsed = parse_content(type, content)
    assert parsed.__class__ is model
    assert parsed.model_dump(by_alias=True, exclude_unset=True) == content


@pytest.mark.parametrize(("type", "model", "content"), [row for row in FULL if not issubclass(row[1], RootModel)])
def test_an_unknown_key_is_kept(type: str, model: type, content: dict[str, Any]) -> None:
    grown = {**content, "org.example.more": {"deep": [1]}}
    assert parse_content(type, grown).model_dump(by_alias=True, exclude_unset=True) == grown


def test_an_unknown_key_never_passes_for_a_dotted_one() -> None:
    parsed = parse_content("m.room.create", {"federate": "fake", "m.federate": False})
    assert isinstance(parsed, models.Create)
    assert parsed.federate is False
    assert parsed.model_extra == {"federate": "fake"}


def test_every_model_has_a_case() -> None:
    assert {type for type, *_ in FULL} == {*MODELS, "org.example.unknown"}
    assert {content["msgtype"] for type, _, content in FULL if type == "m.room.message"} == {
        *MESSAGES,
        "org.example.dance",
    }


# type, content, the text of the error after the type
BAD: list[tuple[str, Any, str]] = [
    ("m.room.member", {}, "membership is missing"),
    (
        "m.room.member",
        {"membership": "lurk"},
        "membership should be 'invite', 'join', 'knock', 'leave' or 'ban'",
    ),
    ("m.room.member", {"membership": "join", "displayname": 5}, "displayname should be a valid string, got a number"),
    ("m.room.member", {"membership": "join", "is_direct": 1}, "is_direct should be a valid boolean, got a number"),
    ("m.room.name", {"name": ["a"]}, "name should be a valid string, got a list"),
    ("m.room.create", {"predecessor": "!r:x"}, "predecessor should be an object, got a string"),
    ("m.room.create", {"room_version": None}, "room_version should be a valid string, got null"),
    ("m.room.power_levels", {"users": {"@a:x": "high"}}, "users.@a:x should be a valid integer, got a string"),
    ("m.room.power_levels", {"users": {"@a:x": True}}, "users.@a:x should be a valid integer, got a boolean"),
    ("m.room.power_levels", {"events": []}, "events should be an object, got a list"),
    (
        "m.room.power_levels",
        {"ban": {}, "kick": [], "redact": None},
        "ban should be a valid integer, got an object (and 2 more)",
    ),
    ("m.room.message", {"msgtype": "m.text"}, "body is missing"),
    ("m.room.message", {"msgtype": ["m.text"], "body": "b"}, "msgtype should be a valid string, got a list"),
    ("m.room.message", {"body": "b"}, "msgtype is missing"),
    ("m.room.message", message("m.location"), "geo_uri is missing"),
    ("m.room.message", message("m.image", info={"w": 1.5}), "info.w should be a valid integer, got a number"),
    ("m.room.message", message("m.text", **{"m.relates_to": "$a"}), "m.relates_to should be an object, got a string"),
    ("m.reaction", {}, "m.relates_to is missing"),
    ("m.direct", {"@a:x": "!r:x"}, "@a:x should be a valid list, got a string"),
    ("m.receipt", {"$a": {"m.read": {"@a:x": 5}}}, "$a.m.read.@a:x should be an object, got a number"),
    ("m.typing", {"user_ids": ["@a:x", 5]}, "user_ids.1 should be a valid string, got a number"),
    (
        "m.push_rules",
        {"global": {"override": [{**RULE, "enabled": "yes"}]}},
        "global.override.0.enabled should be a valid boolean, got a string",
    ),
    ("m.room.name", ["a"], "the content is not an object"),
    ("org.example.unknown", None, "the content is not an object"),
]


@pytest.mark.parametrize(("type", "content", "fault"), BAD)
def test_an_error_names_type_path_and_fault(type: str, content: Any, fault: str) -> None:
    with pytest.raises(ContentError) as caught:
        parse_content(type, content)
    assert str(caught.value) == f"{type}: {fault}"


def test_an_error_names_the_place_and_is_one_printable_line() -> None:
    with pytest.raises(ContentError) as caught:
        parse_content("m.direct", {"@a\n\x1b[2J": 5}, where="event $x in !room:hs")
    assert str(caught.value) == "m.direct: event $x in !room:hs: @a\\n\\x1b[2J should be a valid list, got a number"


def test_an_error_does_not_tell_the_value() -> None:
    with pytest.raises(ContentError) as caught:
        parse_content("m.room.message", {"msgtype": "m.text", "body": ["my secret"]})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("sent", "level"),
    [(50, 50), ("50", 50), (" +050 ", 50), ("-1", -1), (50.57, 50), (-0.5, 0), (2**60, 2**60)],
)
def test_power_levels_of_old_room_versions(sent: object, level: int) -> None:
    parsed = parse_content("m.room.power_levels", {"users": {"@a:x": sent}, "ban": sent})
    assert isinstance(parsed, models.PowerLevels)
    assert (parsed.users["@a:x"], parsed.ban) == (level, level)


@pytest.mark.parametrize("sent", ["", "5.5", "1_000", "٥", "0x5", "+-5", "1" * 5000, float("inf"), float("nan"), None])
def test_no_power_level(sent: object) -> None:
    with pytest.raises(ContentError):
        parse_content("m.room.power_levels", {"ban": sent})


def test_missing_power_levels_have_the_defaults_of_the_spec() -> None:
    parsed = parse_content("m.room.power_levels", {})
    assert parsed.model_dump() == {
        "users": {},
        "users_default": 0,
        "events": {},
        "events_default": 0,
        "state_default": 50,
        "ban": 50,
        "kick": 50,
        "redact": 50,
        "invite": 0,
        "notifications": {"room": 50},
    }


def test_a_whole_float_is_an_integer() -> None:
    parsed = parse_content("m.room.message", message("m.image", info={"size": 1000.0}))
    assert isinstance(parsed, models.Media)
    assert parsed.info is not None
    assert parsed.info.size == 1000


json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(sorted({key for *_, content in FULL for key in content})) | st.text(st.characters(codec=None))


@given(st.sampled_from([*sorted(MODELS), "org.example.unknown"]), st.dictionaries(keys, json_value, max_size=5))
def test_any_object_is_parsed_or_refused_in_one_line(type: str, content: dict[str, Any]) -> None:
    try:
        parse_content(type, content)
    except ContentError as error:
        assert type != "org.example.unknown"
        assert len(str(error).splitlines()) == 1
        assert str(error).encode()

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncstore.model.redaction import redact_content, redacts_of

VERSIONS = [str(number) for number in range(1, 13)]
LEVELS = {"ban", "events", "events_default", "kick", "redact", "state_default", "users", "users_default"}
# Written from the pages of the spec, version by version: type -> [(from version, to version, keys kept)].
TABLE: dict[str, list[tuple[int, int, set[str]]]] = {
    "m.room.member": [(1, 8, {"membership"}), (9, 12, {"membership", "join_authorised_via_users_server"})],
    "m.room.create": [(1, 10, {"creator"})],
    "m.room.join_rules": [(1, 7, {"join_rule"}), (8, 12, {"join_rule", "allow"})],
    "m.room.power_levels": [(1, 10, LEVELS), (11, 12, LEVELS | {"invite"})],
    "m.room.history_visibility": [(1, 12, {"history_visibility"})],
    "m.room.aliases": [(1, 5, {"aliases"}), (6, 12, set())],
    "m.room.redaction": [(1, 10, set()), (11, 12, {"redacts"})],
    "m.room.name": [(1, 12, set())],
    "m.room.message": [(1, 12, set())],
    "m.room.encryption": [(1, 12, set())],
}
CASES = [
    (str(version), type, keys)
    for type, rows in TABLE.items()
    for first, last, keys in rows
    for version in range(first, last + 1)
]
EVERY_KEY = {key: {"of": key} for rows in TABLE.values() for *_, keys in rows for key in keys} | {
    "displayname": "Mallory",
    "body": "secret",
    "room_version": "x",
    "notifications": {},
    "type": "m.space",
}

json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
contents = st.dictionaries(
    st.sampled_from([*sorted(EVERY_KEY), "third_party_invite", "signed"]) | st.text(max_size=8), json_value
)


@pytest.mark.parametrize(("version", "type", "keys"), CASES)
def test_keeps_the_keys_of_the_version(version: str, type: str, keys: set[str]) -> None:
    assert redact_content(version, type, EVERY_KEY) == {key: EVERY_KEY[key] for key in keys}


def test_every_version_of_every_type_is_in_the_table() -> None:
    assert {(version, type) for version, type, _ in CASES} == {
        (version, type) for version in VERSIONS for type in TABLE
    } - {(version, "m.room.create") for version in ("11", "12")}


@pytest.mark.parametrize("version", ["11", "12", None, "org.matrix.hydra.11", "zebra", "013"])
def test_create_is_kept_whole_from_version_11(version: str | None) -> None:
    kept = redact_content(version, "m.room.create", EVERY_KEY)
    assert kept == EVERY_KEY
    assert kept is not EVERY_KEY


@pytest.mark.parametrize(
    ("version", "invite", "kept"),
    [
        ("10", {"signed": {"token": "t"}, "display_name": "a"}, {}),
        ("11", {"signed": {"token": "t"}, "display_name": "a"}, {"third_party_invite": {"signed": {"token": "t"}}}),
        ("12", {"display_name": "a"}, {"third_party_invite": {}}),
        ("12", "a string", {}),
        ("12", ["signed"], {}),
    ],
)
def test_third_party_invite_keeps_signed_from_version_11(version: str, invite: object, kept: dict[str, Any]) -> None:
    assert redact_content(version, "m.room.member", {"third_party_invite": invite}) == kept


@pytest.mark.parametrize(
    ("version", "like"),
    [
        (None, "12"),
        ("org.matrix.hydra.11", "12"),
        ("org.matrix.msc3757.10", "10"),
        ("org.matrix.msc3757.11", "11"),
        ("", "12"),
        ("13", "12"),
        ("com.example.5", "12"),
    ],
)
@pytest.mark.parametrize("type", TABLE)
def test_versions_that_are_no_number(version: str | None, like: str, type: str) -> None:
    assert redact_content(version, type, EVERY_KEY) == redact_content(like, type, EVERY_KEY)


@pytest.mark.parametrize("content", [None, [], "redacts", 5])
def test_a_content_that_is_no_object_leaves_nothing(content: Any) -> None:
    assert redact_content("12", "m.room.create", content) == {}
    assert redacts_of("12", "m.room.redaction", "$a", content) is None


def test_a_version_that_is_no_string_goes_as_the_newest() -> None:
    version: Any = ["12"]
    assert redact_content(version, "m.room.create", EVERY_KEY) == EVERY_KEY


@given(st.sampled_from([*VERSIONS, None]), st.sampled_from(sorted(TABLE)), contents)
def test_redacting_twice_is_redacting_once(version: str | None, type: str, content: dict[str, Any]) -> None:
    before = repr(content)
    once = redact_content(version, type, content)
    assert redact_content(version, type, once) == once
    assert once.keys() <= content.keys()
    assert repr(content) == before


@pytest.mark.parametrize(
    ("version", "top", "inner", "named"),
    [
        ("1", "$top", None, "$top"),
        ("10", "$top", "$inner", "$top"),
        ("10", None, "$inner", None),  # never checked by the server: it would let anybody strip anything
        ("10", 5, "$inner", None),
        ("11", "$top", "$inner", "$inner"),
        ("11", "$top", None, None),
        ("12", None, "$inner", "$inner"),
        ("org.matrix.msc3757.10", "$top", "$inner", "$top"),
        (None, "$top", "$inner", "$inner"),
        (None, "$top", None, "$top"),
        (None, "$top", {"no": "string"}, "$top"),
        ("zebra", "$top", None, "$top"),
        (None, None, None, None),
    ],
)
def test_redacts_of(version: str | None, top: object, inner: object, named: str | None) -> None:
    content = {} if inner is None else {"redacts": inner}
    assert redacts_of(version, "m.room.redaction", top, content) == named


def test_only_a_redaction_names_something() -> None:
    assert redacts_of(None, "m.room.message", "$top", {"redacts": "$inner"}) is None


@pytest.mark.parametrize("version", VERSIONS)
def test_a_pruned_redaction_still_names_its_event_only_from_version_11(version: str) -> None:
    left = redact_content(version, "m.room.redaction", {"redacts": "$a", "reason": "spam"})
    assert redacts_of(version, "m.room.redaction", None, left) == ("$a" if int(version) >= 11 else None)

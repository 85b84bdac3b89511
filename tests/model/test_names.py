from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncstore.model.names import room_display_name

ALICE = ("@alice:x", "Alice")
BOB = ("@bob:x", "Bob")
CARL = ("@carl:x", "Carl")
OTHER_ALICE = ("@a:y", "Alice")
NAMELESS = ("@dave:x", None)

Heroes = list[tuple[str, str | None]]


@pytest.mark.parametrize(
    ("name", "alias", "shown"),
    [
        ("Kitchen", "#kitchen:x", "Kitchen"),
        ("", "#kitchen:x", "#kitchen:x"),
        (None, "#kitchen:x", "#kitchen:x"),
        (None, "kitchen", "Alice"),
        (None, "", "Alice"),
        (None, None, "Alice"),
    ],
)
def test_name_then_alias_then_heroes(name: str | None, alias: str | None, shown: str) -> None:
    assert room_display_name(name, alias, [ALICE], 2, 0) == shown


@pytest.mark.parametrize(
    ("heroes", "joined", "invited", "shown"),
    [
        ([ALICE], 2, 0, "Alice"),
        ([ALICE], 1, 1, "Alice"),
        ([ALICE, BOB], 3, 0, "Alice and Bob"),
        ([ALICE, BOB, CARL], 4, 0, "Alice, Bob and Carl"),
        ([ALICE, BOB, CARL], 2, 0, "Alice, Bob and Carl"),
        ([ALICE], 3, 0, "Alice and 1 other"),
        ([ALICE, BOB], 4, 2, "Alice, Bob and 3 others"),
        ([], 4, 0, "3 others"),
        ([], 1, 1, "1 other"),
        ([], 1, 0, "Empty room"),
        ([], 0, 0, "Empty room"),
        ([ALICE], 1, 0, "Empty room (was Alice)"),
        ([ALICE, BOB], 0, 1, "Empty room (was Alice and Bob)"),
    ],
)
def test_heroes_and_counts(heroes: Heroes, joined: int, invited: int, shown: str) -> None:
    assert room_display_name(None, None, heroes, joined, invited) == shown


@pytest.mark.parametrize(
    ("heroes", "shown"),
    [
        ([NAMELESS], "@dave:x"),
        ([("@dave:x", "")], "@dave:x"),
        ([("@dave:x", " \t")], "@dave:x"),
        ([ALICE, OTHER_ALICE], "Alice (@alice:x) and Alice (@a:y)"),
        ([ALICE, BOB, OTHER_ALICE], "Alice (@alice:x), Bob and Alice (@a:y)"),
        ([("@eve:x", "@dave:x"), NAMELESS], "@dave:x (@eve:x) and @dave:x"),
    ],
)
def test_heroes_are_told_apart(heroes: Heroes, shown: str) -> None:
    assert room_display_name(None, None, heroes, len(heroes) + 1, 0) == shown


users = st.tuples(st.from_regex(r"@[a-z]{1,3}:x", fullmatch=True), st.none() | st.text(max_size=3))


@given(st.lists(users, max_size=6), st.integers(0, 9), st.integers(0, 9))
def test_a_name_is_never_blank(heroes: Heroes, joined: int, invited: int) -> None:
    assert room_display_name(None, None, heroes, joined, invited).strip()

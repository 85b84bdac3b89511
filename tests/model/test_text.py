from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncstore.model.text import clean, printable

EMBEDDINGS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
any_text = st.text(st.characters(codec=None) | st.sampled_from("\0\ud800\udfff\x1b\x9b\u202e\u2066\n"))


@pytest.mark.parametrize("value", [None, 5, 1.5, True, ["a"], {"a": 1}, b"a"])
def test_clean_of_no_text_is_none(value: object) -> None:
    assert clean(value) is None


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        ("", ""),
        ("Café \U0001f600\n", "Café \U0001f600\n"),
        ("a\0b", "a\ufffdb"),
        ("\ud800", "\ufffd"),
        ("x\udfffy\0", "x\ufffdy\ufffd"),
    ],
)
def test_clean(value: str, cleaned: str) -> None:
    assert clean(value) == cleaned


@given(any_text)
def test_clean_is_always_fit_for_sqlite(value: str) -> None:
    cleaned = clean(value)
    assert cleaned is not None
    assert len(cleaned) == len(value)
    assert "\0" not in cleaned
    assert clean(cleaned.encode().decode()) == cleaned


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain \\ text", "plain \\ text"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\x7f\x9b1m\x00", "\\x7f\\x9b1m\\x00"),
        ("evil\u202etxt.exe", "evil\\u202etxt.exe"),
        ("\u2066a\u2069\u202a\u2028\u2029", "\\u2066a\\u2069\\u202a\\u2028\\u2029"),
        ("\ud83d", "\\ud83d"),
        ("אב 👩‍👩‍👧 é", "אב 👩‍👩‍👧 é"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(any_text)
def test_printable_lets_nothing_steer_the_terminal(text: str) -> None:
    shown = printable(text)
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(char) for char in shown} & EMBEDDINGS
    assert len(shown.splitlines()) <= 1

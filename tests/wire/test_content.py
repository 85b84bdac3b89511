"""Contents: what is flagged so that SQL does not look into it, and what a mask gives back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncstore.model.batch import ODD_DUPLICATE_KEY, ODD_NUL, ODD_SURROGATE
from syncstore.wire.content import BadPart, decode_object
from syncstore.wire.mask import Mask, is_utf8, lone_surrogates, nesting


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        ('{"a":1}', 0),
        ('{"a":"\\":"}', 0),
        ('{"a":{"a":1},"b":[{"a":1}]}', 0),
        ('{"a":1,"a":2}', ODD_DUPLICATE_KEY),
        ('{"b":{"a":1,"a":1}}', ODD_DUPLICATE_KEY),
        ('{"a" :1,"b":"x","b":"y"}', ODD_DUPLICATE_KEY),
        ('{"a":"\\u0000"}', ODD_NUL),
        ('{"a":"\\ud800"}', ODD_SURROGATE),
        ('{"a":"\\ud83d\\ude00"}', 0),
        ('{"a":"\\\\ud800"}', 0),
        ('{"a":"\\udc00\\ud800"}', ODD_SURROGATE),
        ('{"a":1e400,"b":-0.0,"c":' + "9" * 5000 + "}", 0),
    ],
)
def test_odd_contents_are_flagged(text: str, odd: int) -> None:
    assert decode_object(text)[1] == odd


@pytest.mark.parametrize("text", ["[]", "1", '"a"', "null"])
def test_a_content_is_an_object(text: str) -> None:
    with pytest.raises(BadPart):
        decode_object(text)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), _JSON, max_size=5), st.sampled_from([None, 1]))
def test_no_sound_content_is_flagged(content: dict[str, object], indent: int | None) -> None:
    text = json.dumps(content, indent=indent)
    value, odd = decode_object(text)
    assert value == content
    assert not odd & (ODD_DUPLICATE_KEY | ODD_SURROGATE)


@given(st.binary(max_size=300), st.text(alphabet='\\"ud8c0[]{}~0s ', max_size=60))
def test_a_mask_gives_back_every_byte(noise: bytes, structure: str) -> None:
    body = structure.encode() + noise + structure.encode()
    mask = Mask(body)
    assert mask.restore(mask.body) == body
    assert is_utf8(mask.body)
    assert not lone_surrogates(mask.body.decode())


def test_a_mask_covers_what_is_too_deep() -> None:
    body = b'{"a":' + b"[" * 5000 + b'"\\ud800"' + b"]" * 5000 + b',"b":"[{"}'
    mask = Mask(body)
    assert nesting(mask.body) < 100
    assert mask.restore(mask.body) == body

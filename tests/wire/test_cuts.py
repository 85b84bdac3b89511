"""Large bodies, split room by room: nothing is lost or changed, and no step is long."""

from __future__ import annotations

import json
import re
from types import ModuleType
from typing import Any
from unittest.mock import patch

import msgspec
import pytest

from syncstore.errors import WireError
from syncstore.model.batch import Batch
from syncstore.wire import cuts, mask, parse, sync
from syncstore.wire.cuts import Cuts
from syncstore.wire.turns import WINDOW

PADDING = "x" * 4096


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def message(event_id: str, **content: object) -> dict[str, Any]:
    sent = {"type": "m.room.message", "sender": "@a:hs", "event_id": event_id, "origin_server_ts": 1}
    return sent | {"content": {"body": PADDING} | content}


def body(rooms: int, **more: object) -> bytes:
    joined = {f"!{n}:hs": {"timeline": {"events": [message(f"${n}-{at}") for at in range(4)]}} for n in range(rooms)}
    return compact({"next_batch": "s1", "rooms": {"join": joined, "leave": joined | {"!last:hs": {}}}} | more)


def read(raw: bytes, *, in_pieces: bool) -> tuple[Any, ...]:
    with patch.object(sync, "_LARGE", 0 if in_pieces else 1 << 40), patch.object(sync, "_SMALL", 0):
        batch: Batch = parse(raw)
        return (list(batch.rooms), *(getattr(batch, name) for name in batch.__struct_fields__ if name != "rooms"))


NESTED = {"!a:hs": {"in": PADDING}, "!b:hs": {"the": PADDING}, "!c:hs": {"content": PADDING}}
TALK = {"timeline": {"events": [message("$", **NESTED)]}}
BODIES = {
    "rooms": body(5),
    "account data with rooms for keys": body(3, account_data={"events": [{"type": "t", "content": NESTED}]}),
    "a key that nobody knows": body(3, unheard_of=NESTED),
    "rooms within a message": compact(
        {
            "next_batch": "s",
            "rooms": {"join": {f"!{n}:hs": {"timeline": {"events": [message("$", **NESTED)]}} for n in "ab"}},
        }
    ),
    "what is sent looks like rooms": body(3).replace(b"xxxxxxxx", b'x},\\"!r:hs\\":{', 1),
    "state_after": body(3).replace(b'"timeline"', b'"state_after"'),
    "2015": body(3).replace(b'"join"', b'"joined"'),
    "a section that nobody knows": body(3).replace(b'"leave"', b'"left"'),
    "a room whose id is too long": body(3).replace(b'"!1:hs"', b'"!' + b"1" * 290 + b'"'),
    "a lone surrogate": body(3).replace(b"xxxxxxxx", b"\\ud800", 1),
    "not UTF-8": body(3).replace(b"xxxxxxxx", b"\xff", 1),
    "white space": json.dumps(json.loads(body(3)), indent=1).encode(),
    "a room that is no object": body(3).replace(b'{"timeline"', b'["timeline"', 1).replace(b"]}}", b"]}]", 1),
    "rooms that are none": compact({"next_batch": "s", "rooms": 5, "more": NESTED}),
}


@pytest.mark.parametrize("raw", BODIES.values(), ids=BODIES)
def test_a_body_in_pieces_reads_as_the_body(raw: bytes) -> None:
    try:
        expected = read(raw, in_pieces=False)
    except WireError as error:
        with pytest.raises(WireError, match=re.escape(str(error))):
            read(raw, in_pieces=True)
    else:
        assert read(raw, in_pieces=True) == expected


def test_all_but_the_last_room_of_a_section_is_cut_out() -> None:
    raw = body(50)
    cut = Cuts(raw)
    assert len(cut.rest) < len(raw) / 20
    assert bytes(cut.restore(msgspec.Raw(cut.rest))) == raw


def test_small_pieces_stay() -> None:
    raw = compact({"next_batch": "s", "rooms": {"join": {f"!{n}:hs": {} for n in range(1000)}}})
    assert not Cuts(raw).any and Cuts(raw).rest == raw


def test_no_step_over_a_large_body_is_long() -> None:
    """The decoder lets no other thread run: what it is given at once must be small."""
    raw = body(1000)
    longest = 0

    class Noting:
        def __init__(self, decoder: msgspec.json.Decoder[Any]) -> None:
            self._decoder = decoder

        def decode(self, part: Any) -> Any:
            nonlocal longest
            longest = max(longest, len(bytes(part)))
            return self._decoder.decode(part)

    assert len(raw) > 16 * WINDOW
    with (
        patch.object(sync, "_KEYS", Noting(sync._KEYS)),
        patch.object(sync, "_ROOMS", Noting(sync._ROOMS)),
        patch.object(cuts, "_VALUE", Noting(cuts._VALUE)),
    ):
        assert len(list(parse(raw).rooms)) == 2001
    assert longest < WINDOW


@pytest.mark.parametrize("reader", [mask, cuts, sync])
def test_whoever_reads_through_a_large_body_gives_way(reader: ModuleType) -> None:
    """SQLite does not free Python's lock in between: an event loop would wait for its turns."""
    raw = body(1000)
    with patch.object(reader, "give_way") as given:
        parse(raw)
    assert given.call_count >= len(raw) // WINDOW - 1 > 10
    with patch.object(reader, "give_way") as given:
        parse(body(3))
    given.assert_not_called()

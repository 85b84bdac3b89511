"""Values, keys and operations that a reader may stumble over."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.fuzz.tree import Obj, Raw, Slot, copy, get, put, slots
from tests.store.bodies import ANN, ME, ROOM

DEEP = 100_000

KEYS: list[Any] = [
    "",
    "\0",
    "a\0b",
    " ",
    ".",
    "$",
    "'\"; --",
    "../../etc/passwd",
    "i" * 255,
    "i" * 256,
    "ü" * 128,
    "\U0001f600",
    "\u2028\u202e",
    Raw(b'"\\ud800"'),
    Raw(b'"x\\udfffy"'),
    Raw(b'"\\ud83d\\ude00"'),
    Raw(b'"\\\\ud800"'),
    Raw(b'"\xff\xfe"'),
    Raw(b'"\xed\xa0\x80"'),
    Raw(b'"\xc0\x80"'),
    Raw(b'"\\u0000"'),
    Raw(b'"\\u0065vent_id"'),
    "~0~1s~",
    "__proto__",
    *("event_id", "type", "sender", "state_key", "content", "origin_server_ts", "unsigned", "redacts", "room_id"),
    *("events", "timeline", "state", "state_after", "event_map", "limited", "prev_batch", "rooms", "join", "joined"),
    *("leave", "invite", "knock", "next_batch", "chunk", "start", "end", "m.relates_to", "prev_content"),
    *("redacted_because", "replaces_state", "membership", "displayname", "org.matrix.msc4222.state_after"),
]
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**53,
    2**63,
    -(2**63) - 1,
    Raw(b"1e400"),
    Raw(b"-1E-400"),
    Raw(b"1e308"),
    Raw(b"-0"),
    Raw(b"9" * 5000),
    Raw(b"-" + b"9" * 5000),
    Raw(b"0." + b"3" * 5000),
    [],
    Obj(),
    [[]],
    Obj([["", Obj([["", []]])]]),
    Obj([["a", 1], ["a", 2]]),
    Raw(b"[" * 499 + b"]" * 499),
    Raw(b"[" * 600 + b"]" * 600),
    Raw(b'{"a":' * 600 + b"1" + b"}" * 600),
    Raw(b"[" * DEEP + b"]" * DEEP),
    Raw(b'{"":' * DEEP + b"1" + b"}" * DEEP),
    Raw(b'[{"\\ud800":' * 300 + b"1" + b"}]" * 300),
    Raw(b' { "a" : 1 , "b" : [ ] } '),
    Raw(b"\t\n\r null \n"),
    Obj([["events", []]]),
    Obj([["events", [None, 5, "x", []]]]),
    Obj([["events", "x"]]),
    [ROOM, ME, ANN],
    ME,
    "m.room.member",
    "m.room.create",
    "m.room.redaction",
    "m.room.message",
    "x" * 70_000,
    *KEYS,
]
OPERATIONS = ("replace", "delete", "double", "repeat", "rename", "add", "wrap", "swap", "empty")
# (where, what is done, with which value, with which key): numbers are taken modulo what there is.
Step = tuple[int, str, int, int]
STEPS: st.SearchStrategy[Step] = st.tuples(
    st.integers(0, 1 << 16), st.sampled_from(OPERATIONS), st.integers(0, len(VALUES) - 1), st.integers(0, len(KEYS) - 1)
)


def mutate(root: list[Any], step: Step) -> None:
    """One change somewhere below a container."""
    number, operation, value, key = step
    places = slots(root)
    if not places:
        return
    place = places[number % len(places)]
    holder, at = place
    if operation == "replace":
        put(place, copy(VALUES[value]))
    elif operation == "delete":
        del holder[at]
    elif operation == "double":
        holder.insert(at, copy(holder[at]) if not isinstance(holder, Obj) else [holder[at][0], copy(holder[at][1])])
    elif operation == "repeat" and isinstance(holder, Obj):
        holder.append([holder[at][0], copy(VALUES[value])])
    elif operation == "rename" and isinstance(holder, Obj):
        holder[at][0] = KEYS[key]
    elif operation == "add":
        holder.insert(at, [KEYS[key], copy(VALUES[value])] if isinstance(holder, Obj) else copy(VALUES[value]))
    elif operation == "wrap":
        put(place, [get(place)] if key % 2 else Obj([[KEYS[key], get(place)]]))
    elif operation == "swap":
        _swap(place, places[value * 31 % len(places)])
    elif isinstance(get(place), list):
        put(place, type(get(place))())


def _swap(one: Slot, other: Slot) -> None:
    """Two values change places; copies, for one may hold the other."""
    first, second = copy(get(one)), copy(get(other))
    put(one, second)
    put(other, first)

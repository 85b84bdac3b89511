"""JSON as a tree that can say more than JSON libraries do: repeated keys, and tokens that are put in as they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Raw(bytes):
    """One token, or anything else, as it shall stand in the body."""


class Obj(list[list[Any]]):
    """An object as its pairs [key, value]; a key is a str or a Raw."""


# A place of the tree: a list and an index, or an object and the number of a pair.
Slot = tuple[list[Any], int]


def parse(body: bytes) -> Any:
    """The tree of a body."""
    return json.loads(body, object_pairs_hook=lambda pairs: Obj([list(pair) for pair in pairs]))


def copy(tree: Any) -> Any:
    """A tree that shares nothing that may change."""
    if isinstance(tree, Obj):
        return Obj([[key, copy(value)] for key, value in tree])
    return [copy(one) for one in tree] if isinstance(tree, list) else tree


def dump(tree: Any) -> bytes:
    """The body of a tree."""
    if isinstance(tree, Raw):
        return bytes(tree)
    if isinstance(tree, Obj):
        return b"{" + b",".join(dump(key) + b":" + dump(value) for key, value in tree) + b"}"
    if isinstance(tree, list):
        return b"[" + b",".join(map(dump, tree)) + b"]"
    return json.dumps(tree).encode()


def get(slot: Slot) -> Any:
    """The value that stands in a place."""
    holder, at = slot
    return holder[at][1] if isinstance(holder, Obj) else holder[at]


def put(slot: Slot, value: Any) -> None:
    """Let another value stand there."""
    holder, at = slot
    if isinstance(holder, Obj):
        holder[at][1] = value
    else:
        holder[at] = value


def slots(root: list[Any]) -> list[Slot]:
    """Every place below a container, outer ones first."""
    found: list[Slot] = [(root, at) for at in range(len(root))]
    for slot in found:
        value = get(slot)
        if isinstance(value, list):
            found += [(value, at) for at in range(len(value))]
    return found


def find(tree: Any, *path: str) -> list[Any]:
    """The values at a path of keys; `*` stands for every key or item."""
    if not path:
        return [tree]
    if isinstance(tree, Obj):
        below: list[Any] = [value for key, value in tree if path[0] in ("*", key)]
    else:
        below = list(tree) if isinstance(tree, list) and path[0] == "*" else []
    return [one for value in below for one in find(value, *path[1:])]


def change(tree: T, how: Callable[[T], None]) -> T:
    """A copy of a tree, changed."""
    made: T = copy(tree)
    how(made)
    return made

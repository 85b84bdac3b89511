"""Names for people, of rooms and of members: "Calculating the display name for a room" and "for a user" of the spec."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

# Without ink, though no format characters: joiner of graphemes, fillers, variation selectors.
_UNSEEN = "\u034f\u115f\u1160\u17b4\u17b5" + "".join(map(chr, range(0xFE00, 0xFE10)))
EMPTY_ROOM = "Empty room"


def room_display_name(
    name: str | None,
    canonical_alias: str | None,
    heroes: Sequence[tuple[str, str | None]],
    joined: int,
    invited: int,
) -> str:
    """Return the name, else the canonical alias, else one made of the heroes; never an empty text.

    `heroes` are (user_id, displayname or None) without ourselves, in the server's order; all are shown (servers send
    five). `joined` and `invited` count members and include ourselves; if that leaves nobody else, the heroes are
    those who left. Two heroes of one name are told apart by their ids; other members' names are not looked at.
    """
    if name:
        return name
    if canonical_alias and canonical_alias.startswith("#"):
        return canonical_alias
    names = _disambiguated(heroes)
    if joined + invited <= 1:
        return f"{EMPTY_ROOM} (was {_listed(names)})" if names else EMPTY_ROOM
    others = joined + invited - 1 - len(names)
    if others > 0:
        names.append("1 other" if others == 1 else f"{others} others")
    return _listed(names)


def names_in_use(people: Iterable[tuple[str, str | None]]) -> Counter[str]:
    """How often each look of a name occurs among (user_id, displayname or None) of those who are joined or invited."""
    return Counter(_look(_shown(displayname) or user_id) for user_id, displayname in people)


def member_name(user_id: str, displayname: str | None, in_use: Mapping[str, int], *, counted: bool = True) -> str:
    """Return what to call a member: the display name, with the id after it where it would mean somebody else too.

    counted: whether the member is one of those in `in_use`. A blank display name would show nothing and counts as none.
    One that looks like an id, or like another name but for what nobody sees, would mean somebody else too.
    Source: Client-Server API, "Calculating the display name for a user".
    """
    shown = _shown(displayname)
    if shown is None:
        return user_id
    look = _look(shown)
    like_an_id = look.startswith("@") and ":" in look and shown != user_id
    return f"{shown} ({user_id})" if like_an_id or in_use.get(look, 0) > int(counted) else shown


def _disambiguated(heroes: Sequence[tuple[str, str | None]]) -> list[str]:
    in_use = names_in_use(heroes)
    return [member_name(user_id, displayname, in_use) for user_id, displayname in heroes]


def _look(name: str) -> str:
    """What people see of a name: compatible forms are one, what has no width is nothing, white space is one space."""
    if name.isascii():
        return " ".join(name.split())
    seen = (char for char in unicodedata.normalize("NFKC", name) if not _is_unseen(char))
    return " ".join("".join(seen).split())


def _is_unseen(char: str) -> bool:
    return char in _UNSEEN or unicodedata.category(char) in ("Cf", "Cc")


def _shown(displayname: str | None) -> str | None:
    return displayname if displayname and displayname.strip() else None


def _listed(names: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)

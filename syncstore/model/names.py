"""A room's name for people: "Calculating the display name for a room" of the client-server spec."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

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


def _disambiguated(heroes: Sequence[tuple[str, str | None]]) -> list[str]:
    """Show the id after a display name that two heroes share, or that is the id of another one.

    Spec: "Calculating the display name for a user". A blank display name would show nothing and counts as none.
    """
    people = [(user_id, shown if shown and shown.strip() else None) for user_id, shown in heroes]
    seen = Counter(shown or user_id for user_id, shown in people)
    return [f"{shown} ({user_id})" if shown and seen[shown] > 1 else shown or user_id for user_id, shown in people]


def _listed(names: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)

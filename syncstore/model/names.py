"""A room's name for people: "Calculating the display name for a room" of the client-server spec."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

EMPTY_ROOM = "Empty room"


class Hero(NamedTuple):
    """A member that may lend the room a name; `displayname` is None where the member event has none."""

    user_id: str
    displayname: str | None


def room_display_name(
    name: str | None,
    canonical_alias: str | None,
    heroes: Sequence[tuple[str, str | None]],
    joined: int,
    invited: int,
) -> str:
    """Return the name, else the canonical alias, else one made of the heroes; never an empty text.

    `heroes` are (user_id, displayname) without ourselves, in the server's order; all are shown (servers send at most
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
    others = max(joined + invited - 1 - len(heroes), 0)
    if not names:  # members, yet the server named none of them
        return _people(others)
    return _listed([*names, f"{others} other" + "s" * (others > 1)] if others else names)


def _disambiguated(heroes: Sequence[tuple[str, str | None]]) -> list[str]:
    """Show a display name that two heroes share, or that is another's id, with the id after it.

    Spec: "Calculating the display name for a user". A blank display name shows nothing and counts as none.
    """
    people = [Hero(user_id, shown if shown and shown.strip() else None) for user_id, shown in heroes]
    seen = Counter(person.displayname or person.user_id for person in people)
    return [
        f"{shown} ({user_id})" if shown and seen[shown] > 1 else shown or user_id for user_id, shown in people
    ]


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _people(others: int) -> str:
    return f"{others} other" + "s" * (others > 1)

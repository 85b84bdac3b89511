"""GET /rooms/{roomId}/messages with dir=b, the way servers really end their pages.

Tokens: s<moment>_<n>, a next_batch, and t<moment>, a prev_batch, bound by arrival; d<depth>_<moment> bounds by the
room's own order, in which all pages are; p<bound>~<depth>_<moment> ends a page: the bound of the walk, and its place.
"""

from __future__ import annotations

from typing import Literal

from .events import Json
from .server import Account

# bounded: stops at `to`, then one empty page without `end`; deaf: ignores `to` and runs on to the creation;
# same: its last, empty page has an `end` that equals `from`.
Ending = Literal["bounded", "deaf", "same"]


def messages(
    account: Account, room_id: str, from_: str, to: str | None = None, limit: int = 10, ending: Ending = "bounded"
) -> Json:
    """One page, newest first: `chunk`, `start`, and `end` unless history ends here."""
    bound, _, place = from_.removeprefix("p").partition("~")
    log = sorted(account.rooms[room_id]["log"], key=lambda item: (item["depth"], item["at"]), reverse=True)
    found = [item for item in log if _below(item, bound) and (not place or _below(item, f"d{place}"))]
    if to is not None and ending != "deaf":
        found = [item for item in found if not _below(item, to)]
    chunk = found[:limit]
    page: Json = {"start": from_, "chunk": [account.copy(room_id, item["event"]["event_id"]) for item in chunk]}
    if chunk:
        page["end"] = f"p{bound}~{chunk[-1]['depth']}_{chunk[-1]['at']}"
    elif ending == "same":
        page["end"] = from_
    return page


def _below(item: Json, token: str) -> bool:
    """Whether an event lies on the older side of a token."""
    if token[0] == "d":
        depth, at = map(int, token[1:].split("_"))
        return bool((item["depth"], item["at"]) < (depth, at))
    return int(item["at"]) <= int(token[1:].split("_")[0])

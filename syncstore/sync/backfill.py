"""Filling gaps: one request per gap at a time, a page and its token in one commit (promises 13 and 14)."""

from __future__ import annotations

from syncstore.errors import ServerError
from syncstore.ingest import SyncStore
from syncstore.model.records import Filled, Gap
from syncstore.net import Answer, Homeserver

# Longer than a request may take: a lease that outlives its process ends by itself.
_LEASE_SECONDS = 180.0
# Servers cut longer pages to 1,000 without a word; then one event more could not be told from none.
_MOST = 999


def fill(server: Homeserver, store: SyncStore, gap: Gap, limit: int) -> Filled:
    """Fetch and commit one page of a gap."""
    return _fill(server, store, gap, limit)[0]


def fill_all(server: Homeserver, store: SyncStore, budget: int, limit: int) -> int:
    """Fill open gaps until none is left or the budget of pages is spent; returns events added."""
    added = 0
    for gap in store.gaps():
        current: Gap | None = gap
        while budget > 0 and current is not None and current.status == "open":
            filled, asked = _fill(server, store, current, limit)
            if not asked:
                break  # another process is at it, or it went with an island
            budget -= 1
            added += filled.events_added
            current = filled.gap
    return added


def _fill(server: Homeserver, store: SyncStore, gap: Gap, limit: int) -> tuple[Filled, bool]:
    """One page, and whether anything was asked for."""
    with store.lease_gap(gap, _LEASE_SECONDS) as row:
        if row is None or row.status == "closed":
            return _filled(store, gap, 0), False
        # A walk that seems to have ended asks for its last page once more, longer by an event (store/gap.py).
        wanted = min(limit, _MOST) + (row.ended_at is not None)
        try:
            asked, answer = _page(server, store, gap, row.walk, row.since, wanted)
        except _Unreachable as error:
            store.give_up_gap(gap, str(error))
            return _filled(store, gap, 0), True
        done = store.apply_page(gap, asked, answer.body, again=row.ended_at is not None)
    return _filled(store, gap, done.added), True


class _Unreachable(Exception):  # noqa: N818 - becomes the gap's reason
    pass


def _filled(store: SyncStore, gap: Gap, added: int) -> Filled:
    now = store.gap(gap.id)
    return Filled(added, now is None, now)


def _page(
    server: Homeserver, store: SyncStore, gap: Gap, walk: str | None, to: str | None, limit: int
) -> tuple[str, Answer]:
    """The next page and the token it was asked with.

    A refused next_batch gives way to the gap's prev_batch: some servers page from that only. If that is refused too, or
    if there is none, the token is renewed. A server that was rebuilt refuses the older end as well: then the walk goes
    on without it, and closes by overlap.
    """
    for token in dict.fromkeys((walk, gap.prev_batch)):
        if token is not None and (answer := _unless_refused(server, gap, token, to, limit)) is not None:
            if token != walk:
                store.retry_gap(gap, walk, token)
            return token, answer
    token = _renewed(server, store, gap, walk)
    answer = None if to is None else _unless_refused(server, gap, token, to, limit)
    if answer is not None:
        return token, answer
    try:
        return token, server.messages(gap.room_id, from_=token, to=None, dir="b", limit=limit)
    except ServerError as error:
        raise _told(error) from None


def _unless_refused(server: Homeserver, gap: Gap, token: str, to: str | None, limit: int) -> Answer | None:
    try:
        return server.messages(gap.room_id, from_=token, to=to, dir="b", limit=limit)
    except ServerError as error:
        if error.status == 400:
            return None
        raise _told(error) from None


def _renewed(server: Homeserver, store: SyncStore, gap: Gap, walk: str | None) -> str:
    """A new token: of the room's newest end, or, from a server that does not tell that, just before the next event.

    The second may start too low if that event arrived late (docs/decisions/0013).
    """
    token = _from_the_top(server, store, gap, walk)
    if token is not None:
        return token
    if gap.oldest_after is None:
        raise _Unreachable("the server takes no token of this gap, and no event after it is stored")
    try:
        answer = server.context(gap.room_id, gap.oldest_after)
    except ServerError as error:
        raise _told(error) from None
    token = store.renew_gap(gap, walk, answer.body)
    if token is None or token == walk:
        raise _Unreachable(f"the server gives no token before {gap.oldest_after}")
    return token


def _from_the_top(server: Homeserver, store: SyncStore, gap: Gap, walk: str | None) -> str | None:
    """The token of the newest end: servers since specification 1.3 page from there without `from`."""
    try:
        answer = server.messages(gap.room_id, from_=None, to=None, dir="b", limit=1)
    except ServerError as error:
        if error.status == 400:
            return None
        raise _told(error) from None
    return store.renew_gap(gap, walk, answer.body)


def _told(error: ServerError) -> Exception:
    """An answer that asking again would not change gives the gap up; others are the caller's."""
    if error.status in (400, 403, 404):
        return _Unreachable(str(error))
    return error

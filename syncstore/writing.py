"""What only a writer needs, in one place: `SyncStore` imports it with the first write, for reading needs none of it."""

from __future__ import annotations

from syncstore.reduce import reduce
from syncstore.store.apply import Asked, apply_batch
from syncstore.store.check import check
from syncstore.store.gap import give_up, renew_walk
from syncstore.store.island import apply_context
from syncstore.store.lease import gap_lease, lease_gap, release_lease
from syncstore.store.members import apply_members
from syncstore.store.page import apply_page
from syncstore.store.prune import prune
from syncstore.store.query.drift import message_drift, state_drift
from syncstore.store.repair import mark_left, restate, walk_again
from syncstore.store.upkeep import backup, bind, compact, drop_filter, forget, keep_filter, rebind
from syncstore.wire import parse, parse_context, parse_members, parse_page, parse_payload, parse_start, parse_state

__all__ = [
    "Asked",
    "apply_batch",
    "apply_context",
    "apply_members",
    "apply_page",
    "backup",
    "bind",
    "check",
    "compact",
    "drop_filter",
    "forget",
    "gap_lease",
    "give_up",
    "keep_filter",
    "lease_gap",
    "mark_left",
    "message_drift",
    "parse",
    "parse_context",
    "parse_members",
    "parse_page",
    "parse_payload",
    "parse_start",
    "parse_state",
    "prune",
    "rebind",
    "reduce",
    "release_lease",
    "renew_walk",
    "restate",
    "state_drift",
    "walk_again",
]

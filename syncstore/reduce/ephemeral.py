"""Receipts, typing, account data: events that replace their predecessor and have no place in a timeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from syncstore.model.batch import Typed
from syncstore.model.changes import ContentRow, ReceiptRow
from syncstore.model.text import is_text

_INT64 = range(-(2**63), 2**63)


def content_rows(events: Iterable[Typed]) -> list[ContentRow]:
    """Account data by type, the newest of each."""
    return list({event.type: ContentRow(event.type, event.content, event.odd) for event in events}.values())


def receipt_rows(events: Iterable[Typed]) -> list[ReceiptRow]:
    """Receipts out of m.receipt: one row per user, type and thread, the newest of this response.

    A name that is not valid text names nobody: it is read over, as everything ephemeral may be.

    Source: Client-Server API, m.receipt: event_id -> receipt type -> user_id -> {ts, thread_id}.
    """
    rows: dict[tuple[str, str, str], ReceiptRow] = {}
    for event in events:
        if event.type == "m.receipt":
            for row in _receipts(event.body):
                known = rows.get(row[:3])
                # One event may list two receipts of a user: the later one by the server's clock holds.
                if known is None or (row.ts or 0) >= (known.ts or 0):
                    rows[row[:3]] = row
    return list(rows.values())


def _receipts(body: dict[str, Any]) -> Iterator[ReceiptRow]:
    for event_id, types in body.items():
        for receipt_type, users in _items(types):
            for user_id, receipt in _items(users):
                told = receipt if isinstance(receipt, dict) else {}
                ts, thread = told.get("ts"), told.get("thread_id")
                if not isinstance(thread, str):
                    thread = ""
                if not isinstance(ts, int) or ts not in _INT64:
                    ts = None
                if is_text(user_id + receipt_type + thread + event_id):
                    yield ReceiptRow(user_id, receipt_type, thread, event_id, ts)


def _items(value: object) -> Iterable[tuple[str, Any]]:
    return value.items() if isinstance(value, dict) else ()


def typing_users(events: Iterable[Typed]) -> list[str] | None:
    """Who types from now on, or None if this response does not say."""
    users: list[str] | None = None
    for event in events:
        if event.type == "m.typing":
            listed = event.body.get("user_ids")
            users = sorted({user for user in listed if is_text(user)}) if isinstance(listed, list) else []
    return users


def other_ephemeral(events: Iterable[Typed]) -> list[ContentRow]:
    """Ephemeral events of kinds we do not know: the newest of each is kept."""
    return [
        ContentRow(f"ephemeral/{event.type}", event.content, event.odd)
        for event in events
        if event.type not in ("m.receipt", "m.typing")
    ]

"""What a client shows, kept up to date by the change feed alone: it rereads nothing that the feed did not name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from syncstore import Change, Event, SyncStore

Shown = dict[tuple[Any, ...], Any]


class Screen:
    """Everything that is shown, by what it is and where. `follow` brings it up to date; `fresh` reads all of it."""

    def __init__(self) -> None:
        self.shown: Shown = {}
        self.seen = 0

    def follow(self, store: SyncStore) -> None:
        """Take what has changed since, each change once."""
        for change in store.changes(self.seen):
            self.seen = change.seq
            take = _TAKE.get(change.kind)
            if take is not None:
                take(self.shown, store, change)

    @staticmethod
    def fresh(store: SyncStore) -> Shown:
        """The whole, read anew."""
        shown: Shown = {}
        for room in store.rooms():
            _row(shown, store, room.room_id)
            _pile(shown, store, room.room_id)
            _timeline(shown, store, room.room_id)
            _beside(shown, store, room.room_id)
            _stripped(shown, store, room.room_id)
            for type_ in ("m.tag", "m.fully_read"):
                _data(shown, store, room.room_id, type_)
        for gap in store.gaps():
            _gap(shown, store, gap.id)
        for type_ in ("m.push_rules", "org.example"):
            _data(shown, store, None, type_)
        return shown


def _put(shown: Shown, key: tuple[Any, ...], value: Any) -> None:
    """What is not there is not shown."""
    if value is None or value == []:
        shown.pop(key, None)
    else:
        shown[key] = value


def _clear(shown: Shown, *begin: Any) -> None:
    for key in [key for key in shown if key[: len(begin)] == begin]:
        del shown[key]


def _row(shown: Shown, store: SyncStore, room_id: str) -> None:
    room = store.room(room_id)
    _put(shown, ("row", room_id), (room.membership, room.display_name, room.notification_count, room.highlight_count))


def _pile(shown: Shown, store: SyncStore, room_id: str) -> None:
    _clear(shown, "state", room_id)
    for (type_, key), event in store.room(room_id).state_map().items():
        shown["state", room_id, type_, key] = (event.event_id, event.content_json)


def _event(shown: Shown, store: SyncStore, room_id: str, event_id: str) -> None:
    event = store.room(room_id).event(event_id)
    stands = event is not None and event.segment is not None
    _put(shown, ("event", room_id, event_id), _content(event) if event is not None and stands else None)


def _content(event: Event) -> tuple[str, str | None]:
    return event.content_json, event.redacted_by


def _timeline(shown: Shown, store: SyncStore, room_id: str) -> None:
    _clear(shown, "event", room_id)
    for item in store.room(room_id).timeline(10_000).items:
        if isinstance(item, Event):
            shown["event", room_id, item.event_id] = _content(item)


def _beside(shown: Shown, store: SyncStore, room_id: str) -> None:
    room = store.room(room_id)
    receipts = [(one.user_id, one.receipt_type, one.thread_id, one.event_id) for one in room.receipts()]
    _put(shown, ("receipts", room_id), sorted(receipts, key=repr))
    _put(shown, ("typing", room_id), room.typing())


def _stripped(shown: Shown, store: SyncStore, room_id: str) -> None:
    room = store.room(room_id)
    for name, pile in (("invite_state", room.invite_state()), ("knock_state", room.knock_state())):
        _put(shown, (name, room_id), [(one.type, one.state_key, one.content_json) for one in pile])


def _gap(shown: Shown, store: SyncStore, gap_id: int) -> None:
    gap = store.gap(gap_id)
    _put(shown, ("gap", gap_id), None if gap is None else (gap.room_id, gap.status, gap.prev_batch))


def _data(shown: Shown, store: SyncStore, room_id: str | None, type_: str) -> None:
    found = store.account_data(type_) if room_id is None else store.room(room_id).account_data(type_)
    _put(shown, ("data", room_id, type_), found)


# -- what each kind of change names


def _take_event(shown: Shown, store: SyncStore, change: Change) -> None:
    assert change.room_id is not None
    if change.event_id is None:
        _timeline(shown, store, change.room_id)
    else:
        _event(shown, store, change.room_id, change.event_id)


def _take_state(shown: Shown, store: SyncStore, change: Change) -> None:
    assert change.room_id is not None
    if change.type is None:
        _pile(shown, store, change.room_id)
        return
    event = store.room(change.room_id).state(change.type, change.key or "")
    value = None if event is None else (event.event_id, event.content_json)
    _put(shown, ("state", change.room_id, change.type, change.key), value)


def _take_gap(shown: Shown, store: SyncStore, change: Change) -> None:
    for gap_id in [int(change.key)] if change.key else [key[1] for key in shown if key[0] == "gap"]:
        _gap(shown, store, gap_id)


def _take_data(shown: Shown, store: SyncStore, change: Change) -> None:
    assert change.type is not None
    _data(shown, store, change.room_id, change.type)


def _of_room(take: Callable[[Shown, SyncStore, str], None]) -> Callable[[Shown, SyncStore, Change], None]:
    def took(shown: Shown, store: SyncStore, change: Change) -> None:
        assert change.room_id is not None
        take(shown, store, change.room_id)

    return took


_TAKE: dict[str, Callable[[Shown, SyncStore, Change], None]] = {
    "event": _take_event,
    "state": _take_state,
    "gap": _take_gap,
    "account_data": _take_data,
    "room": _of_room(_row),
    "membership": _of_room(_row),
    "receipts": _of_room(_beside),
    "typing": _of_room(_beside),
    "invite_state": _of_room(_stripped),
    "knock_state": _of_room(_stripped),
}

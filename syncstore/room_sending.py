"""What can be said in a room: each method queues it, on the disk when it returns, and shows it at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from syncstore.errors import NotFoundError, OutboxError
from syncstore.later import Later
from syncstore.model.outgoing import Outgoing

if TYPE_CHECKING:
    from syncstore.store import outbox
else:
    outbox = Later("syncstore.store.outbox")


class Writer(Protocol):
    """The store behind a room; a snapshot has none."""

    def _queue(self, wanted: outbox.Wanted) -> Outgoing: ...
    def _set_draft(self, room_id: str, content: Mapping[str, Any] | None) -> None: ...
    def _complete_members(self, room_id: str, load: Any) -> None: ...
    def cancel(self, transaction_id: str) -> list[str]:
        """Take something out of the outbox."""


class RoomSending:
    """The part of `Room` that sends. `Syncer.run_forever` and `Syncer.flush` carry it to the server, in order.

    A target is the event_id of an event, or the transaction_id of something that is on its way: it is then sent after
    that. Every method raises NotFoundError (a target that is neither), ContentError (content that is no JSON object),
    OutboxError (plain text for an encrypted room; a room of a snapshot).
    """

    __slots__ = ()

    room_id: str
    _writer: Writer | None

    def send(self, type: str, content: Mapping[str, Any]) -> Outgoing:
        """Queue an event of any type. An `m.relates_to` may name what is on its way."""
        return self._queue("event", type, content)

    def send_text(self, body: str, *, reply_to: str | None = None, msgtype: str = "m.text") -> Outgoing:
        """Queue a message; reply_to: what it answers."""
        relation = {} if reply_to is None else {"m.relates_to": {"m.in_reply_to": {"event_id": reply_to}}}
        return self._queue("event", "m.room.message", {"msgtype": msgtype, "body": body, **relation})

    def edit(self, target: str, content: Mapping[str, Any]) -> Outgoing:
        """Queue a new content for a message of ours; clients that know no edits show its body after an asterisk."""
        body = content.get("body")
        shown = {**content, "body": f"* {body}"} if isinstance(body, str) else dict(content)
        relation = {"rel_type": "m.replace", "event_id": target}
        return self._queue("event", "m.room.message", {**shown, "m.new_content": content, "m.relates_to": relation})

    def react(self, target: str, key: str) -> Outgoing:
        """Queue a reaction; key: an emoji, as a rule."""
        relation = {"rel_type": "m.annotation", "event_id": target, "key": key}
        return self._queue("event", "m.reaction", {"m.relates_to": relation})

    def redact(self, target: str, reason: str | None = None) -> Outgoing | None:
        """Queue a redaction. What has not been tried yet is taken out of the outbox instead: None."""
        pending = self._store().cancel
        if not target.startswith("$"):
            try:
                pending(target)
            except (NotFoundError, OutboxError):
                pass  # it has gone, or may have: then only a redaction helps
            else:
                return None
        return self._queue("redaction", "m.room.redaction", {} if reason is None else {"reason": reason}, target=target)

    def send_state(
        self, type: str, content: Mapping[str, Any], state_key: str = "", *, replaces: str | None = None
    ) -> Outgoing:
        """Queue a state event. replaces: the event_id that the key must still hold; if it moved, this is parked."""
        return self._queue("state", type, content, state_key=state_key, replaces=replaces)

    def mark_read(self, event_id: str, *, receipt_type: str = "m.read", thread_id: str | None = None) -> Outgoing:
        """Queue a receipt, in place of one of the same type and thread that still waits."""
        content = {} if thread_id is None else {"thread_id": thread_id}
        return self._queue("receipt", receipt_type, content, target=event_id)

    def set_draft(self, content: Mapping[str, Any] | None) -> None:
        """Keep what is being written here, any JSON object; None: nothing any more."""
        self._store()._set_draft(self.room_id, content)

    def _queue(self, kind: str, type: str, content: Mapping[str, Any], **more: str | None) -> Outgoing:
        return self._store()._queue(outbox.Wanted(self.room_id, kind, type, content, **more))

    def _store(self) -> Writer:
        if self._writer is None:
            raise OutboxError("nothing can be sent out of a snapshot: ask the store's own room")
        return self._writer

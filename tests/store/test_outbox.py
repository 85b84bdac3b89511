"""The outbox as its owner sees it: queued, shown at once, taken back, confirmed by what a sync brings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from syncstore import Event, SyncStore
from syncstore.errors import ContentError, NotFoundError, OutboxError
from syncstore.model.outgoing import Attempt, Outgoing
from tests.store.bodies import ME, ROOM, Json, create, member, message, page, redaction, state, topic
from tests.store.conftest import Feed, Sql


@pytest.fixture
def room(feed: Feed) -> Feed:
    """A room that we are in, with one message."""
    feed.take(feed.next.join(ROOM, message("$a"), state=[create(), member("$me", ME, "join")]))
    return feed


def bodies(store: SyncStore) -> list[str]:
    """What the timeline shows, the oldest first."""
    items = store.room(ROOM).timeline().items
    return [str(item.content.get("body")) for item in reversed(items) if isinstance(item, Event)]


def mine(id: str, transaction_id: str | None, body: str = "x", **more: Any) -> Json:
    """The echo of something of ours; without a transaction id, as another device sees it."""
    told = {} if transaction_id is None else {"unsigned": {"transaction_id": transaction_id}}
    return message(id, body, sender=ME, **told, **more)


def take(store: SyncStore) -> Attempt:
    attempt = store.next_to_send(ROOM)
    assert attempt is not None
    return attempt


def only(store: SyncStore) -> Outgoing:
    (one,) = store.outbox()
    return one


def test_p37_what_is_sent_is_shown_at_once_at_the_end(room: Feed, path: Path) -> None:
    first = room.store.room(ROOM).send_text("one")
    second = room.store.room(ROOM).send_text("two", reply_to="$a")
    assert bodies(room.store) == ["hello", "one", "two"]
    newest = room.store.room(ROOM).timeline(1)
    echo = newest.items[0]
    assert isinstance(echo, Event)
    assert (echo.source, echo.event_id, echo.sender, echo.in_reply_to) == ("outbox", second.transaction_id, ME, "$a")
    assert newest.profile(echo).user_id == ME
    room.store.close()
    with SyncStore.open(path) as again:
        assert [one.transaction_id for one in again.outbox()] == [first.transaction_id, second.transaction_id]
        assert bodies(again) == ["hello", "one", "two"]
        older = again.room(ROOM).timeline(before="$a").items
        assert not any(isinstance(item, Event) and item.source == "outbox" for item in older)


@pytest.mark.parametrize("reply_first", [True, False])
@pytest.mark.parametrize("told", [True, False], ids=["our device", "another device"])
def test_p37_echo_and_reply_confirm_in_either_order(room: Feed, reply_first: bool, told: bool) -> None:
    sent = room.store.room(ROOM).send_text("one")
    attempt = take(room.store)
    assert only(room.store).state == "sending"
    echo = room.next.join(ROOM, mine("$one", sent.transaction_id if told else None, "one"))
    if reply_first:
        room.store.mark_sent(attempt, "$one")
        assert (only(room.store).state, only(room.store).event_id) == ("sent", "$one")
        assert bodies(room.store) == ["hello", "one"]
        room.take(echo)
    else:
        room.take(echo)
        assert len(room.store.outbox()) == (not told)
        room.store.mark_sent(attempt, "$one")
    assert room.store.outbox() == []
    assert bodies(room.store) == ["hello", "one"]


def test_p37_the_echo_of_2015_confirms_too(room: Feed) -> None:
    sent = room.store.room(ROOM).send_text("one")
    take(room.store)
    room.take(room.next.join(ROOM, message("$one", sender=ME, unsigned={"txn_id": sent.transaction_id})))
    assert room.store.outbox() == []


def test_p37_a_stranger_cannot_confirm_what_is_ours(room: Feed) -> None:
    sent = room.store.room(ROOM).send_text("one")
    take(room.store)
    room.take(room.next.join(ROOM, message("$one", unsigned={"transaction_id": sent.transaction_id})))
    assert only(room.store).state == "sending"


def test_p37_an_echo_in_a_gap_confirms_when_the_gap_is_filled(room: Feed) -> None:
    sent = room.store.room(ROOM).send_text("one")
    take(room.store)
    room.take(room.next.join(ROOM, message("$z"), limited=True, prev_batch="p1"))
    assert bodies(room.store)[-1] == "one"
    (gap,) = [gap for gap in room.store.gaps() if gap.kind == "limited"]
    room.store.apply_page(gap, "p1", page(mine("$one", sent.transaction_id, "one"), end="s1"))
    assert room.store.outbox() == []
    assert bodies(room.store) == ["hello", "one", "hello"]


def test_p37_what_was_sent_and_lies_in_a_gap_is_not_shown_below_what_came_later(room: Feed) -> None:
    sent = room.store.room(ROOM).send_text("one")
    room.store.mark_sent(take(room.store), "$one")
    room.take(room.next.join(ROOM, message("$z", "later"), limited=True, prev_batch="p1"))
    assert (bodies(room.store), only(room.store).state) == (["hello", "later"], "sent")
    assert room.store.room(ROOM).react(sent.transaction_id, "+").target == "$one"


def test_p37_what_names_something_on_its_way_waits_for_its_id(room: Feed) -> None:
    ours = room.store.room(ROOM)
    sent = ours.send_text("one")
    edit = ours.edit(sent.transaction_id, {"msgtype": "m.text", "body": "won"})
    reaction, reply = ours.react(sent.transaction_id, "+"), ours.send_text("me too", reply_to=sent.transaction_id)
    attempt = take(room.store)
    assert attempt.transaction_id == sent.transaction_id
    room.store.mark_rejected(attempt, "no")
    assert room.store.next_to_send(ROOM) is None
    room.store.retry(sent.transaction_id)
    room.store.mark_sent(take(room.store), "$one")
    for waited, place in ((edit, "m.relates_to"), (reaction, "m.relates_to")):
        attempt = take(room.store)
        assert attempt.transaction_id == waited.transaction_id
        assert (attempt.target, room.store.outbox()[1].content[place]["event_id"]) == ("$one", "$one")
        room.store.mark_sent(attempt, f"${waited.type}")
        room.take(room.next.join(ROOM, mine(f"${waited.type}", waited.transaction_id)))
    assert take(room.store).transaction_id == reply.transaction_id
    assert room.store.outbox()[1].content["m.relates_to"] == {"m.in_reply_to": {"event_id": "$one"}}


def test_p37_an_echo_tells_the_id_to_what_waits(room: Feed) -> None:
    """Also to what is queued later, under the transaction id that a screen still shows."""
    ours = room.store.room(ROOM)
    sent = ours.send_text("one")
    ours.react(sent.transaction_id, "+")
    take(room.store)
    room.take(room.next.join(ROOM, mine("$one", sent.transaction_id)))
    late = ours.edit(sent.transaction_id, {"body": "won"})
    assert [one.target for one in room.store.outbox()] == ["$one", "$one"]
    assert late.content["m.relates_to"]["event_id"] == "$one"


def test_p37_redacting_what_was_not_tried_cancels_it_and_what_waits_for_it(room: Feed) -> None:
    ours = room.store.room(ROOM)
    sent, other = ours.send_text("one"), ours.send_text("two")
    ours.react(ours.edit(sent.transaction_id, {"body": "won"}).transaction_id, "+")
    assert ours.redact(sent.transaction_id) is None
    assert [one.transaction_id for one in room.store.outbox()] == [other.transaction_id]


def test_p37_redacting_what_may_have_arrived_waits_for_it(room: Feed) -> None:
    ours = room.store.room(ROOM)
    sent = ours.send_text("one")
    attempt = take(room.store)
    room.store.mark_failed(attempt, "no answer in time", known=False)
    redacting = ours.redact(sent.transaction_id, "typo")
    assert redacting is not None and redacting.target == sent.transaction_id
    with pytest.raises(OutboxError, match="may have reached"):
        room.store.cancel(sent.transaction_id)
    assert take(room.store).transaction_id == sent.transaction_id
    room.store.mark_sent(attempt, "$one")
    attempt = take(room.store)
    assert (attempt.kind, attempt.target, attempt.content) == ("redaction", "$one", '{"reason":"typo"}')


def test_p37_a_known_failure_leaves_it_queued_and_an_unknown_one_does_not(room: Feed) -> None:
    sent = room.store.room(ROOM).send_text("one")
    room.store.mark_failed(take(room.store), "connection refused", known=True)
    assert (only(room.store).state, only(room.store).reason) == ("queued", "connection refused")
    room.store.mark_failed(take(room.store), "no answer in time", known=False)
    assert only(room.store).state == "sending"
    # A later one that surely did nothing does not undo what the earlier one may have done.
    room.store.mark_failed(take(room.store), "429", known=True)
    assert (only(room.store).state, only(room.store).attempts) == ("sending", 3)
    assert only(room.store).transaction_id == sent.transaction_id


def test_p37_a_doubtful_attempt_is_proven_by_what_a_sync_shows(room: Feed, sql: Sql, path: Path) -> None:
    import sqlite3

    room.store.room(ROOM).send_text("one")
    take(room.store)
    room.store.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE outgoing SET attempted_at = attempted_at - 4000000")
    with SyncStore.open(path) as store:
        attempt = take(store)
        assert (attempt.doubtful, only(store).attempts) == (True, 1)
        feed = Feed(store)
        feed._responses._number = 1
        feed.take(feed.next.join(ROOM, message("$z"), limited=True, prev_batch="p1"))
        assert store.prove(attempt) == "hole"
        (gap,) = [gap for gap in store.gaps() if gap.kind == "limited"]
        store.apply_page(gap, "p1", page(message("$y"), end="s1"))
        assert store.prove(attempt) == "absent"
        assert (only(store).state, take(store).doubtful) == ("queued", False)


def test_p37_a_hole_that_nobody_can_fill_parks_a_doubtful_attempt(room: Feed) -> None:
    room.store.room(ROOM).send_state("m.room.topic", {"topic": "one"})
    room.store.mark_failed(take(room.store), "no answer in time", known=False)
    room.take(room.next.join(ROOM, message("$z"), limited=True, prev_batch="p1"))
    (gap,) = [gap for gap in room.store.gaps() if gap.kind == "limited"]
    room.store.give_up_gap(gap, "403 not yours")
    assert room.store.prove(take(room.store)) == "lost"
    assert (only(room.store).state, only(room.store).reason) == (
        "parked",
        "it may have been sent: it could lie in a gap (403 not yours)",
    )


def test_p37_a_state_event_is_known_again_by_its_content(room: Feed) -> None:
    """No transaction id tells it: it is doubtful from its first attempt on."""
    room.store.room(ROOM).send_state("m.room.topic", {"topic": "one"})
    room.store.mark_failed(take(room.store), "no answer in time", known=False)
    attempt = take(room.store)
    assert attempt.doubtful
    room.take(room.next.join(ROOM, topic("$theirs", "one"), topic("$other", "two", sender=ME)))
    assert room.store.prove(attempt) == "absent"
    room.store.mark_failed(take(room.store), "no answer in time", known=False)
    room.take(room.next.join(ROOM, topic("$mine", "one", sender=ME)))
    assert room.store.prove(take(room.store)) == "found"
    assert room.store.outbox() == []


def test_p37_state_that_moved_meanwhile_is_not_replaced(room: Feed) -> None:
    room.take(room.next.join(ROOM, topic("$t1", "one")))
    ours = room.store.room(ROOM)
    ours.send_state("m.room.topic", {"topic": "mine"}, replaces="$t1")
    ours.send_text("after")
    room.take(room.next.join(ROOM, topic("$t2", "two")))
    assert take(room.store).type == "m.room.message"
    assert room.store.outbox()[0].reason == "the key no longer holds $t1 but $t2"


def test_p37_a_receipt_takes_the_place_of_one_that_waits(room: Feed) -> None:
    ours = room.store.room(ROOM)
    ours.mark_read("$a")
    ours.mark_read("$a", thread_id="main")
    newer = ours.mark_read("$b")
    assert [(one.target, one.content) for one in ours.outbox()] == [("$a", {"thread_id": "main"}), ("$b", {})]
    assert bodies(room.store) == ["hello"]
    attempt = take(room.store)
    room.store.mark_sent(attempt, None)
    assert only(room.store).transaction_id == newer.transaction_id


def test_p37_pending_sends_survive_leaving_and_go_on_after_a_rejoin(room: Feed) -> None:
    room.store.room(ROOM).send_text("one")
    room.take(room.next.leave(ROOM, member("$kick", ME, "leave")))
    assert (room.store.rooms_to_send(), room.store.next_to_send(ROOM), len(room.store.outbox())) == ([], None, 1)
    room.take(room.next.join(ROOM, member("$back", ME, "join")))
    assert room.store.rooms_to_send() == [ROOM]
    room.store.forget(ROOM)
    assert room.store.outbox() == []


def test_p37_after_a_rebind_what_may_have_been_sent_is_parked(room: Feed) -> None:
    ours = room.store.room(ROOM)
    ours.send_text("tried")
    take(room.store)
    waits = ours.send_text("not tried")
    room.store.rebind("NEW")
    assert [one.state for one in room.store.outbox()] == ["parked", "queued"]
    assert take(room.store).transaction_id == waits.transaction_id


def test_p37_nothing_readable_goes_into_an_encrypted_room(room: Feed) -> None:
    ours = room.store.room(ROOM)
    ours.send_text("before")
    room.take(room.next.join(ROOM, state("$e", "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})))
    with pytest.raises(OutboxError, match="is encrypted"):
        ours.send_text("after")
    encrypted = ours.send("m.room.encrypted", {"ciphertext": "x"})
    ours.react("$a", "+")
    assert take(room.store).transaction_id == encrypted.transaction_id
    assert room.store.outbox()[0].reason == "the room has been encrypted since"


@pytest.mark.parametrize("how", ["redacted", "restated"])
def test_p37_a_room_that_was_ever_encrypted_stays_so(room: Feed, how: str) -> None:
    room.take(room.next.join(ROOM, state("$e", "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})))
    if how == "redacted":
        room.take(room.next.join(ROOM, redaction("$r", "$e")))
    else:
        room.snapshot(room.next.join(ROOM, state=[create(), member("$me", ME, "join")]))
    assert room.store.room(ROOM).encryption is None
    with pytest.raises(OutboxError, match="is encrypted"):
        room.store.room(ROOM).send_text("secret")


def test_p37_a_redaction_confirms_its_own_echo(room: Feed) -> None:
    redacting = room.store.room(ROOM).redact("$a")
    assert redacting is not None
    room.store.mark_sent(take(room.store), "$r")
    room.take(room.next.join(ROOM, redaction("$r", "$a", sender=ME)))
    assert room.store.outbox() == []


def test_drafts_are_kept_for_each_room(room: Feed, path: Path, sql: Sql) -> None:
    ours = room.store.room(ROOM)
    assert ours.draft() is None
    ours.set_draft({"body": "half a sen"})
    ours.set_draft({"body": "half a sentence"})
    with SyncStore.open(path, read_only=True) as reader:
        assert reader.room(ROOM).draft() == {"body": "half a sentence"}
    assert sql("SELECT room_id, content FROM drafts") == [(ROOM, '{"body":"half a sentence"}')]
    ours.set_draft(None)
    assert ours.draft() is None


@pytest.mark.parametrize("content", [{"x": {1, 2}}, {"x": float("nan")}, {"x": object()}])
def test_a_content_that_is_no_json_is_refused(room: Feed, content: Json) -> None:
    with pytest.raises(ContentError, match=r"content of m\.x is no JSON object"):
        room.store.room(ROOM).send("m.x", content)
    assert room.store.outbox() == []


def test_what_cannot_be_meant_is_refused(room: Feed) -> None:
    ours = room.store.room(ROOM)
    with pytest.raises(NotFoundError, match="nowhere"):
        ours.react("nowhere", "+")
    with pytest.raises(NotFoundError, match="not in the outbox"):
        room.store.retry("nowhere")
    with pytest.raises(ContentError, match="at most 255 bytes"):
        ours.send("m" * 256, {})
    with room.store.read() as snapshot, pytest.raises(OutboxError, match="snapshot"):
        snapshot.room(ROOM).send_text("no")

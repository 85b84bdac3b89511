"""What belongs to the account and the device: to-device messages, account data, a new login with an old file."""

from __future__ import annotations

from collections.abc import Iterator

from ..stage import Stage
from ..trio import Trio

_MESSAGES = 130  # a response holds 100


def to_device(stage: Stage, trio: Trio) -> Iterator[str]:
    yield "nothing yet"
    for number in range(_MESSAGES):
        stage.bob.send_to_device("lab.ping", {stage.alice.user_id: {"*": {"n": number}}})
    for client in trio:
        client.ask(client.token)  # lost: the server sends the same ones again
    for _ in range(3):
        yield "a part of 130 messages"
    wanted = [(stage.bob.user_id, f'{{"n":{number}}}') for number in range(_MESSAGES)]
    for client in trio:
        found = client.rows("select sender, content from to_device where type = 'lab.ping'")
        assert sorted((sender, content.replace(" ", "")) for sender, content in found) == sorted(wanted), client.name


def account_data(stage: Stage, trio: Trio) -> Iterator[str]:
    alice = stage.alice
    room = stage.room(alice)
    alice.set_account_data("lab.settings", {"n": 1})
    alice.set_account_data("lab.settings", {"n": 2.5, "big": 2**60})
    alice.set_account_data("lab.room", {"in": "room"}, room)
    yield "account data, global and of a room"
    for client in trio:
        rows = client.rows("select content from account_data where type = 'lab.settings'")
        assert len(rows) == 1, client.name
        assert "2.5" in rows[0][0], client.name
    alice.set_account_data("lab.surrogate", rb'{"lone": "\ud800", "pair": "\ud83d\ude00"}')
    yield "a lone surrogate"
    stage.bob.send_state(room, "m.room.topic", {"topic": "in the same batch"})
    for client in trio:
        client.snapshot()
    yield "and it comes again with every sync from nothing"
    for client in trio:
        rows = client.rows("select content from account_data where type = 'lab.surrogate'")
        assert len(rows) == 1, client.name
        assert r"\ud800" in rows[0][0], client.name


def new_device_with_an_old_file(stage: Stage, trio: Trio) -> Iterator[str]:
    room = stage.room(stage.alice, stage.carol, name="device")
    stage.bob.send_to_device("lab.ping", {stage.alice.user_id: {"*": {"for": "the old device"}}})
    yield "joined"
    stage.carol.leave(room)
    stage.talk(room, 12)
    for client in trio:
        client.change_device(stage.base_url)
        assert client.token is None, client.name
        assert not client.rows("select * from to_device"), client.name
        client.snapshot()
    stage.chapter[:] = [each for each in stage.rooms if each not in stage.forgotten]
    yield "a new login; every room of the account is compared"


CHAPTERS = [to_device, account_data, new_device_with_an_old_file]

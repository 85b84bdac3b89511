"""What lazy loading of members leaves out, and what a server believes it has sent already."""

from __future__ import annotations

from collections.abc import Iterator

from ..stage import Stage
from ..trio import Trio


def response_lost_and_asked_again(stage: Stage, trio: Trio) -> Iterator[str]:
    room = stage.room(stage.alice, stage.carol, stage.dave)
    yield "joined"
    stage.bob.kick(room, stage.carol.user_id)
    stage.talk(room, 12)
    _lose_a_response(trio)
    yield "a kick in a gap; the first answer got lost"
    stage.dave.leave(room)
    _lose_a_response(trio)
    stage.talk(room, 12)
    yield "a leave; the first answer got lost, the second is another one"


def rejoin_after_someone_left(stage: Stage, trio: Trio) -> Iterator[str]:
    room = stage.room(stage.alice, stage.carol, stage.dave)
    stage.carol.send(room, "I am here")
    stage.dave.send(room, "me too")
    yield "joined, and all members are known"
    stage.alice.leave(room)
    yield "left"
    stage.bob.kick(room, stage.carol.user_id)
    stage.dave.leave(room)
    stage.talk(room, 15)
    stage.alice.join(room)
    _lose_a_response(trio)
    yield "joined after two others left; the first answer got lost"
    stage.carol.join(room)
    stage.carol.send(room, "back")
    yield "one of them came back"


def silent_members_speak(stage: Stage, trio: Trio) -> Iterator[str]:
    room = stage.room(stage.carol, stage.dave)
    stage.talk(room, 15)
    stage.alice.join(room)
    yield "joined a room in which only bob spoke"
    stage.carol.send(room, "hello")
    yield "carol speaks"
    stage.dave.leave(room)
    yield "dave leaves without a word"
    stage.bob.ban(room, stage.carol.user_id)
    stage.talk(room, 12)
    yield "carol is banned in a gap"


def _lose_a_response(trio: Trio) -> None:
    for client in trio:
        client.ask(client.token)


CHAPTERS = [response_lost_and_asked_again, rejoin_after_someone_left, silent_members_speak]

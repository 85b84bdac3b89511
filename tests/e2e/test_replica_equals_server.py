"""Three replicas of one account, synced from a real server in three ways, against what that server says itself."""

from __future__ import annotations

import pytest

from .chapters import CHAPTERS, Chapter
from .stage import Stage
from .trio import Trio, uncovered

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.__name__)
def test_replica_equals_server(stage: Stage, trio: Trio, chapter: Chapter) -> None:
    stage.chapter.clear()
    for moment in chapter(stage, trio):
        trio.sync()
        differences = trio.differences(stage.chapter)
        assert not differences, f"after “{moment}”:\n" + "\n".join(differences[:20])


def test_nothing_is_missing_without_a_gap(stage: Stage, trio: Trio) -> None:
    # A forked room is in another order in /messages than in /sync: its gaps stand elsewhere.
    rooms = [room for room in stage.alice.joined_rooms() if room not in stage.forked]
    lines = [line for room in rooms for client in trio for line in uncovered(client, stage, room)]
    assert not lines, "\n".join(lines[:20])

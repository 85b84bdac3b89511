"""What docs/embedding.md shows in Python runs, block after block, on a store with a room."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

from syncstore import SyncStore
from tests.docs.conftest import ME
from tests.store.bodies import ROOM, Body, create, event, member, message

ROOT = Path(__file__).parents[2]


def test_the_blocks_run(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) >= 4
    encrypted = event("$e", "m.room.encrypted", {"ciphertext": "x", "session_id": "s"})
    body = Body("s1").join(ROOM, message("$a"), encrypted, state=[create(), member("$me", ME, "join")])
    with SyncStore.open(tmp_path / "me.db", user_id=ME) as store, contextlib.redirect_stdout(io.StringIO()) as out:
        store.apply(body.to_device({"key": 1}).done())
        names = {"store": store, "room_id": ROOM, "event_id": "$a"}
        for block in blocks:
            exec(compile(block, "embedding.md", "exec"), names)
        assert store.to_device("keys") == [] and store.undecrypted() == []
    assert "m.room_key" in out.getvalue()

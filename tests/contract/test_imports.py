"""What is not used is not loaded: opening and reading a store must start fast and stay small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from syncstore import SyncStore
from tests.docs.conftest import ME
from tests.store.rich import fill

ROOT = Path(__file__).parents[2]
LATE = (
    *("requests", "urllib3", "alembic", "pydantic", "tenacity"),
    *("typer", "rich", "keyring", "platformdirs", "orjson"),
)
# Of our own: what only a writer needs, and the tables, that take as long as all the rest.
OURS = ("syncstore.writing", "syncstore.wire", "syncstore.reduce", "syncstore.store.apply", "syncstore.store.schema")


def _loaded(script: str) -> set[str]:
    """What of LATE and OURS a fresh process has loaded after a script."""
    told = f"{script}\nimport sys\nprint(*[name for name in {(*LATE, *OURS)!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_opening_and_reading_loads_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    path = tmp_path / "rich.db"
    with SyncStore.open(path, user_id=ME) as store:
        fill(store)
    script = f"""
import syncstore
with syncstore.SyncStore.open({str(path)!r}) as store:
    store.token, store.seq, store.info(), store.gaps(), store.spaces(), store.account_data("m.direct")
    shown = 0
    for room in store.rooms():
        room.state_map(), room.members(), room.receipts(), room.threads(), room.gaps()
        page = room.timeline(limit=50)
        for item in page.items:
            if isinstance(item, syncstore.Event):
                shown += 1
                item.content, item.edited, page.profile(item)
                item.segment is None or room.state_at(item.event_id, "m.room.name")
    assert shown > 2
"""
    assert _loaded(script) == set()


def test_writing_loads_what_writing_needs(tmp_path: Path) -> None:
    script = f"""
import syncstore
with syncstore.SyncStore.open({str(tmp_path / "new.db")!r}, user_id={ME!r}) as store:
    store.apply(b'{{"next_batch": "s1"}}')
"""
    assert _loaded(script) == set(OURS)

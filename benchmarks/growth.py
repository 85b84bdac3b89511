"""`python -m benchmarks.growth`: what is asked for every day, at 10^4 to 10^7 stored events in 1,000 rooms.

Each read beside the same SQL, sent over plain sqlite3 without a library; each batch beside the floor. CPU time, warm
cache, in turn; medians, and the median of the ratios pair by pair. --sizes, --folder, --json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.floor import Floor
from benchmarks.workload import USER, Account, Size
from syncstore import SyncStore
from syncstore.reads import Reads

SIZES = (10**4, 10**5, 10**6, 10**7)
ROOMS = 1000
Json = dict[str, Any]
Pairs = list[tuple[float, float]]

# More messages in each room, as apply writes them: round by round through the rooms, as they arrive.
GROW = """
    INSERT INTO event SELECT NULL, e.room, '$' || hex(randomblob(21)) || '0', e.type, e.state_key, e.sender,
        e.origin_server_ts + n.value, e.content, e.unsigned, e.extra, e.odd, e.redacts, NULL, NULL, e.transaction_id,
        e.replaces, e.redacted_by, e.source, e.segment, r.last_position + n.value, NULL, e.batch, e.changed, NULL
    FROM generated n CROSS JOIN room r JOIN event e ON e.room = r.id AND e.segment = r.last_segment AND e.position = 0
    WHERE n.value <= CASE r.room_id WHEN ?2 THEN max(60, ?1) ELSE ?1 END
"""
MOVE = """
    UPDATE room SET last_position =
        (SELECT max(position) FROM event e WHERE e.room = room.id AND segment = last_segment)
"""
LOOKED_AT = "!room7:example.org"  # has more than a page at every size
NUMBERS = """
    WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < ?)
    INSERT INTO generated SELECT value FROM n
"""


def build(path: Path, events: int, rooms: int = ROOMS) -> Account:
    """A store of so many events: its rooms by apply, the rest of their messages by SQL."""
    account = Account(Size(rooms=rooms, members=2, messages=5))
    with SyncStore.open(path, user_id=USER) as store:
        store.apply(_bytes(account.first()))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA cache_size = -262144")
        db.execute("BEGIN")
        stored = db.execute("SELECT count(*) FROM event").fetchone()[0]
        more = max(0, events - stored) // rooms
        db.execute("CREATE TEMP TABLE generated (value INTEGER PRIMARY KEY)")
        db.execute(NUMBERS, (max(60, more),))
        db.execute(GROW, (more, LOOKED_AT))
        db.execute(MOVE)
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return account


class _Noting:
    """A cursor that notes what it is asked."""

    def __init__(self, cursor: sqlite3.Cursor, noted: list[tuple[str, Any]]) -> None:
        self._cursor, self._noted = cursor, noted

    def execute(self, sql: str, values: Any = ()) -> sqlite3.Cursor:
        self._noted.append((sql, values))
        return self._cursor.execute(sql, values)


def same_sql(path: Path, read: Callable[[Reads], object]) -> Callable[[sqlite3.Connection], None]:
    """What a read sends, sent once more by hand: one transaction, all rows fetched, nothing made of them."""
    noted: list[tuple[str, Any]] = []
    with closing(sqlite3.connect(path)) as db:

        @contextmanager
        def cursors() -> Iterator[Any]:
            yield _Noting(db.cursor(), noted)

        read(Reads(cursors))

    def by_hand(db: sqlite3.Connection) -> None:
        db.execute("BEGIN")
        for sql, values in noted:
            db.execute(sql, values).fetchall()
        db.execute("ROLLBACK")

    return by_hand


def _reads(gap: int) -> dict[str, Callable[[Reads], object]]:
    room = LOOKED_AT
    return {
        "page of 50": lambda store: store.room(room).timeline(50),
        "state lookup": lambda store: store.room(room).state("m.room.name"),
        "gap lookup": lambda store: store.gap(gap),
        "room list": lambda store: store.rooms(),
    }


def measure_size(folder: Path, events: int, rounds: int) -> dict[str, Pairs]:
    """CPU seconds of each operation, ours and by hand, in turn."""
    path, other = folder / "ours.db", folder / "hand.db"
    account = build(path, events)
    shutil.copy(path, other)
    found: dict[str, Pairs] = {}
    with SyncStore.open(path, user_id=USER) as store, closing(sqlite3.connect(path, isolation_level=None)) as db:
        for what, read in _reads(store.gaps()[0].id).items():
            by_hand = same_sql(path, read)
            times = rounds if what != "room list" else max(5, rounds // 10)
            found[what] = [
                (_cpu(lambda r=read: r(store)), _cpu(lambda h=by_hand: h(db)))  # type: ignore[misc]
                for _ in range(times)
            ][times // 5 :]
        floor = Floor(other, None)
        bodies = [batch_bytes(account, number) for number in range(rounds)]
        pairs = [(_cpu(lambda b=body: store.apply(b)), _cpu(lambda b=body: floor.apply(b))) for body in bodies]  # type: ignore[misc]
        found["batch of 10"] = pairs[rounds // 5 :]
        floor.db.close()
    return found


def _cpu(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def _bytes(body: Json) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def batch_bytes(account: Account, number: int) -> bytes:
    """The response of ten events in three rooms that comes after the first one and `number` others."""
    return _bytes(account.batch(number + 1))


def rows_of(measured: dict[int, dict[str, Pairs]]) -> list[Json]:
    """Milliseconds, the ratio to the same SQL by hand, and the ratio to the own cost at the smallest size."""
    rows: list[Json] = []
    first = measured[min(measured)]
    for what in first:
        least = statistics.median(ours for ours, _ in first[what])
        for events, found in sorted(measured.items()):
            ours, hand = (statistics.median(pair[at] for pair in found[what]) for at in (0, 1))
            ratio = statistics.median(our / by_hand for our, by_hand in found[what])
            told = {"ours_ms": ours * 1000, "by_hand_ms": hand * 1000, "ratio": ratio, "growth": ours / least}
            rows.append({"operation": what, "events": events} | told)
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="stored events (default 10^4 to 10^7)")
    parser.add_argument("--rounds", type=int, default=200, help="how many times each (default 200)")
    parser.add_argument("--folder", type=Path, help="where the stores are made, and deleted afterwards")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    options = parser.parse_args()
    measured: dict[int, dict[str, Pairs]] = {}
    for events in options.sizes:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            measured[events] = measure_size(Path(folder), events, options.rounds)
    rows = rows_of(measured)
    print(f"{'operation':<14} {'events':>9} {'ours':>10} {'by hand':>10} {'ratio':>6} {'growth':>7}")
    for row in rows:
        print(
            f"{row['operation']:<14} {row['events']:>9} {row['ours_ms']:>7.3f} ms {row['by_hand_ms']:>7.3f} ms"
            f" {row['ratio']:>6.2f} {row['growth']:>7.2f}"
        )
    if options.json:
        options.json.write_text(json.dumps({"rounds": options.rounds, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

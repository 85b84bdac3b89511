"""What is asked for every day, at 10^4 to 10^7 stored events in 1,000 rooms, and a room of 100,000 members.

Each read beside the same SQL, sent over plain sqlite3 without a library; each batch beside the floor. CPU time, warm
cache, in turn; medians, and the median of the ratios pair by pair. A round is 20 of each.
"""

from __future__ import annotations

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
from benchmarks.page import Bar, Measured, prose
from benchmarks.workload import USER, Account, Size
from syncstore import SyncStore
from syncstore.reads import Reads

SIZES = (10**4, 10**5, 10**6, 10**7)
ROOMS = 1000
MEMBERS = (100, 100_000)
_EACH = 20
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


def member_changes(rounds: int) -> dict[int, float]:
    """CPU milliseconds of a batch that changes one member, by how many the room has."""
    found: dict[int, float] = {}
    for members in MEMBERS:
        account = Account(Size(rooms=max(1, members // 10), members=members))
        room, entry = account.opening(0)
        with tempfile.TemporaryDirectory() as folder, SyncStore.open(Path(folder) / "room.db", user_id=USER) as store:
            store.apply(_bytes({"next_batch": "s2", "rooms": {"join": {room: entry}}}))
            bodies = [_change(account, room, number) for number in range(rounds * _EACH)]
            times = [_cpu(lambda b=body: store.apply(b)) for body in bodies]  # type: ignore[misc]
        found[members] = statistics.median(times[len(times) // 5 :]) * 1000
    return found


def _change(account: Account, room: str, number: int) -> bytes:
    event = account.member(room, account.random.choice(account.rooms[room]))
    joined = {room: account.entry([], [event], f"s{number + 2}", limited=False)}
    return _bytes({"next_batch": f"s{number + 3}", "rooms": {"join": joined}})


def measure(rounds: int) -> Measured:
    """Every size, then the large room."""
    measured: dict[int, dict[str, Pairs]] = {}
    for events in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            measured[events] = measure_size(Path(folder), events, rounds * _EACH)
    rows, members = rows_of(measured), member_changes(rounds)
    bars = []
    for operation in dict.fromkeys(row["operation"] for row in rows):
        of = [row for row in rows if row["operation"] == operation]
        bars.append(Bar(f"{operation}, over the same SQL by hand, worst size", max(row["ratio"] for row in of), 1.25))
        bars.append(Bar(f"{operation}, over its own cost at 10^4, worst size", max(row["growth"] for row in of), 2))
    most = members[MEMBERS[1]] / members[MEMBERS[0]]
    bars.append(Bar("one member changes among 100,000, over among 100", most, 2))
    told = {str(number): round(ms, 3) for number, ms in members.items()}
    return Measured({"times": rounds * _EACH, "rows": rows, "members": told}, bars)


def section(result: Json) -> str:
    """A table and the plots."""
    lines = [
        f"| {row['operation']} | {row['events']:,} | {row['ours_ms']:.3f} ms | {row['by_hand_ms']:.3f} ms"
        f" | {row['ratio']:.2f} | {row['growth']:.2f} |"
        for row in result["rows"]
    ]
    head = ["| | events | ours | by hand | ratio | growth |", "|---|---:|---:|---:|---:|---:|"]
    small, large = result["members"].values()
    what = f"""
        CPU time, warm cache, medians of up to {result["times"]} in turn. By hand: the same statements over plain
        sqlite3, all rows fetched, nothing made of them; for a batch the floor. Growth: over the own cost at the
        smallest size. Rooms are made by `apply`, most of their messages by SQL: one content per room, without
        relations.
    """
    room = f"""
        A batch that changes one member takes {small:.2f} ms in a room of 100 members, {large:.2f} ms in one of 100,000.
    """
    plot = "![Growth](performance/growth.png)"
    return "\n".join(["## Growth", "", prose(what), "", *head, *lines, "", prose(room), "", plot])


def draw(result: Json, folder: Path) -> None:
    """growth.png: one panel for each operation, ours and by hand, both axes by powers of ten."""
    from matplotlib.figure import Figure  # type: ignore[import-not-found,unused-ignore]
    from matplotlib.ticker import NullFormatter, StrMethodFormatter  # type: ignore[import-not-found,unused-ignore]

    figure = Figure(figsize=(12, 7), layout="constrained")
    for at, operation in enumerate(dict.fromkeys(row["operation"] for row in result["rows"])):
        axes = figure.add_subplot(2, 3, at + 1)
        found = [row for row in result["rows"] if row["operation"] == operation]
        for key, name, mark in (("ours_ms", "syncstore", "o-"), ("by_hand_ms", "same SQL by hand", "s--")):
            axes.plot([row["events"] for row in found], [row[key] for row in found], mark, label=name)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(min(row["by_hand_ms"] for row in found) / 5, max(row["ours_ms"] for row in found) * 5)
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_title(operation)
        axes.set_xlabel("stored events, in 1,000 rooms")
        axes.set_ylabel("CPU time, milliseconds")
        axes.grid(True, which="major", alpha=0.4)
        axes.legend(fontsize="small")
    figure.savefig(folder / "growth.png", dpi=100)

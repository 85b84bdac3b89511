"""Invite and knock piles: replaced as a whole, cleared as a whole, never mixed with the state pile (promise 7)."""

from __future__ import annotations

from syncstore.model.changes import Pile, StrippedRow
from syncstore.store.schema import stripped_state
from syncstore.store.statement import insert
from syncstore.store.write import Write

INSERT_STRIPPED = insert(stripped_state)
CLEAR_STRIPPED = "DELETE FROM stripped_state WHERE room = ? AND pile = ?"


def replace_pile(write: Write, room: int, pile: Pile, rows: list[StrippedRow]) -> None:
    """Make the pile exactly these rows, and clear the other one."""
    clear_piles(write, room)
    batch = write.batch
    write.cursor.executemany(INSERT_STRIPPED, [(room, pile, *row, batch) for row in rows])
    write.touch(room, f"{pile}_state")


def clear_piles(write: Write, room: int) -> None:
    """Clear both piles of a room."""
    for pile in ("invite", "knock"):
        write.cursor.execute(CLEAR_STRIPPED, (room, pile))
        if write.cursor.rowcount:
            write.touch(room, f"{pile}_state")

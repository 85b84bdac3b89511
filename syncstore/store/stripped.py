"""Invite and knock piles: replaced as a whole, cleared as a whole, never mixed with the state pile (promise 7)."""

from __future__ import annotations

from syncstore.model.changes import Pile, StrippedRow
from syncstore.store.room import RoomRow
from syncstore.store.schema import stripped_state
from syncstore.store.statement import insert
from syncstore.store.write import Write

INSERT_STRIPPED = insert(stripped_state)
CLEAR_STRIPPED = "DELETE FROM stripped_state WHERE room = ?"


def replace_pile(write: Write, row: RoomRow, pile: Pile, rows: list[StrippedRow]) -> None:
    """Make the pile exactly these rows, and clear the other one."""
    clear_piles(write, row)
    batch = write.batch
    write.cursor.executemany(INSERT_STRIPPED, [(row.id, pile, *one, batch) for one in rows])
    write.touch(row.id, f"{pile}_state")


def clear_piles(write: Write, row: RoomRow) -> None:
    """Clear the pile of a room that we are invited to or knock at; others have none."""
    if row.membership in ("invite", "knock"):
        write.cursor.execute(CLEAR_STRIPPED, (row.id,))
        write.touch(row.id, f"{row.membership}_state")

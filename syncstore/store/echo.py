"""What comes back by a sync or a page of what we sent: it leaves the outbox in the same commit (promise 37)."""

from __future__ import annotations

from syncstore.store.outbox import DROP, tell_waiting
from syncstore.store.write import Write

# By the transaction id, which the server tells the device that sent it.
BY_TRANSACTION = """
    SELECT o.id, o.room, o.transaction_id, e.event_id
    FROM outgoing o CROSS JOIN event e ON e.room = o.room AND e.transaction_id = o.transaction_id
    WHERE e.sender = ?
"""
# By the id that the reply told: another device of ours may have synced meanwhile.
BY_ID = """
    SELECT o.id, o.room, o.transaction_id, o.event_id
    FROM outgoing o CROSS JOIN event e ON e.room = o.room AND e.event_id = o.event_id
"""


def confirm_echoes(write: Write) -> None:
    """Take what is stored now out of the outbox, and tell what waits for it."""
    if not write.any_outgoing:
        return
    found = write.cursor.execute(BY_TRANSACTION, (write.user_id,)).fetchall()
    found += write.cursor.execute(BY_ID).fetchall()
    for number, room, transaction_id, event_id in dict.fromkeys(found):
        write.cursor.execute(DROP, (number,))
        tell_waiting(write, room, transaction_id, event_id)
        write.touch(room, "outbox", "remove", key=transaction_id)

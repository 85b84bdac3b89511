"""Joined members are found by the pile's own key: only the others need an index.

Revision ID: 0003
"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade():
    op.execute("DROP INDEX room_state_members")
    op.execute(
        "CREATE INDEX room_state_members ON room_state (room, membership, state_key)"
        " WHERE type = 'm.room.member' AND membership <> 'join'"
    )

"""The loops: fetch a batch and commit it, fill a gap, record what came and play it again."""

from syncstore.sync.recording import Recorded, Recorder, recorded
from syncstore.sync.sender import Flushed
from syncstore.sync.status import Connection, Status
from syncstore.sync.syncer import Syncer

__all__ = ["Connection", "Flushed", "Recorded", "Recorder", "Status", "Syncer", "recorded"]

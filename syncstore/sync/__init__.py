"""The loops: fetch a batch and commit it, fill a gap, record what came and play it again."""

from syncstore.sync.recording import Recorded, Recorder, recorded
from syncstore.sync.syncer import Status, Syncer

__all__ = ["Recorded", "Recorder", "Status", "Syncer", "recorded"]

"""mautrix-python on a store: its `Client`, which applies before it handles, and its two stores on our tables."""

from __future__ import annotations

from syncstore.adapters.mautrix.client import Client
from syncstore.adapters.mautrix.raw import LoggedOutError
from syncstore.adapters.mautrix.state_store import MautrixStateStore
from syncstore.adapters.mautrix.sync_store import MautrixSyncStore

__all__ = ["Client", "LoggedOutError", "MautrixStateStore", "MautrixSyncStore"]

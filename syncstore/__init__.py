"""syncstore: a durable, queryable, local replica of one Matrix account."""

from syncstore.ingest import SyncStore

__all__ = ["SyncStore"]

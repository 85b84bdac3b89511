"""Every error a caller can meet, one tree, grouped by what the caller will do about it.

`kind` is stable under semantic versioning: match on the class or on `kind`, never on the text. The
text is one line that says what went wrong and where, and is fit to be shown to a person.
"""

from __future__ import annotations

from syncstore.model.text import printable


class SyncStoreError(Exception):
    """Base of all errors raised by syncstore."""

    kind = "error"

    def __str__(self) -> str:
        # Ids and words of servers stand in it: a log or a terminal gets them with every control character escaped.
        return printable(super().__str__())


class WireError(SyncStoreError):
    """The whole body cannot be read (no JSON object, no next_batch): ask the server again."""

    kind = "wire"


class StaleBatchError(SyncStoreError):
    """Another batch was stored since this one was asked for: read the token, ask again."""

    kind = "stale_batch"


class NotFoundError(SyncStoreError):
    """No such room, event or file in this store."""

    kind = "not_found"


class ContentError(SyncStoreError):
    """An event's content is not what the spec says for its type. The stored event is unharmed."""

    kind = "content"


class OutboxError(SyncStoreError):
    """Something that cannot be queued, or no longer be taken back: the outbox is as it was."""

    kind = "outbox"


class FilterError(SyncStoreError):
    """A filter that would lose state or events for good, or is no filter."""

    kind = "filter"


class DriftError(SyncStoreError):
    """The store is not what the server says: look at the list, repair it."""

    kind = "drift"


class StoreError(SyncStoreError):
    """The file: look at the disk, the path, the program that holds it."""

    kind = "store"


class StoreLockedError(StoreError):
    """Another process held the write lock for longer than the busy timeout: try again."""

    kind = "store_locked"


class StoreFullError(StoreError):
    """No room on the disk; nothing of the batch was written: make room, try again."""

    kind = "store_full"


class CorruptStoreError(StoreError):
    """The file is damaged or is no syncstore database."""

    kind = "corrupt_store"


class PassphraseError(StoreError):
    """The file is encrypted and the passphrase wrong or missing, or it is not encrypted and one was given."""

    kind = "passphrase"


class OlderFormatError(StoreError):
    """The file was written by an older version and is opened read-only: open it for writing once."""

    kind = "older_format"


class NewerFormatError(StoreError):
    """The file was written by a newer syncstore: upgrade the program."""

    kind = "newer_format"


class OtherAccountError(StoreError):
    """The file belongs to another account or device."""

    kind = "other_account"


class RemoteError(SyncStoreError):
    """The homeserver: look at the network, the token, the server."""

    kind = "remote"


class UnknownTokenError(RemoteError):
    """The access token is no longer valid: log in again.

    `soft_logout` true: the device still exists, log in with the same device_id and keep the store.
    """

    kind = "unknown_token"

    def __init__(self, message: str, *, soft_logout: bool = False) -> None:
        super().__init__(message)
        self.soft_logout = soft_logout


class RateLimitedError(RemoteError):
    """The server asked to wait `retry_after` seconds, longer than the retries allowed."""

    kind = "rate_limited"

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnreachableError(RemoteError):
    """No whole answer came: connection refused, timed out, cut, or not from a homeserver.

    `sent` false: the request surely never reached it.
    """

    kind = "unreachable"

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class ServerError(RemoteError):
    """The server answered with an error: HTTP `status`, Matrix `errcode` (None if it gave none)."""

    kind = "server"

    def __init__(self, message: str, *, status: int, errcode: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.errcode = errcode

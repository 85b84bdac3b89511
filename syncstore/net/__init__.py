"""The homeserver over HTTP. Alone in knowing requests; it moves bytes and never reads what a sync says."""

from __future__ import annotations

from syncstore.net.answers import Answer, Login, WhoAmI
from syncstore.net.discovery import discover
from syncstore.net.homeserver import Homeserver
from syncstore.net.retry import Retry

__all__ = ["Answer", "Homeserver", "Login", "Retry", "WhoAmI", "discover"]

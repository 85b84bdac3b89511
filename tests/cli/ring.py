"""A keyring that a test can look into: one JSON file, named by CLI_TEST_RING."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend

from syncstore.cli.passphrase import SERVICE
from tests.encrypted import ENCRYPTED, PASSPHRASE


class FileRing(KeyringBackend):
    """Chosen by PYTHON_KEYRING_BACKEND."""

    priority = 1.0

    def get_password(self, service: str, username: str) -> str | None:
        if ENCRYPTED and service == SERVICE:
            return PASSPHRASE
        found = self._all().get(f"{service} {username}")
        return None if found is None else str(found)

    def set_password(self, service: str, username: str, password: str) -> None:
        self._write({**self._all(), f"{service} {username}": password})

    def delete_password(self, service: str, username: str) -> None:
        self._write({key: value for key, value in self._all().items() if key != f"{service} {username}"})

    def _all(self) -> dict[str, str]:
        path = Path(os.environ["CLI_TEST_RING"])
        found: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def _write(self, kept: dict[str, str]) -> None:
        Path(os.environ["CLI_TEST_RING"]).write_text(json.dumps(kept))

"""Python imports this when it starts, if the folder is in PYTHONPATH: processes that a test starts are in its mode."""

from __future__ import annotations

from tests.encrypted import ENCRYPTED, install

if ENCRYPTED:
    install()

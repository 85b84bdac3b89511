"""A real homeserver on loopback, and people who use it: what the demo and the end-to-end tests run against.

Standard library only, and nothing of syncstore: the lab is the judge of the store, so it must not share its code.
"""

from __future__ import annotations

from examples.lab.synapse import LabError, Synapse, install
from examples.lab.user import Event, Refused, User, login, register

__all__ = ["Event", "LabError", "Refused", "Synapse", "User", "install", "login", "register"]

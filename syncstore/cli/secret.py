"""Passwords, passphrases and login tokens: hidden on a terminal, else by standard input; never in argv."""

from __future__ import annotations

import sys

from syncstore.errors import SyncStoreError


def secret(prompt: str) -> str:
    """What is typed unseen on the terminal, or the next line of standard input. SyncStoreError if it is empty."""
    if sys.stdin.isatty():
        from getpass import getpass

        try:
            found = getpass(prompt)
        except EOFError:
            found = ""
    else:
        found = sys.stdin.readline().rstrip("\r\n")
    if not found:
        raise SyncStoreError(f"no {prompt.rstrip(': ').lower()} was given")
    return found

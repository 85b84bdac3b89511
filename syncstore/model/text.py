"""Text that came from servers, made fit for SQLite and for a terminal."""

from __future__ import annotations

import re
from typing import TypeGuard

REPLACEMENT = "\ufffd"
_NOT_SQL_TEXT = re.compile("[\0\ud800-\udfff]")
# C0, DEL and C1 steer a terminal. The two separators break the line; marks, embeddings, overrides and isolates reorder
# it (Unicode TR 9). What has no width hides in a name that looks like another one: soft hyphen, zero-width space, word
# joiner and its like, byte order mark. Surrogates cannot be printed at all. The joiners U+200C and U+200D stay: emoji
# and whole scripts need them.
_NOT_PRINTABLE = re.compile(
    "[\0-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def clean(value: object) -> str | None:
    """Return text that every SQLite can hold: None if not a str, U+FFFD in place of NUL and lone surrogates."""
    return _NOT_SQL_TEXT.sub(REPLACEMENT, value) if isinstance(value, str) else None


def is_text(value: object) -> TypeGuard[str]:
    """Whether a value is a str that a column can hold as it is: a lone surrogate has no UTF-8."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(text: str) -> str:
    r"""Return one line for a terminal: control and reordering characters as \n, \x1b or \u202e, never raw.

    For people only: a backslash of the text itself stays as it is, so this cannot be undone.
    """
    return _NOT_PRINTABLE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    return _SHORT.get(char) or (f"\\x{ord(char):02x}" if char < "\u0100" else f"\\u{ord(char):04x}")

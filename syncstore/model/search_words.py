"""What people type to search, as an expression that the index understands and that can mean nothing else."""

from __future__ import annotations

import re

from syncstore.model.text import clean

_WORD = re.compile(r'"([^"]*)"|([^\s"]+)')


def expression(words: str) -> str:
    """An FTS5 expression: all words in any order; `"two words"` as they stand; `begin*` for all that begin so.

    Every word is quoted, so that nothing in it is an operator. ValueError if no word has a letter or a digit: such
    marks are not in the index.
    """
    text = clean(words) or ""
    found = [_quoted(*match.groups()) for match in _WORD.finditer(text) if any(map(str.isalnum, match[0]))]
    if not found:
        raise ValueError(f"nothing to search for in {words!r}: words have letters or digits")
    return " AND ".join(found)


def _quoted(phrase: str | None, word: str | None) -> str:
    if word is None:
        return f'"{phrase}"'
    return f'"{word.rstrip("*")}"' + "*" * word.endswith("*")

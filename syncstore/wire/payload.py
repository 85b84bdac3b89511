"""What a client decrypted: JSON text, read as strictly as what a server sends."""

from __future__ import annotations

from syncstore.errors import ContentError
from syncstore.model.text import is_text
from syncstore.wire.content import BadPart, decode_object
from syncstore.wire.event import MAX_BYTES


def parse_payload(type_: str, text: str, where: str) -> int:
    """The odd bits of a content. ContentError, naming `where`: no type, no JSON object, or nested too deep."""
    if not is_text(type_) or not type_ or len(type_.encode()) > MAX_BYTES or "\0" in type_:
        raise ContentError(f"type {type_!a:.50} of {where}: expected a text of at most {MAX_BYTES} bytes")
    if not is_text(text):
        raise ContentError(f"content of {where}: a lone surrogate, which no JSON text has unless it is escaped")
    try:
        return decode_object(text)[1]
    except BadPart as error:
        raise ContentError(f"content of {where}: {error}") from None

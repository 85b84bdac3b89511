"""What a client decrypted: JSON text, read as strictly as what a server sends."""

from __future__ import annotations

from syncstore.errors import ContentError
from syncstore.wire.content import BadPart, decode_object


def parse_payload(text: str, where: str) -> int:
    """The odd bits of a content. ContentError, naming `where`, if it is no JSON object or nests too deep."""
    try:
        return decode_object(text)[1]
    except BadPart as error:
        raise ContentError(f"content of {where}: {error}") from None

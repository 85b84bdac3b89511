"""Bytes from the server to the one internal Batch or Page. Knows JSON and the forms, nothing of rooms or tables."""

from syncstore.wire.page import parse_context, parse_members, parse_page, parse_start, parse_state
from syncstore.wire.payload import parse_payload
from syncstore.wire.sync import parse

__all__ = ["parse", "parse_context", "parse_members", "parse_page", "parse_payload", "parse_start", "parse_state"]

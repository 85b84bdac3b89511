"""Who reads a store by name, and what waits for them."""

from __future__ import annotations

from typing import Annotated

import typer

from syncstore.cli import places, show
from syncstore.cli.options import AsJson, text

Forget = Annotated[
    str | None, typer.Option("--forget", metavar="NAME", callback=text, help="Let nothing wait for it any more.")
]


def consumers(context: typer.Context, forget: Forget = None, as_json: AsJson = False) -> None:
    """List the durable consumers and what waits for them, or forget one."""
    if forget is not None:
        with places.writing(context) as store:
            store.forget_consumer(forget)
        show.line((f"forgot {forget}", ""))
        return
    with places.reading(context) as store:
        found = store.consumers()
    if as_json:
        show.objects(map(show.columns, found))
        return
    rows = ((one.name, one.stream, one.seq, show.moment(one.updated_ts), one.waiting) for one in found)
    show.table(("name", "stream", "seq", "updated", "waiting"), rows)

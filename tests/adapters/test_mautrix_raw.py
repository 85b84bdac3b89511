"""An answer comes as its bytes, in bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from mautrix.api import HTTPAPI, Method
from mautrix.errors import MatrixConnectionError

from syncstore.adapters.mautrix.raw import RawAPI

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
SECONDS = 0.3


async def silence(writer: asyncio.StreamWriter) -> None:
    """Nothing at all."""


async def half(writer: asyncio.StreamWriter) -> None:
    """Half of an answer, then nothing."""
    writer.write(HEAD + b'Content-Length: 100\r\n\r\n{"a":')


async def drip(writer: asyncio.StreamWriter) -> None:
    """A byte now and then, for ever."""
    writer.write(HEAD + b"\r\n{")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def cut(writer: asyncio.StreamWriter) -> None:
    """An answer that ends too early."""
    writer.write(HEAD + b'Content-Length: 100\r\n\r\n{"a":')
    await writer.drain()
    writer.close()


async def whole(writer: asyncio.StreamWriter) -> None:
    """An answer with what a decoder would take away."""
    writer.write(HEAD + b'Content-Length: 14\r\n\r\n{"a":1,"a":2} ')


async def asked(answer: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> object:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            await answer(writer)
        except ConnectionError:
            pass  # the client gave up, as it should
        finally:
            writers.append(writer)

    writers: list[asyncio.StreamWriter] = []
    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    api = HTTPAPI(f"http://127.0.0.1:{port}", "secret")
    try:
        return await RawAPI(api, SECONDS).request(Method.GET, "_matrix/client/v3/sync")
    finally:
        await api.session.close()
        for writer in writers:
            writer.close()
        listening.close()


@pytest.mark.parametrize("answer", [silence, half, drip, cut])
def test_an_answer_that_does_not_come_whole_is_given_up(
    answer: Callable[[asyncio.StreamWriter], Awaitable[None]],
) -> None:
    async def run() -> None:
        async with asyncio.timeout(20):
            with pytest.raises(MatrixConnectionError):
                await asked(answer)

    asyncio.run(run())


def test_a_whole_answer_is_what_came() -> None:
    assert asyncio.run(asked(whole)) == b'{"a":1,"a":2} '

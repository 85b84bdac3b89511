"""The example of docs/adapters-mautrix.md answers."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from syncstore import SyncStore
from syncstore.adapters.mautrix import LoggedOutError
from tests.adapters.mautrix_lab import Server, until
from tests.store.bodies import ANN, ME, ROOM, Body, create, member, message, name

PAGE = Path(__file__).parents[2] / "docs" / "adapters-mautrix.md"
GONE = 401, b'{"errcode": "M_UNKNOWN_TOKEN", "error": "bye"}'


def test_the_example_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    monkeypatch.chdir(tmp_path)
    named: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), named)
    state = [create(), member("$me", ME, "join"), member("$ann", ANN, "join"), name("$n", "Tea")]

    async def run(server: Server) -> None:
        bot = asyncio.ensure_future(named["main"](server.url, "secret"))
        await until(lambda: server.sent)
        server.say(GONE)
        with pytest.raises(LoggedOutError):
            await bot

    with Server() as server:
        server.say(Body("s1").join(ROOM, message("$1"), state=state))
        asyncio.run(run(server))
    assert server.sent == [{"msgtype": "m.text", "body": "Tea has 1 gap"}]
    with SyncStore.open("bot.db") as store:
        assert store.token == "s1"

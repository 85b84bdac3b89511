"""A bot on matrix-nio that forgets nothing: it reminds people, and knows its rooms before it has asked the server.

    python -m examples.nio_bot HOMESERVER USER_ID DEVICE_ID TOKEN STORE

"!echo WORDS" is said again, "!remind SECONDS WORDS" is said then, "!rooms" tells what the bot knows. A nio bot became
this one by one import, and by `syncstore=STORE`. Without arguments (`make bot`) a homeserver is started on loopback,
somebody talks with the bot, stops it, and talks on.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nio

from examples.lab import LabError, Refused, Synapse, User, register
from syncstore import Event
from syncstore.adapters.nio import AsyncClient  # the one import: it was `from nio import AsyncClient`

ROOT = Path(__file__).parents[1]
RUN = ROOT / ".run"
VENV = Path(os.environ.get("SYNCSTORE_SYNAPSE_VENV", ROOT / ".venv-synapse"))


class Bot:
    """The bot: nio's callbacks, on a client that keeps everything."""

    def __init__(self, homeserver: str, user_id: str, device_id: str, token: str, store: str) -> None:
        self.client = AsyncClient(homeserver, user_id, syncstore=store)
        self.client.restore_login(user_id, device_id, token)
        self.client.add_event_callback(self._message, nio.RoomMessageText)
        self.client.add_event_callback(self._invited, nio.InviteMemberEvent)
        self._reminders: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Sync until cancelled."""
        try:
            await self.client.sync_forever(timeout=30000)
        finally:
            for reminder in self._reminders:
                reminder.cancel()
            await self.client.close()

    async def _message(self, room: nio.MatrixRoom, event: nio.RoomMessageText) -> None:
        if event.sender == self.client.user_id:
            return
        command, _, words = event.body.partition(" ")
        if command == "!echo":
            await self._say(room.room_id, words)
        elif command == "!rooms":
            await self._say(room.room_id, "I know " + ", ".join(sorted(one.display_name for one in self._rooms())))
        elif command == "!remind":
            seconds, _, what = words.partition(" ")
            if seconds.isascii() and seconds.isdigit():
                self._later(room.room_id, min(int(seconds), 86_400), what)

    async def _invited(self, room: nio.MatrixInvitedRoom, event: nio.InviteMemberEvent) -> None:
        if event.state_key == self.client.user_id and event.membership == "invite":
            await self.client.join(room.room_id)

    def _later(self, room_id: str, seconds: int, what: str) -> None:
        async def remind() -> None:
            await asyncio.sleep(seconds)
            await self._say(room_id, f"Remember: {what}")

        reminder = asyncio.ensure_future(remind())
        self._reminders.add(reminder)
        reminder.add_done_callback(self._reminders.discard)

    async def _say(self, room_id: str, words: str) -> None:
        content = {"msgtype": "m.notice", "body": words}
        await self.client.room_send(room_id, "m.room.message", content)

    def _rooms(self) -> list[nio.MatrixRoom]:
        return list(self.client.rooms.values())


# -- the show of `make bot` ----------------------------------------------------------------------------------------


async def show(server: str, folder: Path) -> None:
    """Let somebody talk with the bot, before and after it was stopped."""
    mary, user = register(server, "mary"), register(server, "kitchenbot")
    login = server, user.user_id, user.device_id, user.access_token, str(folder / "bot.db")
    room = mary.create_room(name="Kitchen", preset="public_chat", invite=[user.user_id])
    bot = Bot(*login)
    print("The bot starts with an empty store.")
    running = asyncio.ensure_future(bot.run())
    await _until(lambda: room in bot.client.rooms)
    await _ask(mary, bot, room, "!echo the tea is ready", "the tea is ready")
    await _ask(mary, bot, room, "!remind 1 the oven", "Remember: the oven")
    await _stop(running)
    print("The bot is stopped, and somebody goes on talking.")
    await asyncio.to_thread(mary.send, room, "!echo are you there?")
    bot = Bot(*login)
    known = ", ".join(one.display_name for one in bot.client.rooms.values())
    print(f"The bot is back, and has asked nobody yet: it knows {known}")
    running = asyncio.ensure_future(bot.run())
    await _heard(bot, room, "are you there?")
    await _ask(mary, bot, room, "!rooms", "I know Kitchen")
    for event in reversed(bot.client.syncstore.room(room).timeline(limit=50).items):
        if isinstance(event, Event) and event.type == "m.room.message":
            print(f"  {event.sender:30}{event.content['body']}")
    await _stop(running)


async def _ask(mary: User, bot: Bot, room: str, words: str, answer: str) -> None:
    await asyncio.to_thread(mary.send, room, words)
    await _heard(bot, room, answer)


async def _heard(bot: Bot, room: str, answer: str) -> None:
    """Wait until the bot's answer has come back into its own store."""

    def said() -> bool:
        items = bot.client.syncstore.room(room).timeline(limit=20).items
        mine = (one for one in items if isinstance(one, Event) and one.sender == bot.client.user_id)
        return any(one.content.get("body") == answer for one in mine)

    await _until(said)


async def _until(done: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise LabError("the bot does not answer")
        await asyncio.sleep(0.05)


async def _stop(running: asyncio.Future[None]) -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def main() -> int:
    """Run the bot, or the show; returns the exit code."""
    try:
        if len(sys.argv) == 6:
            asyncio.run(Bot(*sys.argv[1:]).run())
        else:
            shutil.rmtree(RUN, ignore_errors=True)
            print("Starting a homeserver …", flush=True)
            with Synapse(RUN / "synapse", venv=VENV) as synapse:
                asyncio.run(show(synapse.base_url, RUN))
    except KeyboardInterrupt:
        return 130
    except (LabError, Refused) as error:
        print(f"bot: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""A small terminal client: rooms, a timeline whose gaps fill as one goes up, and sending without a network.

    python -m examples.client HOMESERVER USER_ID TOKEN STORE

Type `help`. Without arguments (`make client`) a homeserver with some rooms is started on loopback; `unplug` and `plug`
then take it away and bring it back.
"""

from __future__ import annotations

import cmd
import os
import shutil
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from examples.lab import LabError, Refused, Synapse, register
from syncstore import Event, Gap, Homeserver, Room, Syncer, SyncStore
from syncstore.errors import NotFoundError, RemoteError, SyncStoreError
from syncstore.model.text import printable

ROOT = Path(__file__).parents[1]
RUN = ROOT / ".run"
VENV = Path(os.environ.get("SYNCSTORE_SYNAPSE_VENV", ROOT / ".venv-synapse"))
PAGE = 8


class Client(cmd.Cmd):
    """Everything that is shown comes out of the store; the syncer runs in a thread and is never waited for."""

    intro = "rooms, open ROOM, up, say TEXT, reply TEXT, status, quit"

    def __init__(self, store: SyncStore, syncer: Syncer, lab: Synapse | None = None) -> None:
        super().__init__()
        self.store = store
        self.syncer = syncer
        self.lab = lab
        self.room: Room | None = None
        self.oldest: str | None = None  # of what is on the screen
        self.use_rawinput = sys.stdin.isatty()

    @property
    def prompt(self) -> str:  # type: ignore[override]
        """Where we are, how we stand with the server, and what is on its way."""
        waiting = len(self.store.outbox())
        where = "" if self.room is None else f" {printable(self.room.display_name or self.room.room_id)}"
        return f"[{self.syncer.connection.state}{f', {waiting} to send' if waiting else ''}]{where}> "

    def onecmd(self, line: str) -> bool:
        """Say what is wrong in one line, and go on."""
        try:
            return bool(super().onecmd(line))
        except SyncStoreError as error:
            print(error)
            return False

    def do_rooms(self, _: str) -> None:
        """List the rooms, the newest message first."""
        for room in self.store.rooms("join"):
            print(f"{room.notification_count or '':>3} {printable(room.display_name or room.room_id)}")

    def do_open(self, name: str) -> None:
        """Show the newest page of a room."""
        self.room = self.store.room_named(name)
        self._show(None)

    def do_up(self, _: str) -> None:
        """Go on to older events; a gap in the way is filled first, if the server can be reached."""
        room = self._opened()
        top = room.timeline(1, around=self.oldest).items if self.oldest else room.timeline(1).items
        gap = next((item for item in top if isinstance(item, Gap) and item.status == "open"), None)
        if gap is not None:
            try:
                filled = self.syncer.backfill(gap, PAGE)
                print(f"-- fetched {filled.events_added}{', and nothing is missing here now' if filled.closed else ''}")
            except RemoteError:
                print("-- something is missing here, and the server cannot be reached")
        self._show(self.oldest)

    def do_say(self, text: str) -> None:
        """Send a message, now or as soon as there is a network."""
        self._opened().send_text(text)
        self._show(None)

    def do_reply(self, text: str) -> None:
        """Answer the newest message, be it on its way itself."""
        newest = next(item for item in self._opened().timeline(1).items if isinstance(item, Event))
        self._opened().send_text(text, reply_to=newest.event_id)
        self._show(None)

    def do_status(self, _: str) -> None:
        """Say how we stand with the server, and what waits for it."""
        connection = self.syncer.connection
        print(connection.state if connection.error is None else f"{connection.state}: {connection.error}")
        for one in self.store.outbox():
            print(f"  {one.state}: {printable(str(one.content.get('body', one.type)))} {one.reason or ''}")

    def do_unplug(self, _: str) -> None:
        """Take the homeserver of `make client` away."""
        if self.lab is not None:
            self.lab.stop()

    def do_plug(self, _: str) -> None:
        """Bring it back."""
        if self.lab is not None:
            self.lab.start()

    def do_quit(self, _: str) -> bool:
        """End."""
        return True

    do_EOF = do_quit  # noqa: N815 - cmd's name for the end of the input

    def emptyline(self) -> bool:
        """Nothing said is nothing done."""
        return False

    def _opened(self) -> Room:
        if self.room is None:
            raise NotFoundError("open a room first")
        return self.store.room(self.room.room_id)

    def _show(self, before: str | None) -> None:
        page = self._opened().timeline(PAGE, before=before)
        for item in reversed(page.items):
            print(_line(item, self.store.user_id))
        events = [item for item in page.items if isinstance(item, Event) and item.segment is not None]
        self.oldest = events[-1].event_id if events else self.oldest


def _line(item: Event | Gap, me: str) -> str:
    if isinstance(item, Gap):
        return f"-- something is missing here ({item.status})"
    content = item.edited or item.content
    said = content.get("body") or f"[{item.type}]"
    mark = " …" if item.source == "outbox" else ""
    return f"{'me' if item.sender == me else printable(item.sender)}: {printable(str(said))}{mark}"


def run(server: str, user_id: str, token: str, path: str, lab: Synapse | None = None) -> None:
    """Run the client until it is quit."""
    stop = threading.Event()
    with SyncStore.open(path, user_id=user_id) as store, Homeserver(server, access_token=token) as homeserver:
        syncer = Syncer(homeserver, store, timeout=5000)
        thread = threading.Thread(target=syncer.run_forever, args=(stop,))
        thread.start()
        try:
            store.wait(0, 5)  # a new store has nothing to show yet
            Client(store, syncer, lab).cmdloop()
        finally:
            stop.set()
            thread.join()


def demo() -> int:
    """Start a homeserver with two people and a long conversation, and be one of them."""
    shutil.rmtree(RUN, ignore_errors=True)
    try:
        with ExitStack() as stack:
            print("Starting a homeserver …", flush=True)
            lab = stack.enter_context(Synapse(RUN / "synapse", venv=VENV))
            alice, bob = (register(lab.base_url, name) for name in ("alice", "bob"))
            room = bob.create_room(name="Plans", preset="public_chat")
            alice.join(room)
            for number in range(40):
                bob.send(room, f"Argument {number + 1}")
            run(lab.base_url, alice.user_id, alice.access_token, str(RUN / "client.db"), lab)
    except (LabError, Refused) as error:
        print(f"client: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    if len(sys.argv) == 5:
        server, user_id, token, path = sys.argv[1:]
        run(server, user_id, token, path)
    else:
        sys.exit(demo())

"""Notes in a room: written, changed and struck without a network, the same on every device once there is one.

    python -m examples.notes STORE ROOM add TEXT | list | change NUMBER TEXT | strike NUMBER
    python -m examples.notes STORE ROOM sync HOMESERVER      (the access token in SYNCSTORE_ACCESS_TOKEN)

A note is an event of a type of its own; a change is an edit of it, striking it a redaction. Without arguments
(`make notes`) two devices write notes while no server runs, and then one is started on loopback.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from examples.lab import LabError, Refused, Synapse, login, register
from syncstore import Event, Homeserver, Syncer, SyncStore
from syncstore.errors import SyncStoreError

ROOT = Path(__file__).parents[1]
RUN = ROOT / ".run"
VENV = Path(os.environ.get("SYNCSTORE_SYNAPSE_VENV", ROOT / ".venv-synapse"))
NOTE = "org.example.note"


class Notes:
    """The notes of one room of one store."""

    def __init__(self, store: SyncStore, room_id: str) -> None:
        self.store = store
        self.room_id = room_id

    def all(self) -> dict[str, str]:
        """The notes that stand, by their id, the oldest first; what is on its way counts."""
        found: dict[str, str] = {}
        with self.store.read() as snapshot:
            for event in self._events(snapshot.room(self.room_id)):
                if event.type == "m.room.redaction":
                    found.pop(event.redacts or "", None)
                elif event.rel_type == "m.replace" and event.relates_to in found:
                    found[event.relates_to] = _text(event.content.get("m.new_content"))
                elif event.rel_type is None and event.type == NOTE and event.redacted_by is None:
                    found[event.event_id] = _text(event.content)
        return found

    def add(self, text: str) -> None:
        """Write a note."""
        self.store.room(self.room_id).send(NOTE, {"text": text})

    def change(self, number: int, text: str) -> None:
        """Write a note anew; number: its place in the list, from 1."""
        relation = {"rel_type": "m.replace", "event_id": self._id(number)}
        content = {"text": f"* {text}", "m.new_content": {"text": text}, "m.relates_to": relation}
        self.store.room(self.room_id).send(NOTE, content)

    def strike(self, number: int) -> None:
        """Take a note away."""
        self.store.room(self.room_id).redact(self._id(number))

    def sync(self, homeserver: str, token: str) -> None:
        """Bring this device and the others up to date."""
        with Homeserver(homeserver, access_token=token) as server:
            syncer = Syncer(server, self.store)
            syncer.run_once()
            syncer.flush()
            syncer.run_once()
            syncer.backfill_all(budget=100)

    def _id(self, number: int) -> str:
        try:
            return list(self.all())[number - 1]
        except IndexError:
            raise SyncStoreError(f"there is no note {number}") from None

    def _events(self, room: Any) -> list[Event]:
        """The whole timeline, the oldest first, with what is on its way at the end."""
        events: list[Event] = []
        before: str | None = None
        while True:
            page = room.timeline(200, before=before)
            events += [item for item in page.items if isinstance(item, Event)]
            if page.older is None:
                return events[::-1]
            before = page.older


def _text(content: object) -> str:
    return str(content.get("text", "")) if isinstance(content, dict) else ""


def main(arguments: list[str]) -> int:
    """One command on the notes of a store; 1 with a line on standard error if it cannot be done."""
    path, room_id, command, *words = arguments
    try:
        with SyncStore.open(path, create=False) as store:
            notes = Notes(store, room_id)
            if command == "add":
                notes.add(" ".join(words))
            elif command == "change":
                notes.change(int(words[0]), " ".join(words[1:]))
            elif command == "strike":
                notes.strike(int(words[0]))
            elif command == "sync":
                notes.sync(words[0], os.environ["SYNCSTORE_ACCESS_TOKEN"])
            for number, text in enumerate(notes.all().values(), 1):
                print(f"{number}. {text}")
    except SyncStoreError as error:
        print(f"notes: {error}", file=sys.stderr)
        return 1
    return 0


def demo() -> int:
    """Two devices of one account, a server that goes, and notes that agree when it is back."""
    shutil.rmtree(RUN, ignore_errors=True)
    try:
        with Synapse(RUN / "synapse", venv=VENV) as lab:
            phone = register(lab.base_url, "alice", "PHONE")
            laptop = login(lab.base_url, "alice", "LAPTOP")
            room = phone.create_room(name="Notes")
            devices = []
            for user in (phone, laptop):
                store = SyncStore.open(RUN / f"{user.device_id}.db", user_id=user.user_id, device_id=user.device_id)
                devices.append((user, Notes(store, room)))
                with Homeserver(lab.base_url, access_token=user.access_token) as server:
                    Syncer(server, store).run_once()
            print("No server runs. Each device writes:")
            lab.stop()
            for user, notes in devices:
                notes.add(f"written on the {user.device_id.lower()}")
                notes.add("a slip of the pen")
                notes.change(1, f"written on the {user.device_id.lower()}, and changed there")
                notes.strike(2)
                _show(user.device_id, notes)
            print("The server is back:")
            lab.start()
            for user, notes in [*devices, *devices]:
                notes.sync(lab.base_url, user.access_token)
            for user, notes in devices:
                _show(user.device_id, notes)
                notes.store.close()
    except (LabError, Refused) as error:
        print(f"notes: {error}", file=sys.stderr)
        return 1
    return 0


def _show(name: str, notes: Notes) -> None:
    for number, text in enumerate(notes.all().values(), 1):
        print(f"  {name} {number}. {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) if len(sys.argv) > 1 else demo())

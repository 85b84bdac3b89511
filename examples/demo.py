"""See syncstore at work: a real homeserver, some people, one account replicated into one SQLite file.

    python -m examples.demo

Starts Synapse on loopback with a new database under .run/, plays a small story, and runs the `syncstore`
command the way anybody would. What it started it stops, also on Ctrl-C. The store stays in .run/ to be looked at.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from examples.lab import LabError, Refused, Synapse, User, login, register

ROOT = Path(__file__).parents[1]
RUN = ROOT / ".run"
STORE = RUN / "alice.db"
VENV = Path(os.environ.get("SYNCSTORE_SYNAPSE_VENV", ROOT / ".venv-synapse"))

# Every command line that the demo runs; {server} and {record} are filled in, {plans} and {party} are room ids.
SYNC = "sync --once --homeserver {server} --record {record}"
SHOWS = [
    ("The store at a glance", "info"),
    ("The rooms of the account", "rooms"),
    ("The state of “Plans”", "state {plans}"),
    ("Its timeline, with the gap where it belongs", "timeline {plans}"),
    ("All gaps", "gaps"),
    ("“Party” was left and is now an invite: the archived state …", "state {party}"),
    ("… and the invite beside it", "invites"),
    (
        "A jump into the gap of “Plans”",
        "backfill {plans} --event {argument} --limit 4 --homeserver {server}",
    ),
    ("What stands around it: an island, with a gap on each side", "timeline {plans} --around {argument} --limit 7"),
    ("Filling the gaps of “Plans”", "backfill {plans} --homeserver {server}"),
    ("The topic when that argument was made", "state {plans} m.room.topic --at {argument}"),
    ("Does the store agree with the server?", "verify --homeserver {server}"),
    ("What was said of sandwiches", "search sandwich*"),
    ("Plain SQL: who says most", "sql {query}"),
]
QUERY = "select sender, count(*) as messages, max(sent_at) as last from messages group by sender order by 2 desc"


def main() -> int:
    """Play the story and return the exit code."""
    shutil.rmtree(RUN, ignore_errors=True)
    try:
        print("Starting a homeserver …", flush=True)
        with Synapse(RUN / "synapse", venv=VENV) as synapse:
            _play(synapse.base_url)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except (LabError, Refused) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"demo: syncstore ended with exit {error.returncode}", file=sys.stderr)
        return 1
    print(f"\nThe store is {STORE.relative_to(ROOT)}: try sqlite3 {STORE.relative_to(ROOT)}")
    return 0


def _play(server: str) -> None:
    alice, bob, carol = (register(server, name) for name in ("alice", "bob", "carol"))
    phone = login(server, "alice", "SYNCSTORE")  # the device whose view is replicated
    words = {"server": server, "record": str((RUN / "record").relative_to(ROOT))}
    _before(words, alice, bob, carol)
    show("The first sync", SYNC, words, STORE, phone.access_token)
    _meanwhile(words, alice, bob, carol)
    title = "The second sync, after forty messages and an invite: limited"
    show(title, SYNC, words, STORE, phone.access_token)
    for title, command in SHOWS:
        show(title, command, words, STORE, phone.access_token)


def _before(words: dict[str, str], alice: User, bob: User, carol: User) -> None:
    plans = bob.create_room(name="Plans", topic="Where we go in summer", invite=[alice.user_id, carol.user_id])
    direct = carol.create_room(is_direct=True, preset="trusted_private_chat", invite=[alice.user_id])
    square = bob.create_room(name="Market square", preset="public_chat", room_alias_name="square")
    party = carol.create_room(name="Party", topic="Saturday at eight", invite=[alice.user_id])
    for room in (plans, direct, square, party):
        alice.join(room)
    carol.join(plans)
    carol.send(direct, "Hi Alice, do you have a minute?")
    alice.send(direct, "Always.")
    bob.send(square, "Fresh bread!")
    words["slip"] = bob.send(plans, "The door code is 4711")
    alice.send(plans, "The sea, of course")
    words.update(plans=plans, party=party)


def _meanwhile(words: dict[str, str], alice: User, bob: User, carol: User) -> None:
    plans, party = words["plans"], words["party"]
    bob.send_state(plans, "m.room.topic", {"topic": "The mountains, this time"})
    for number in range(20):
        said = bob.send(plans, f"Argument {number + 1} for the mountains")
        if number == 5:
            words["argument"] = said
        carol.send(plans, f"Argument {number + 1} for the sea")
    last = carol.send(plans, "Alice, say something!")
    better = {"msgtype": "m.text", "body": "Argument 6: less sand in the sandwiches"}
    bob.send(plans, {**better, "m.new_content": better, "m.relates_to": _about(words["argument"], "m.replace")})
    carol.send(plans, {"m.relates_to": {**_about(words["argument"], "m.annotation"), "key": "🏖"}}, "m.reaction")
    bob.read(plans, last)
    bob.redact(plans, words["slip"])
    alice.leave(party)
    carol.send_state(party, "m.room.topic", {"topic": "Sunday at noon"})
    carol.invite(party, alice.user_id)
    surprise = carol.create_room(name="Surprise", invite=[alice.user_id])
    carol.send(surprise, "Nobody tells Bob")


def _about(event_id: str, rel_type: str) -> dict[str, str]:
    return {"rel_type": rel_type, "event_id": event_id}


def show(title: str, command: str, words: dict[str, str], store: Path, token: str | None = None) -> None:
    """Print a heading and what one command of SHOWS or SYNC says."""
    _heading(title)
    run_syncstore([part.format_map(words | {"query": QUERY}) for part in command.split()], store, token)


def run_syncstore(arguments: list[str], store: Path, token: str | None = None) -> None:
    """Run one command: the store and the token come from the environment."""
    print("$ syncstore " + shlex.join(arguments), flush=True)
    env = {**os.environ, "SYNCSTORE_DB": str(store), **({"SYNCSTORE_ACCESS_TOKEN": token} if token else {})}
    subprocess.run([sys.executable, "-m", "syncstore", *arguments], check=True, env=env, cwd=ROOT)


def _heading(title: str) -> None:
    print(f"\n── {title}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

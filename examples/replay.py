"""See a recorded account without any server: what the demo's homeserver sent, played again into a new store.

    python -m examples.replay

The recording in examples/account is the one that `python -m examples.demo` made. The store stays in .run/.
"""

from __future__ import annotations

import subprocess
import sys

from examples.demo import ROOT, RUN, SHOWS, run_syncstore, show

STORE = RUN / "replayed.db"
RECORDING = ROOT / "examples" / "account"


def main() -> int:
    """Play the recording and show the account; return the exit code."""
    RUN.mkdir(exist_ok=True)
    for left in RUN.glob(STORE.name + "*"):
        left.unlink()
    try:
        run_syncstore(["replay", str(RECORDING.relative_to(ROOT))], STORE)
        words = {"plans": "Plans", "party": "Party"}
        for title, command in SHOWS:
            if not ("{server}" in command or "{argument}" in command):  # those need the server
                show(title, command, words, STORE)
    except subprocess.CalledProcessError as error:
        print(f"replay: syncstore ended with exit {error.returncode}", file=sys.stderr)
        return 1
    print(f"\nThe store is {STORE.relative_to(ROOT)}: try sqlite3 {STORE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

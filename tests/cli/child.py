"""Run a command in a narrower place: `python -m tests.cli.child '{"uid": 65534, "file_bytes": 4096}' ARGUMENT…`.

What a command imports on its way is loaded first: another user may not be able to read it.
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys
from contextlib import redirect_stderr
from pathlib import Path

from syncstore.cli.main import main
from syncstore.cli.passphrase import kept


def narrowed() -> int:
    """Narrow this process, then run."""
    limits = json.loads(sys.argv[1])
    if "file_bytes" in limits:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits["file_bytes"],) * 2)
    if "uid" in limits:
        os.setgroups([])
        os.setgid(limits["uid"])
        os.setuid(limits["uid"])
    return main(sys.argv[2:])


with redirect_stderr(io.StringIO()):
    for command in (["rooms"], ["replay", "none"], ["sql", "select 1"]):
        main(["-s", "none", *command])
    kept(Path("none"))
sys.exit(narrowed())

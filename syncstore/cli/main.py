"""The edge: what leaves a command is an exit code and at most one line of error, never a traceback.

Exit codes: 0 done, 1 refused with a message, 2 usage, 130 interrupted, 141 nobody read the output any longer.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from syncstore.errors import SyncStoreError
from syncstore.model.text import printable

TRACE = "SYNCSTORE_TRACE"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    arguments: without the program's name; by default those of the process.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character gets its escape, not an exception.
            stream.reconfigure(errors="backslashreplace")
    _leave_no_dump()
    code = _guarded(sys.argv[1:] if arguments is None else list(arguments))
    if code == 141:
        # What is still buffered goes nowhere, quietly, when the interpreter flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code


def _leave_no_dump() -> None:
    """A core dump of a crash would hold the access token and the messages."""
    try:
        import resource
    except ImportError:  # not POSIX
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _guarded(arguments: list[str]) -> int:
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        return 141
    except SystemExit as error:
        # Typer turns a broken pipe into exit 1; that code is for what was refused with a message.
        if isinstance(error.__context__, BrokenPipeError):
            return 141
        raise
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        return _told(error)
    return code


def _run(arguments: list[str]) -> int:
    try:
        from syncstore.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich", "platformdirs"):
            raise
        raise SyncStoreError(f"the command line needs {error.name}: pip install 'syncstore[cli]'") from None
    from typer.main import get_command

    command: Any = get_command(app)
    code = command.main(args=arguments, prog_name="syncstore", standalone_mode=False)
    return code if isinstance(code, int) else 0


def _told(error: Exception) -> int:
    """Say one line about an error and return the exit code."""
    if os.environ.get(TRACE):
        for line in "".join(traceback.format_exception(error)).splitlines():
            print(printable(line), file=sys.stderr)  # noqa: T201
    show = getattr(error, "show", None)
    if show is not None:  # the parser's own: wrong usage, with the words that were given
        error.message = printable(str(getattr(error, "message", "")))  # type: ignore[attr-defined]
        show()
        return int(getattr(error, "exit_code", 2))
    if isinstance(error, SyncStoreError):
        text = str(error)
    elif isinstance(error, OSError):
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
    else:
        # Its name alone: what else it says may hold anything, a token too.
        text = f"unexpected {type(error).__name__}; {TRACE}=1 shows where, please report it"
    print(f"syncstore: {printable(text)}", file=sys.stderr)  # noqa: T201
    return 1

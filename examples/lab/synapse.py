"""Synapse in an environment of its own: install it, start it on a free port of loopback, stop it.

Synapse is AGPL-3.0 and only a test tool: it runs as a process of its own and is never imported here.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from examples.lab.settings import homeserver_settings, log_settings

VERSION = "1.163.2"
MODULES = Path(__file__).parent / "synapse_module"  # put on the server's path, alone


class LabError(Exception):
    """The lab itself does not work: no install, or a server that does not start."""


def install(venv: Path) -> Path:
    """Install Synapse into `venv`, unless it is there, and return its Python.

    Takes about a minute and 250 MB. LabError if the environment or the packages cannot be made.
    """
    python = venv / "bin" / "python"
    # pip writes RECORD last, and a package after what it depends on: an install cut short is done again.
    if not list(venv.glob(f"lib/python*/site-packages/matrix_synapse-{VERSION}.dist-info/RECORD")):
        print(f"installing matrix-synapse {VERSION} into {venv} (about a minute) …", file=sys.stderr)
        _run([sys.executable, "-m", "venv", str(venv)])
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, f"matrix-synapse=={VERSION}"])
    return python


def _run(command: list[str], env: dict[str, str] | None = None, cwd: Path | None = None) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, cwd=cwd)
    if done.returncode:
        raise LabError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-2000:]}")


class Synapse:
    """One homeserver with its files in `directory`: a context manager that starts and stops it.

    `base_url` is where it answers. A directory used before keeps its users and rooms.
    """

    def __init__(self, directory: Path, *, venv: Path, port: int = 0) -> None:
        self.directory = directory.resolve()
        self.port = port or _free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self._venv = venv.absolute()  # not resolved: a venv python is a link, and its place matters
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, wait_seconds: float = 60) -> None:
        """Start the server and return once it answers; LabError with the end of its log if it does not."""
        python = install(self._venv)
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self._write_settings()
        command = [str(python), "-m", "synapse.app.homeserver", "-c", str(config)]
        env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(MODULES), "PYTHONDONTWRITEBYTECODE": "1"}
        # Python looks for modules in the working directory first, so that must not be ours.
        _run([*command, "--generate-keys"], env, self.directory)
        with self._log.open("ab") as log:
            # A process group of its own: Ctrl-C in the terminal must reach us only, and we stop the server.
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=env,
                cwd=self.directory,
                start_new_session=True,
            )
        try:
            self._wait(self._process, wait_seconds)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the process that `start` started, by force if it hangs; nothing to do is no error."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _log(self) -> Path:
        return self.directory / "homeserver.log"

    def _write_settings(self) -> Path:
        config = self.directory / "homeserver.yaml"
        # Every JSON document is YAML: no YAML library needed.
        config.write_text(json.dumps(homeserver_settings(self.directory, self.port), indent=1))
        (self.directory / "log.yaml").write_text(json.dumps(log_settings()))
        return config

    def _wait(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.base_url}/_matrix/client/versions", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        why = "does not answer" if process.poll() is None else f"ended with exit {process.returncode}"
        tail = self._log.read_text(errors="replace")[-3000:]
        raise LabError(f"Synapse in {self.directory} {why}; the end of its log:\n{tail}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

"""Bytes found by coverage: `python -m tests.fuzz.guided [runs]`, a part of `make torture` where atheris can be had."""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path


def main(runs: str) -> None:
    """Fuzz /sync bodies until one is neither taken nor refused, or until so many were tried."""
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        print("no coverage-guided fuzzing: atheris has no wheel for this Python", flush=True)  # noqa: T201
        return
    with atheris.instrument_imports(include=["syncstore.wire", "syncstore.reduce", "syncstore.store"]):
        from tests.fuzz import seeds
        from tests.fuzz.judge import World
    with tempfile.TemporaryDirectory() as name:
        corpus = Path(name) / "corpus"
        corpus.mkdir()
        for number, body in enumerate((*seeds.sync_bodies(), *seeds.page_bodies().values())):
            (corpus / str(number)).write_bytes(body)
        world = World(Path(name))
        at_most = ["-max_len=40000", f"-runs={runs}", f"-artifact_prefix={name}-"]
        atheris.Setup([sys.argv[0], *at_most, str(corpus)], lambda body: world.sync(bytes(body)))
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "100000")

"""Many processes on one file: nothing is lost, nothing comes twice, and nobody is told that it is locked."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Counted
from tests.torture import times

from .crowd import SCENES


@pytest.mark.parametrize("scene", SCENES)
def test_p24_a_crowd(scene: str, folder: Path, counted: Counted) -> None:
    for number in range(times(1, 30)):
        seed, where = random.randrange(1 << 30), folder / str(number)
        where.mkdir()
        command = [sys.executable, "-m", "tests.faults.crowd", scene, str(seed), str(where)]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False, timeout=200
        )
        assert done.returncode == 0, f"{scene} {seed}: {done.stderr}"
        for what, count in json.loads(done.stdout).items():
            counted(count, what)

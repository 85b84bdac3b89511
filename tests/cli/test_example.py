"""The recorded account of examples/ can be shown without any server, as the README says."""

from __future__ import annotations

import subprocess
import sys

from .conftest import ROOT


def test_the_recorded_account_is_shown() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.replay"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    shown = done.stdout
    assert "2 applied, 0 already stored" in shown
    # The gap stands between what was said before and after it, the archived topic beside the invited one.
    assert shown.index("The sea, of course") < shown.index("gap 5 (limited") < shown.index("Argument 12 for the sea")
    assert "Saturday at eight" in shown
    assert "Sunday at noon" in shown

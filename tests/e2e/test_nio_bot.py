"""The bot of examples/ does what `make bot` shows."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from examples.lab import Synapse
from examples.nio_bot import show

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]


def test_the_example_bot_answers_and_remembers(
    synapse: Synapse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(show(synapse.base_url, tmp_path))
    shown = capsys.readouterr().out
    assert "it knows Kitchen" in shown
    said = [line.split(maxsplit=1)[1] for line in shown.splitlines() if line.startswith("  @kitchenbot")]
    assert said == ["the tea is ready", "Remember: the oven", "are you there?", "I know Kitchen"]

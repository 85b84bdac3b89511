"""`python -m examples.lab`: install the homeserver into .venv-synapse of this folder, if it is not there."""

from pathlib import Path

from examples.lab import install

install(Path(__file__).parents[2] / ".venv-synapse")

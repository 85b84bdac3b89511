"""Every command and option is documented, and nothing is documented that is not there."""

from __future__ import annotations

import re
from typing import Any

import pytest
from typer.main import get_command

from syncstore.cli.app import app

from .conftest import ROOT

_SECTIONS = re.split(r"^## ", (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"), flags=re.M)
_COMMAND: Any = get_command(app)
_DOCUMENTED = {section.split("\n", 1)[0].strip("`"): section for section in _SECTIONS if section.startswith("`")}


def _options(command: Any) -> set[str]:
    return {
        word
        for one in command.params
        if one.param_type_name == "option" and one.name != "help"
        for word in (*one.opts, *one.secondary_opts)
    }


def test_the_same_commands() -> None:
    assert set(_DOCUMENTED) == set(_COMMAND.commands)


@pytest.mark.parametrize("name", sorted(_COMMAND.commands))
def test_the_same_options(name: str) -> None:
    section = _DOCUMENTED[name]
    listed = set(re.findall(r"^- `(-{1,2}[a-z-]+)", section, flags=re.M))
    assert listed == _options(_COMMAND.commands[name])


@pytest.mark.parametrize("name", sorted(_COMMAND.commands))
def test_the_same_arguments_and_an_example(name: str) -> None:
    section = _DOCUMENTED[name]
    usage = section.split("\n\n")[1]
    for one in _COMMAND.commands[name].params:
        if one.param_type_name == "argument":
            assert one.metavar.strip("[]") in usage
    assert re.search(rf"^    \$ syncstore (-s \S+ )?{name}\b", section, flags=re.M)


def test_the_global_option() -> None:
    assert _options(_COMMAND) == {"-s"} and "`-s STORE`" in _SECTIONS[0]

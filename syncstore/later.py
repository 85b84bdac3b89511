"""Modules that are imported when something of them is first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Later:
    """Stands for a module until then. For the type checker the module itself is imported, under TYPE_CHECKING."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        # Asked only for what is not yet kept here.
        found = self.__dict__[attribute] = getattr(import_module(self._name), attribute)
        return found

"""Upgrades of an older file by Alembic: the only module that imports it."""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config

from alembic import command
from syncstore.store.failures import failures
from syncstore.store.key import Key

_PACKAGED = Path(__file__).parents[1] / "_migrations"  # in a wheel
_CHECKOUT = Path(__file__).parents[2] / "alembic"  # in a working copy


def migrations() -> Path:
    """The folder with env.py and versions/: inside an installed package, or beside it in a working copy."""
    return _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT


def upgrade(path: Path, scripts: Path | None = None, *, key: Key | None = None) -> None:
    """Bring the file to the newest format, all or nothing.

    scripts: another folder of migrations, for a test. key: of an encrypted file.
    """
    config = Config()
    config.set_main_option("script_location", str(scripts or migrations()).replace("%", "%%"))
    config.attributes["store"] = path
    config.attributes["key"] = key
    with failures(path):
        command.upgrade(config, "head")

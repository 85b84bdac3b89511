"""The platform's data folder, where accounts have their files."""

from __future__ import annotations

import hashlib
import re
import stat
from pathlib import Path

from syncstore.errors import StoreError

_PLAIN = re.compile(r"[^a-z0-9@._=-]")
_LONGEST = 200  # bytes of a file name, with room for its suffix


def folder() -> Path:
    """Where accounts have their files: the platform's data folder."""
    from platformdirs import user_data_path

    return user_data_path("syncstore", appauthor=False)


def make_folder() -> Path:
    """The same, made if it is missing; for its owner alone, also where it was open to others."""
    made = folder()
    try:
        # One by one: mkdir gives its mode to the last of several only.
        for missing in reversed([one for one in (made, *made.parents) if not one.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
        if stat.S_IMODE(made.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
            made.chmod(0o700)
    except OSError as error:
        raise StoreError(f"{made} cannot be made, or not be kept to its owner: {error.strerror}") from None
    return made


def safe_name(text: str) -> str:
    """A file name for an id, the same on every system: no separators, no upper case that some disks would fold."""
    name = _PLAIN.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), text)
    if len(name) <= _LONGEST:
        return name
    return f"{name[:100]}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"

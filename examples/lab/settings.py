"""The homeserver's configuration: a closed server for tests, with nothing that slows down or repeats answers."""

from __future__ import annotations

from pathlib import Path

SERVER_NAME = "lab.test"

_FREE = {"per_second": 100_000, "burst_count": 100_000}


def homeserver_settings(directory: Path, port: int) -> dict[str, object]:
    """Return Synapse's settings for a server with its files in `directory`."""
    return {
        "server_name": SERVER_NAME,
        "listeners": [
            {"port": port, "bind_addresses": ["127.0.0.1"], "type": "http", "resources": [{"names": ["client"]}]}
        ],
        "database": {"name": "sqlite3", "args": {"database": str(directory / "homeserver.db")}},
        "signing_key_path": str(directory / "signing.key"),
        "media_store_path": str(directory / "media"),
        "pid_file": str(directory / "homeserver.pid"),
        "log_config": str(directory / "log.yaml"),
        "modules": [{"module": "lab_fork.LabFork", "config": {}}],
        # Synapse answers a repeated /sync from a cache for two minutes: tests would see old answers.
        "caches": {"sync_response_cache_duration": "0s"},
        # msc4222 is `use_state_after`, msc3391 the deletion of account data.
        "experimental_features": {"msc4222_enabled": True, "msc3391_enabled": True},
        **_CLOSED,
        **_UNLIMITED,
    }


def log_settings() -> dict[str, object]:
    """Return the logging configuration: warnings and errors, to stderr."""
    return {
        "version": 1,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "disable_existing_loggers": False,
    }


_CLOSED: dict[str, object] = {
    "report_stats": False,
    "trusted_key_servers": [],
    "suppress_key_server_warning": True,
    "federation_domain_whitelist": [],
    "enable_registration": True,
    "enable_registration_without_verification": True,
    "registration_shared_secret": "lab",
    "macaroon_secret_key": "lab",
    "form_secret": "lab",
    "bcrypt_rounds": 4,
}

_UNLIMITED: dict[str, object] = {
    "rc_message": _FREE,
    "rc_registration": _FREE,
    "rc_login": {"address": _FREE, "account": _FREE, "failed_attempts": _FREE},
    "rc_joins": {"local": _FREE, "remote": _FREE},
    "rc_joins_per_room": _FREE,
    "rc_invites": {"per_room": _FREE, "per_user": _FREE, "per_issuer": _FREE},
    "rc_presence": {"per_user": _FREE},
    "rc_room_creation": _FREE,
    "rc_key_requests": _FREE,
    "rc_user_directory": _FREE,
    "rc_profile": _FREE,
}

"""syncstore beside clients' stores in other languages: gomuks' hicli (Go), matrix-sdk-base over SQLite (Rust)."""

from benchmarks.native.compare import measure, section

__all__ = ["measure", "section"]

"""Changes to SQLite rows and back. The only wing that knows SQL, transactions and the file."""

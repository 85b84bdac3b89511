"""How fast a batch is committed, against plain sqlite3 written by hand."""

"""The command line: every command opens a store, asks or changes one thing, and says so."""

"""The command line: one module a noun. It may see everything below it, and nothing below knows of it."""

"""The reads: SQL over the documented views, one module a noun. Each takes a cursor inside a read transaction."""

"""Clients of other libraries on a store; each is an extra, and the only place that imports its library."""

"""A model homeserver with one account, what a store must hold of it, and how to read that back. Knows nothing of syncstore's code."""

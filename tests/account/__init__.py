"""A model homeserver with one account, what a store must hold of it, and how to read that back from the file.

Shares no code with syncstore: the two read the plan apart, and must agree.
"""

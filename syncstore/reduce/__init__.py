"""A batch to changes. Pure: it sees the batch and our own user id, no clock, no file, no stored row."""

from syncstore.reduce.batch import reduce

__all__ = ["reduce"]

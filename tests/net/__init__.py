"""Proofs of syncstore.net against a homeserver made of failures, on loopback."""

"""Bodies that no server should send, and some that real ones do: each is applied, set aside, or refused whole."""

"""Random histories of the model account against the store."""

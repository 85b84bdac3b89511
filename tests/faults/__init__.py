"""Faults at any moment: killed, full, failing, without power, crowded (promise 24)."""

"""The loop, the recording and the back-fill against a server in the same process."""

"""The command line, in this process where output is asked about, as a process where signals and exit codes are."""

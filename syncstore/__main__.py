"""`python -m syncstore` is the command `syncstore`."""

from syncstore.cli.main import main

main()

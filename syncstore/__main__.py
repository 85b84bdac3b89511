"""`python -m syncstore`: the command line without its script."""

from __future__ import annotations

import sys

from syncstore.cli.main import main

sys.exit(main())

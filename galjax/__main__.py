"""`python -m galjax` is the command `galjax`."""

import sys

from galjax.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

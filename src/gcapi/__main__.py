"""The command line, as ``python -m gcapi``."""

import sys

from gcapi.cli import main

if __name__ == "__main__":
    sys.exit(main())

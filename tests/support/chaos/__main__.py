"""Run workflows under random faults from the command line."""

import sys

from tests.support.chaos.runs import main

sys.exit(main())

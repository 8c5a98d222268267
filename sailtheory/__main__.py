"""``python -m sailtheory``: the command line."""

import sys

from sailtheory.cli import main

sys.exit(main())

"""``python -m sailtheory.cli``."""

import sys

from sailtheory.cli import main

sys.exit(main())

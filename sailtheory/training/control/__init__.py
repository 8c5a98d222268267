"""Control tasks: SAC, PEBBLE and the arms of SAIL. Needs ``sailtheory[rl]``."""

from sailtheory.extras import require_extra

require_extra("rl", "torch")

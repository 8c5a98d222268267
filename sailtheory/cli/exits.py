"""Exit codes, and what of a command's end they say.

====  ====================================================================
0     done; for ``verify`` every verdict as expected, for ``certify`` certified
1     a verdict differs, is refuted, not valid, or runs may not be compared
2     bad input, or output that cannot be written
3     undecided (``certify``)
70    an internal error: a defect of sailtheory or of a library
130   interrupted
141   whoever read the output has gone
====  ====================================================================
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress

from sailtheory.cli.streams import OutputError, spelt, standard_streams
from sailtheory.errors import InputError, one_line

DIFFERS, BAD_INPUT, UNDECIDED, INTERNAL, INTERRUPTED, BROKEN_PIPE = 1, 2, 3, 70, 130, 141
DEBUG = "SAILTHEORY_DEBUG"
"""The variable that, set to anything, asks for the traceback of an internal error."""


def ended(command: Callable[[], int]) -> int:
    """Run a command; its exit code, and one line on standard error for what went wrong."""
    try:
        with standard_streams():
            return command()
    except InputError as error:
        return said(BAD_INPUT, str(error))
    except OutputError as error:
        return BROKEN_PIPE if error.pipe else said(BAD_INPUT, str(error))
    except KeyboardInterrupt:
        return said(INTERRUPTED, "interrupted")
    except Exception as error:
        return failed(error)


def failed(error: Exception, where: str = "") -> int:
    """Say that an exception is the program's fault; returns the code."""
    return internal(one_line(error), "".join(traceback.format_exception(error)), where)


def internal(says: str, details: str, where: str = "") -> int:
    """Say that the program is at fault: which exception, in what; where exactly, on request.

    Args:
        says: The exception in one line.
        details: Its traceback.
        where: What was being done, such as a claim's id.
    """
    place = f" in {where}" if where else ""
    if os.environ.get(DEBUG):
        print(details, end="", file=sys.stderr)
        return said(INTERNAL, f"internal error{place}: {says}")
    return said(INTERNAL, f"internal error{place}: {says} ({DEBUG}=1 shows where)")


def said(code: int, message: str) -> int:
    """Print one line on standard error, where that can be written; returns the code."""
    with suppress(OSError, OutputError):
        line = "sailtheory: " + " ".join(message.split())
        print(spelt(line, sys.stderr.encoding), file=sys.stderr, flush=True)
    return code

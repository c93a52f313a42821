"""The command ``skfer``."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

# The exit code of an interrupted command is this and the number of the signal.
_SIGNAL_BASE = 128


def main() -> None:
    """Run the command with the arguments of the process."""
    try:
        from skfer.cli._app import app

        app(prog_name="skfer")
    except KeyboardInterrupt:  # during the import
        _end(_SIGNAL_BASE + signal.SIGINT)
    except SystemExit as error:
        if isinstance(error.code, int) and error.code > _SIGNAL_BASE:
            _end(error.code)
        raise
    finally:
        if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback while Python exits


def _end(code: int) -> None:
    """End the process without waiting for its threads.

    If a signal interrupts the main thread while it acquires a lock of a thread pool, the lock is
    never released, and a normal exit would wait for the pool forever.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)

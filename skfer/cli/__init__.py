"""The command ``skfer``."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

_INTERRUPTED = 128  # added to the number of the signal


def main() -> None:
    """Run the command with the arguments of the process."""
    try:
        from skfer.cli._app import app

        app(prog_name="skfer")
    except KeyboardInterrupt:  # during the import
        _end(_INTERRUPTED + signal.SIGINT)
    except SystemExit as error:
        if isinstance(error.code, int) and error.code > _INTERRUPTED:
            _end(error.code)
        raise
    finally:
        if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback while Python exits


def _end(code: int) -> None:
    """End the process without waiting for its threads.

    A signal may interrupt the main thread while it takes a lock of a thread pool. The lock is
    then never released, and a normal exit would wait for the pool forever.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)

"""The command ``skfer``."""

from __future__ import annotations

import signal


def main() -> None:
    """Run the command with the arguments of the process."""
    try:
        from skfer.cli._app import app

        app(prog_name="skfer")
    except KeyboardInterrupt:  # during the import
        raise SystemExit(130) from None
    finally:
        if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback while Python exits

"""The command ``skfer``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command with the arguments it was called with."""
    try:
        import click  # noqa: F401 - whether it imports is the question
    except ImportError:
        sys.exit('The command skfer needs click, which is not installed: pip install "skfer[cli]".')
    from skfer.cli._app import app

    app(prog_name="skfer")

"""The command ``skfer``."""

from __future__ import annotations


def main() -> None:
    """Run the command with the arguments it was called with."""
    from skfer.cli._app import app

    app(prog_name="skfer")

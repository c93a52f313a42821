"""The group of commands, and how all of them end."""

from __future__ import annotations

import contextlib
import errno
import signal
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import click

import skfer
from skfer._utils import printable
from skfer.cli._evaluate import evaluate
from skfer.cli._export import export
from skfer.cli._options import echo
from skfer.cli._predict import predict
from skfer.cli._serve import serve
from skfer.cli._train import train
from skfer.cli._video import video
from skfer.cli._webcam import webcam

_EPILOG = """\
\b
Exit codes:
  0    all is done
  1    it failed; standard error says why
  2    the command was called wrongly
  3    it is done, except for input that could not be read
  130  it was interrupted (Ctrl-C); no file was left half-written
  143  it was ended by SIGTERM (129: SIGHUP), likewise

Data go to standard output; progress, warnings and errors to standard error.
"""


class _Group(click.Group):
    """Errors that a user can mend become one line; others show where they come from."""

    def invoke(self, ctx: click.Context) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("always", category=UserWarning)
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            try:
                with _signals_interrupt():
                    return super().invoke(ctx)
            except KeyboardInterrupt as interrupt:
                click.echo("Interrupted.", err=True)
                number = interrupt.number if isinstance(interrupt, _Ended) else signal.SIGINT
                ctx.exit(128 + number)
            except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
                if getattr(error, "errno", None) == errno.EPIPE:  # `skfer predict ... | head`
                    raise
                raise click.ClickException(printable(str(error), keep="\n")) from error


class _Ended(KeyboardInterrupt):
    """SIGTERM or SIGHUP, which leave as little behind as Ctrl-C."""

    def __init__(self, number: int):
        super().__init__()
        self.number = number


@contextlib.contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Raise an exception for SIGTERM and SIGHUP, so that drafts and temporary files are deleted."""

    def end(number: int, _: Any) -> None:
        signal.signal(number, signal.SIG_IGN)  # once is enough; the rest is cleaning up
        raise _Ended(number)

    names = ("SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    before = {}
    for name in names:
        number = getattr(signal, name, None)
        # A signal that is ignored, as SIGHUP is under nohup, stays so.
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show_warning(message: Any, *_: Any) -> None:
    echo(f"Warning: {message}", err=True)


@click.group(cls=_Group, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(skfer.__version__, prog_name="skfer")
def app() -> None:
    """Facial expressions in photos and videos.

    An expression is what a face shows, not what a person feels.

    \b
    Examples:
      skfer predict party.jpg holidays/ --json
      skfer video talk.mp4 --output drawn.mp4 --csv faces.csv
      skfer train photos/ --output mine.skfer
      skfer serve

    Each command has examples too: skfer predict --help
    """


for _command in (predict, video, webcam, train, evaluate, export, serve):
    app.add_command(_command)

"""The group of commands, and how all of them end."""

from __future__ import annotations

import errno
import warnings
from typing import Any

import click

import skfer
from skfer.cli._evaluate import evaluate
from skfer.cli._export import export
from skfer.cli._predict import predict
from skfer.cli._serve import serve
from skfer.cli._train import train
from skfer.cli._video import video
from skfer.cli._webcam import webcam

INTERRUPTED = 130

_EPILOG = """\
\b
Exit codes:
  0    all is done
  1    it failed; standard error says why
  2    the command was called wrongly
  3    it is done, except for input that could not be read
  130  it was interrupted (Ctrl-C); no file was left half-written

Data go to standard output; progress, warnings and errors to standard error.
"""


class _Group(click.Group):
    """Errors that a user can mend become one line; others show where they come from."""

    def invoke(self, ctx: click.Context) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("always", category=UserWarning)
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:
                click.echo("Interrupted.", err=True)
                ctx.exit(INTERRUPTED)
            except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
                if getattr(error, "errno", None) == errno.EPIPE:  # `skfer predict ... | head`
                    raise
                raise click.ClickException(str(error)) from error


def _show_warning(message: Any, *_: Any) -> None:
    click.echo(f"Warning: {message}", err=True)


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

"""The command group, with ``skfer export`` and ``skfer serve``."""

from __future__ import annotations

import contextlib
import errno
import signal
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

import skfer
from skfer._utils import printable
from skfer.cli._options import OUTPUT_FILE, detector_option, echo, load_model, model_option
from skfer.cli._predict import predict
from skfer.cli._train import evaluate, train
from skfer.cli._video import video, webcam

_EPILOG = """\
\b
Exit codes:
  0    success
  1    failure; standard error states the reason
  2    wrong arguments
  3    success, except for input that could not be read
  130  interrupted by Ctrl-C; no incomplete file is left
  143  ended by SIGTERM (129: SIGHUP); no incomplete file is left

Results go to standard output; progress, warnings and errors to standard error.
"""


class _Group(click.Group):
    """Commands whose expected errors are one line, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("always", category=UserWarning)
            # A damaged TIFF gives one for each of 65,535 tags, without the name of the file.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            try:
                with _interrupt_on_signals():
                    return super().invoke(ctx)
            except (Exception, KeyboardInterrupt) as error:
                if number := _signal_number(error):
                    click.echo("Interrupted.", err=True)
                    ctx.exit(128 + number)
                expected = ValueError, TypeError, OSError, ImportError, MemoryError
                # click handles a closed pipe, as in `skfer predict ... | head`.
                if not isinstance(error, expected) or getattr(error, "errno", 0) == errno.EPIPE:
                    raise
                raise click.ClickException(printable(str(error), keep="\n")) from error


def _signal_number(error: BaseException | None) -> int | None:
    """Return the signal that caused an exception; an interrupted import may raise ImportError."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return error.args[0] if error.args else signal.SIGINT
        error = error.__cause__ or error.__context__
    return None


@contextlib.contextmanager
def _interrupt_on_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt with the number of a signal, which removes incomplete files."""

    def interrupt(number: int, _: Any) -> None:
        if number != signal.SIGINT:
            signal.signal(number, signal.SIG_IGN)  # a second one would interrupt the cleanup
        raise KeyboardInterrupt(number)

    names = ["SIGINT", "SIGTERM", "SIGHUP"]
    if threading.current_thread() is not threading.main_thread():
        names = []
    before = {}
    for number in (getattr(signal, name) for name in names if hasattr(signal, name)):
        # An ignored signal, as SIGHUP under nohup, stays ignored.
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show_warning(message: Any, *_: Any) -> None:
    echo(f"Warning: {message}", err=True)


_SETTINGS = {"help_option_names": ["-h", "--help"], "show_default": True}


@click.group(cls=_Group, epilog=_EPILOG, context_settings=_SETTINGS)
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

    Each command has examples: skfer predict --help
    """


@app.command()
@model_option
@click.option(
    "-o", "--output", type=OUTPUT_FILE, required=True, metavar="FILE.onnx", help="ONNX file."
)
def export(model: str | None, output: Path) -> None:
    """Write a model as ONNX, which runs without Python.

    The ONNX model classifies one face. It does not detect faces.

    \b
    Examples:
      skfer export --output fer2013.onnx
      skfer export --model mine.skfer --output mine.onnx
    """
    pipeline = load_model(model)
    from skfer import export_onnx

    echo(str(export_onnx(pipeline, output)))


@app.command()
@click.option(
    "--host",
    default="127.0.0.1",
    help="Address to listen on. The default accepts connections from this machine only.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help="TCP port.")
@model_option
@detector_option
def serve(host: str, port: int, model: str | None, detector: Any) -> None:
    """Serve a web page for photos, videos and a live camera.

    Ctrl-C stops the server. Without --model, the page offers all pretrained models.

    \b
    Examples:
      skfer serve
      skfer serve --port 9000 --model mine.skfer
    """
    pipeline = None if model is None else load_model(model)
    from skfer import web

    web.serve(pipeline, detector=detector, host=host, port=port)


@app.command()
@click.argument("name", type=click.Choice(["yunet"]))
def download(name: str) -> None:
    """Download the model of a face detector.

    The file is verified by its checksum and stored in the cache folder of the user. The default
    detector is YuNet where its model is installed, and otherwise Haar.

    \b
    Examples:
      skfer download yunet
    """
    from skfer.detection import download_yunet

    echo(str(download_yunet()))


for _command in (predict, video, webcam, train, evaluate):
    app.add_command(_command)

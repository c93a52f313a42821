"""Options, output and models of several commands."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from skfer._utils import printable

# Exit code if some input could not be read.
SOME_UNREADABLE = 3


def echo(text: str, *, err: bool = False) -> None:
    """Print a line, with control characters of file and class names escaped."""
    click.echo(printable(text, keep="\n"), err=err)


def count(number: int, noun: str) -> str:
    """Return a number with its noun: ``"1 face"``, ``"2 faces"``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def combine(*options: Callable[..., Any]) -> Callable[..., Any]:
    """Return a decorator that adds several options to a command."""

    def add(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return add


class _OutputFile(click.Path):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path: Any = super().convert(value, param, ctx)
        # Errors are reported before the work starts.
        if not path.parent.is_dir():
            self.fail(f"There is no folder {str(path.parent)!r}.", param, ctx)
        from skfer._storage import check_output

        try:
            check_output(path)
        except OSError as error:
            self.fail(str(error), param, ctx)
        return path


OUTPUT_FILE = _OutputFile(path_type=Path, dir_okay=False)


def to_detector(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    """Return the name of a detector, or the YuNet detector of a file."""
    if value is None or not value.endswith(".onnx"):
        return value
    from skfer.detection import YuNetDetector

    return YuNetDetector(value)


def _to_region(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    if value is None:
        return None
    from skfer.recognition import validate_region

    try:
        return validate_region(value.split(","))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _to_progress(ctx: click.Context, param: click.Parameter, value: bool | None) -> bool:
    return sys.stderr.isatty() if value is None else value


model_option = click.option(
    "-m",
    "--model",
    metavar="NAME|FILE",
    help="Pretrained model (fer2013, ferplus, or the faster and less accurate fer2013-small, "
    "ferplus-small), or a file that skfer train or skfer.save wrote. A "
    "file named .joblib is a pickle, which can run any code: load it only if you trust its "
    "author.  [default: fer2013]",
)
DETECTOR_HELP = (
    "Face detector: auto (yunet if its model is installed, otherwise haar), haar, yunet, mtcnn, or "
    "the path of a YuNet .onnx file."
)
detector_option = click.option(
    "-d",
    "--detector",
    callback=to_detector,
    metavar="NAME|FILE",
    help=f"{DETECTOR_HELP}  [default: detector of the model]",
)
region_option = click.option(
    "--region",
    callback=_to_region,
    metavar="L,T,R,B",
    help="Left, top, right and bottom edge of the area to search: shares of the width and height "
    "if none is above 1 (0.25,0,0.75,1), otherwise pixels.  [default: the whole image]",
)
progress_option = click.option(
    "--progress/--no-progress",
    default=None,
    callback=_to_progress,
    help="Show a progress bar on standard error.  [default: only in a terminal]",
)


def load_model(model: str | None) -> Any:
    """Return a pretrained Pipeline by name, or a saved one by path."""
    from skfer import list_pretrained, load_pretrained

    if model is None:
        return load_pretrained()
    # Names come first: a folder of data may have the name of a model.
    names = [known["name"] for known in list_pretrained()]
    if model in names:
        return load_pretrained(model)
    if not os.path.exists(model):
        raise click.BadParameter(
            f"{model!r} is neither a file nor one of the pretrained models: {', '.join(names)}.",
            param_hint="--model",
        )
    # The user chooses the format by the name. The author of the file chooses its content.
    if not _is_pickle_name(Path(model)):
        from skfer import load

        return load(model)
    import joblib

    click.echo(
        f"Warning: {model!r} is a pickle, which can run any code while it is loaded. Load it only "
        "if you trust its author. Files that skfer train writes as .skfer contain no code.",
        err=True,
    )
    try:
        return joblib.load(model)
    except Exception as error:  # a damaged pickle may raise anything
        raise click.ClickException(
            f"{model!r} can't be loaded as a model ({type(error).__name__}: {error}). It must be "
            "a fitted Pipeline or classifier that joblib.dump wrote."
        ) from error


def save_model(pipeline: Any, path: Path) -> None:
    """Write a model as a pickle if its suffix is one of joblib, otherwise with `skfer.save`."""
    if not _is_pickle_name(path):
        from skfer import save

        save(pipeline, path)
        return
    import joblib

    from skfer._storage import partial_file

    with partial_file(path) as part:
        joblib.dump(pipeline, part)


def check_savable(pipeline: Any, path: Path) -> None:
    """Raise the error of `save_model` before the fit."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".skfer-") as folder:
        save_model(pipeline, Path(folder) / path.name)


def _is_pickle_name(path: Path) -> bool:
    from skfer.persistence import PICKLE_SUFFIXES

    return path.suffix.lower() in PICKLE_SUFFIXES

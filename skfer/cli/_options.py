"""Options that several commands have."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from skfer._utils import printable

# What `ctx.exit` is given when some input could not be read.
SOME_UNREADABLE = 3

Decorated = Callable[..., Any]


def echo(text: str, *, err: bool = False) -> None:
    """Print a line. Control characters in names of files and classes are escaped."""
    click.echo(printable(text, keep="\n"), err=err)


def model_option(command: Decorated) -> Decorated:
    """``--model``."""
    return click.option(
        "-m",
        "--model",
        metavar="NAME|FILE",
        help="A pretrained model (fer2013, ferplus), or the file of one, such as skfer train "
        "writes. A file named .joblib is a pickle, which runs the code of whoever made it: take "
        "none from people you don't trust.  [default: fer2013]",
    )(command)


def detector_option(command: Decorated) -> Decorated:
    """``--detector``."""
    return click.option(
        "-d",
        "--detector",
        metavar="NAME|FILE",
        help="What finds the faces: haar, yunet, mtcnn, or the path of YuNet's .onnx file.  "
        "[default: the model's own]",
    )(command)


def data_options(command: Decorated) -> Decorated:
    """Add the options that say where the labels of DATA stand."""
    for option in (
        click.option(
            "--images",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            metavar="FOLDER",
            help="Folder of the images of a table.  [default: the table's own]",
        ),
        click.option(
            "--columns",
            nargs=2,
            metavar="IMAGE LABEL",
            help="DATA is a table: its columns with the path and the label of each image, by name "
            "or, in a file without names, by number from 0.",
        ),
        click.option(
            "--codes",
            metavar="NAME",
            help="Labels are numbered as in affectnet, ck+, fer2013 or raf-db.",
        ),
        click.option(
            "--names",
            metavar="NAME|PATTERN",
            help="File names tell the label: jaffe, kdef, or a regular expression with a group "
            "called label.",
        ),
    ):
        command = option(command)
    return command


def region_option(command: Decorated) -> Decorated:
    """``--region``."""
    return click.option(
        "--region",
        callback=_region,
        metavar="L,T,R,B",
        help="Look for faces only between these left, top, right and bottom edges: shares of the "
        "width and height if none is above 1 (0.25,0,0.75,1), otherwise pixels.",
    )(command)


def _region(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    if value is None:
        return None
    from skfer.recognition import validate_region

    try:
        return validate_region(value.split(","))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def progress_option(command: Decorated) -> Decorated:
    """``--progress``."""
    return click.option(
        "--progress/--no-progress",
        default=None,
        help="Show a bar on standard error.  [default: if that is a terminal]",
    )(command)


class _OutputFile(click.Path):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path: Any = super().convert(value, param, ctx)
        if not path.parent.is_dir():  # told now, not after an hour's work
            self.fail(f"There is no folder {str(path.parent)!r}.", param, ctx)
        return path


def output_file() -> click.Path:
    """The type of a file that is to be written, in a folder that is there."""
    return _OutputFile(path_type=Path, dir_okay=False)


def is_shown(progress: bool | None) -> bool:
    """Return whether to show a progress bar."""
    return sys.stderr.isatty() if progress is None else progress

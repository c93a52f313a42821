"""``skfer export``: a model in another form."""

from __future__ import annotations

from pathlib import Path

import click

from skfer.cli._models import load_model
from skfer.cli._options import echo, model_option, output_file


@click.command()
@model_option
@click.option(
    "-o", "--output", type=output_file(), required=True, metavar="FILE.onnx", help="The ONNX file."
)
def export(model: str | None, output: Path) -> None:
    """Write a model as ONNX, which runs without Python and TensorFlow.

    The file names the expression of one face; finding faces is not in it.

    \b
    Examples:
      skfer export --output fer2013.onnx
      skfer export --model mine.skfer --output mine.onnx
    """
    pipeline = load_model(model)
    from skfer import export_onnx

    echo(str(export_onnx(pipeline, output)))

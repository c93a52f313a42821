"""``skfer export``: a model in another form."""

from __future__ import annotations

from pathlib import Path

import click

from skfer.cli._models import load_model
from skfer.cli._options import model_option, output_file


@click.command()
@model_option
@click.option(
    "-o", "--output", type=output_file(), required=True, metavar="FILE.onnx", help="The ONNX file."
)
def export(model: str | None, output: Path) -> None:
    """Write a model as ONNX, which runs without Python and TensorFlow.

    \b
    Examples:
      skfer export --output fer2013.onnx
      skfer export --model mine.joblib --output mine.onnx
    """
    pipeline = load_model(model)
    from skfer import export_onnx
    from skfer._partial_file import partial_file

    with partial_file(output) as part:
        export_onnx(pipeline, part)
    click.echo(str(output))

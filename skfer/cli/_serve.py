"""``skfer serve``: the web page."""

from __future__ import annotations

import click

from skfer.cli._models import find_detector, load_model
from skfer.cli._options import detector_option, model_option


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on; the default is reached from this machine only.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@model_option
@detector_option
def serve(host: str, port: int, model: str | None, detector: str | None) -> None:
    """Serve the web page: live camera, photos and videos. Ctrl-C ends it.

    \b
    Examples:
      skfer serve
      skfer serve --port 9000 --model mine.skfer
    """
    # Without a model the page offers all that come with the package.
    pipeline = None if model is None else load_model(model)
    from skfer import web

    web.serve(pipeline, detector=find_detector(detector), host=host, port=port)

"""Options and run of ``skfer video`` and ``skfer webcam``."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skfer.cli._models import find_detector, load_model
from skfer.cli._options import (
    Decorated,
    detector_option,
    echo,
    model_option,
    output_file,
    region_option,
)

if TYPE_CHECKING:
    from skfer.video import VideoReport


def following_options(command: Decorated) -> Decorated:
    """Add the options that ``skfer video`` and ``skfer webcam`` share."""
    options = (
        click.option(
            "-o",
            "--output",
            type=output_file(),
            metavar="FILE.mp4",
            help="Write the video with boxes, labels and bars drawn in (H.264, without sound).",
        ),
        click.option(
            "--csv",
            "table",
            type=output_file(),
            metavar="FILE",
            help="Write a row for each face of each frame: .csv or .parquet.",
        ),
        model_option,
        detector_option,
        region_option,
        click.option(
            "--every",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            metavar="N",
            help="Search every n-th frame for faces; between them they stay where they were.",
        ),
        click.option(
            "--smoothing",
            type=click.FloatRange(min=0),
            default=0.3,
            show_default=True,
            metavar="SECONDS",
            help="Time constant of the smoothing of probabilities; 0 for none.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@contextlib.contextmanager
def followed(
    source: str | int,
    model: str | None,
    detector: str | None,
    table: Path | None,
    **options: Any,
) -> Iterator[VideoReport]:
    """The report of a video or camera; the options are those of `recognize_video`.

    Rows that nobody asked for are in a file too, until the block ends: a camera may run for days.
    """
    pipeline = load_model(model)
    from skfer.video import recognize_video

    with tempfile.TemporaryDirectory(prefix="skfer-") as folder:
        report = recognize_video(
            source,
            pipeline,
            csv=table or Path(folder, "rows.csv"),
            detector=find_detector(detector),
            **options,
        )
        yield report
    frames, faces = _counted(report.n_frames, "frame"), _counted(report.n_faces, "face")
    echo(f"{frames}, {report.seconds:.1f} s, {faces}.", err=True)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"

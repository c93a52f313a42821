"""``skfer video`` and ``skfer webcam``."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skfer.cli._options import (
    OUTPUT_FILE,
    SOME_UNREADABLE,
    combine,
    count,
    detector_option,
    echo,
    load_model,
    model_option,
    progress_option,
    region_option,
)

if TYPE_CHECKING:
    from skfer.video import VideoFrame, VideoReport

_TITLE = "skfer - press q to quit"
_ESCAPE = 27

_tracking_options = combine(
    click.option(
        "-o",
        "--output",
        type=OUTPUT_FILE,
        metavar="FILE.mp4",
        help="Write the video with boxes, labels and bars (H.264, without sound).",
    ),
    click.option(
        "--csv",
        type=OUTPUT_FILE,
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
        metavar="N",
        help="Detect faces in every N-th frame; faces keep their box in the frames between.",
    ),
    click.option(
        "--smoothing",
        type=click.FloatRange(min=0),
        default=0.3,
        metavar="SECONDS",
        help="Time constant of the smoothing of probabilities; 0 turns it off.",
    ),
    click.option(
        "--min-duration",
        type=click.FloatRange(min=0),
        default=0.4,
        metavar="SECONDS",
        help="Time from the first detection until a face counts; 0 keeps all detections.",
    ),
)


@contextlib.contextmanager
def _recognized(
    source: str | int, model: str | None, csv: Path | None, **options: Any
) -> Iterator[VideoReport]:
    """Provide the report of a video or camera, and print its counts.

    Without `csv`, the rows are in a temporary file, as a camera may run for days.
    """
    pipeline = load_model(model)
    from skfer.video import recognize_video

    with tempfile.TemporaryDirectory(prefix="skfer-") as folder:
        report = recognize_video(source, pipeline, csv=csv or Path(folder, "rows.csv"), **options)
        yield report
    frames, faces = count(report.n_frames, "frame"), count(report.n_faces, "face")
    echo(f"{frames}, {report.seconds:.1f} s, {faces}.", err=True)


@click.command()
@click.argument("source", metavar="VIDEO", type=click.Path(exists=True, dir_okay=False))
@_tracking_options
@click.option(
    "--timeline",
    type=OUTPUT_FILE,
    metavar="FILE.png",
    help="Draw the expressions over time: .png, .svg or .pdf.",
)
@click.option(
    "--memory-limit",
    type=click.IntRange(min=200),
    default=4000,
    metavar="MB",
    help="Memory limit of the process that decodes the video. A damaged file may need any amount.",
)
@click.option(
    "--bars/--no-bars", default=True, help="Draw bars of the probabilities beside the faces."
)
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON.")
@progress_option
@click.pass_context
def video(
    ctx: click.Context,
    source: str,
    timeline: Path | None,
    memory_limit: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Track the faces of a video and their expressions.

    Without --output, --csv, --timeline and --json, the rows are printed as CSV. A truncated or
    damaged file is read as far as possible; the exit code is then 3.

    \b
    Examples:
      skfer video talk.mp4 --output drawn.mp4 --csv faces.csv
      skfer video talk.mp4 --timeline talk.png --every 3
      skfer video talk.mp4 --json
      skfer video talk.mp4 > faces.csv
    """
    if timeline is not None:  # errors are reported before the video is read
        from skfer._utils import pyplot

        plt = pyplot("--timeline")
        plt.switch_backend("Agg")
        if timeline.suffix[1:].lower() not in plt.FigureCanvasBase.get_supported_filetypes():
            raise click.BadParameter(
                f"{str(timeline)!r} must end in .png, .svg or .pdf.", param_hint="--timeline"
            )
    from skfer.video import WorkLimits

    limits = WorkLimits(memory=memory_limit * 10**6)
    with _recognized(source, limits=limits, **options) as report:
        if timeline is not None:
            _draw_timeline(report, timeline)
        if as_json:
            echo(json.dumps(_summarize(report, source), indent=2, ensure_ascii=False))
        elif not (options["output"] or options["csv"] or timeline):
            assert report.csv is not None
            with report.csv.open(encoding="utf-8", newline="") as rows:
                for row in rows:
                    click.echo(row, nl=False)
    if report.problem:
        ctx.exit(SOME_UNREADABLE)


def _draw_timeline(report: VideoReport, path: Path) -> None:
    from skfer._storage import partial_file
    from skfer.video import TimelineDisplay

    if report.n_faces == 0:
        echo(f"Warning: no face was found, so {str(path)!r} is not written.", err=True)
        return
    figure = TimelineDisplay.from_table(report.faces).figure_
    with partial_file(path) as part:
        figure.savefig(part, dpi=150)


def _summarize(report: VideoReport, source: str) -> dict[str, Any]:
    table = report.faces
    first = table.columns.get_loc("probability") + 1
    columns = dict(zip(map(str, report.classes), table.columns[first:], strict=True))
    return {
        "video": source,
        "frames": report.n_frames,
        "frames_without_a_face": int(table["face_id"].isna().sum()),
        "seconds": round(report.seconds, 6),
        "faces": [
            {
                "face_id": int(face_id),
                "first": float(rows["timestamp"].iloc[0]),
                "last": float(rows["timestamp"].iloc[-1]),
                "frames": len(rows),
                "expressions": {
                    str(name): int(count)
                    for name, count in rows["expression"].value_counts().items()
                },
                "mean_probabilities": {
                    name: round(float(rows[column].mean()), 6) for name, column in columns.items()
                },
            }
            for face_id, rows in table[table["face_id"].notna()].groupby("face_id")
        ],
        "problem": report.problem,
    }


@click.command()
@click.option("--camera", type=click.IntRange(min=0), default=0, help="Number of the camera.")
@click.option(
    "--window/--no-window",
    default=True,
    help="Show the camera in a window. Without it, print a line when an expression changes.",
)
@_tracking_options
@click.option(
    "--seconds",
    "max_seconds",
    type=click.FloatRange(min=0, min_open=True),
    help="Stop after this time.  [default: no limit]",
)
def webcam(camera: int, window: bool, **options: Any) -> None:
    """Show the expressions in front of a camera, live.

    q in the window or Ctrl-C stops it and keeps the recorded files. Images stay on this
    machine. Ask people before you point a camera at them.

    \b
    Examples:
      skfer webcam
      skfer webcam --output me.mp4 --csv me.csv --seconds 60
      skfer webcam --no-window
      skfer webcam --region 0.25,0,0.75,1
    """
    # On Linux, OpenCV ends the process if there is no screen.
    screens = "DISPLAY", "WAYLAND_DISPLAY"
    if window and sys.platform.startswith("linux") and not any(map(os.environ.get, screens)):
        raise click.UsageError("There is no screen for a window. Add --no-window.")
    show = _show_in_window if window else _ChangePrinter()
    with _recognized(camera, on_frame=show, **options):
        pass


def _show_in_window(frame: VideoFrame, picture: Any) -> bool:
    """Show a frame; return False if a key or the window's button ends the recording."""
    import cv2

    picture = frame.annotated() if picture is None else picture
    try:
        cv2.imshow(_TITLE, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(1) & 0xFF
        is_open = cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) >= 1
    except cv2.error as error:
        raise click.ClickException(
            "OpenCV can't open a window here; opencv-python-headless never can. Add --no-window."
        ) from error
    return is_open and key not in (_ESCAPE, ord("q"))


class _ChangePrinter:
    """Print a line when the expression of a face changes."""

    def __init__(self) -> None:
        self._last: dict[int, Any] = {}

    def __call__(self, frame: VideoFrame, picture: Any) -> None:
        from skfer.recognition import face_label

        for face in frame.faces:
            if self._last.get(face.face_id) != face.expression:
                label = face_label(face.expression, float(face.probabilities.max()))
                echo(f"{frame.timestamp:.2f} s: face {face.face_id}: {label}")
        self._last = {face.face_id: face.expression for face in frame.faces}

"""``skfer video``: faces in a video file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skfer.cli._following import followed, following_options
from skfer.cli._options import SOME_UNREADABLE, echo, is_shown, output_file, progress_option

if TYPE_CHECKING:
    from skfer.video import VideoReport


@click.command()
@click.argument("source", metavar="VIDEO", type=click.Path(exists=True, dir_okay=False))
@following_options
@click.option(
    "--timeline",
    type=output_file(),
    metavar="FILE.png",
    help="Draw the expressions over time: .png, .svg or .pdf.",
)
@click.option(
    "--memory-limit",
    type=click.IntRange(min=200),
    default=4000,
    show_default=True,
    metavar="MB",
    help="Memory of the process that decodes the video; a damaged file may ask for any amount.",
)
@click.option("--bars/--no-bars", default=True, help="Bars beside the faces.  [default: bars]")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON.")
@progress_option
@click.pass_context
def video(
    ctx: click.Context,
    source: str,
    output: Path | None,
    table: Path | None,
    timeline: Path | None,
    model: str | None,
    detector: str | None,
    region: Any,
    every: int,
    smoothing: float,
    memory_limit: int,
    bars: bool,
    as_json: bool,
    progress: bool | None,
) -> None:
    """Follow the faces of a video and name their expressions over time.

    Without --output, --csv, --timeline and --json, the rows are printed as CSV. A file that is
    cut short or damaged is read as far as it goes, and makes the exit code 3.

    \b
    Examples:
      skfer video talk.mp4 --output drawn.mp4 --csv faces.csv
      skfer video talk.mp4 --timeline talk.png --every 3
      skfer video talk.mp4 --json
      skfer video talk.mp4 > faces.csv
    """
    if timeline is not None:
        _prepare_to_draw()
    from skfer.video import WorkLimits

    with followed(
        source,
        model,
        detector,
        table,
        output=output,
        every=every,
        smoothing=smoothing,
        region=region,
        limits=WorkLimits(memory=memory_limit * 10**6),
        bars=bars,
        progress=is_shown(progress),
    ) as report:
        if timeline is not None:
            draw_timeline(report, timeline)
        if as_json:
            echo(json.dumps(summary(report, source), indent=2, ensure_ascii=False))
        elif output is None and table is None and timeline is None:
            assert report.csv is not None  # it was given
            with report.csv.open(encoding="utf-8", newline="") as rows:
                for row in rows:
                    click.echo(row, nl=False)
    if report.problem:
        ctx.exit(SOME_UNREADABLE)


def _prepare_to_draw() -> None:
    """Say before the video is read, not after it, that matplotlib is missing."""
    from skfer._utils import import_extra

    import_extra("matplotlib", "--timeline", "plot").use("Agg")


def draw_timeline(report: VideoReport, path: Path) -> None:
    """Write the timeline of a report to a file."""
    from skfer._storage import partial_file
    from skfer.video import TimelineDisplay

    if report.n_faces == 0:
        echo(f"Warning: no face was found, so {str(path)!r} is not drawn.", err=True)
        return
    figure = TimelineDisplay.from_table(report.faces).figure_
    with partial_file(path) as part:
        figure.savefig(part, dpi=150)


def summary(report: VideoReport, source: str) -> dict[str, Any]:
    """Return the summary of a video for JSON: each face with its times and expressions."""
    table = report.faces
    after = table.columns.get_loc("probability") + 1
    columns = dict(zip(map(str, report.classes), table.columns[after:], strict=True))
    faces = []
    for face_id, rows in table[table["face_id"].notna()].groupby("face_id"):
        faces.append(
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
        )
    return {
        "video": source,
        "frames": report.n_frames,
        "frames_without_a_face": int(table["face_id"].isna().sum()),
        "seconds": round(report.seconds, 6),
        "faces": faces,
        "problem": report.problem,
    }

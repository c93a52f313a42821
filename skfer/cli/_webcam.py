"""``skfer webcam``: faces before a camera."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skfer.cli._following import followed, following_options
from skfer.cli._options import echo

if TYPE_CHECKING:
    from skfer.video import VideoFrame

_TITLE = "skfer - q ends"
_ESCAPE = 27


@click.command()
@click.option(
    "--camera",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Number of the camera.",
)
@click.option(
    "--window/--no-window",
    default=True,
    help="Show the picture in a window; without one, print a line when an expression changes.  "
    "[default: window]",
)
@following_options
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Stop after that.")
def webcam(
    camera: int,
    window: bool,
    output: Path | None,
    table: Path | None,
    seconds: float | None,
    model: str | None,
    detector: str | None,
    region: Any,
    every: int,
    smoothing: float,
) -> None:
    """Name the expressions of faces before a camera, live.

    q in the window, or Ctrl-C, ends it; what was recorded until then is kept. Everything stays on
    this machine. Ask people before you point a camera at them.

    \b
    Examples:
      skfer webcam
      skfer webcam --output me.mp4 --csv me.csv --seconds 60
      skfer webcam --no-window
      skfer webcam --region 0.25,0,0.75,1
    """
    if window:
        _refuse_without_screen()
    with followed(
        camera,
        model,
        detector,
        table,
        output=output,
        every=every,
        smoothing=smoothing,
        region=region,
        max_seconds=seconds,
        on_frame=_Window() if window else _Lines(),
    ):
        pass  # all was told while it ran


class _Window:
    """Shows every picture; False when a key ends it or the window was closed."""

    def __call__(self, frame: VideoFrame, picture: Any) -> bool:
        import cv2

        picture = frame.annotated() if picture is None else picture
        try:
            cv2.imshow(_TITLE, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
            key = cv2.waitKey(1) & 0xFF
            open_still = cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error as error:
            raise click.ClickException(
                "OpenCV can't open a window here (opencv-python-headless never can). "
                "Add --no-window."
            ) from error
        return open_still and key not in (_ESCAPE, ord("q"))


class _Lines:
    """Prints a line when the expression of a face changes."""

    def __init__(self) -> None:
        self._last: dict[int, Any] = {}

    def __call__(self, frame: VideoFrame, picture: Any) -> None:
        for face in frame.faces:
            if self._last.get(face.face_id) != face.expression:
                percent = 100 * float(face.probabilities.max())
                echo(
                    f"{frame.timestamp:.2f} s: face {face.face_id}: "
                    f"{face.expression} {percent:.0f} %"
                )
        self._last = {face.face_id: face.expression for face in frame.faces}


def _refuse_without_screen() -> None:
    # On Linux, OpenCV's windows end the whole process where there is no screen.
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        raise click.UsageError("There is no screen to open a window on. Add --no-window.")

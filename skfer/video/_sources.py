"""Sources of frames: a video file, or a camera."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from fractions import Fraction

import cv2

from skfer._video_file import IsolatedVideo, Timed, VideoFile
from skfer._worker import WorkLimits


class Camera:
    """The frames of a camera as they come, with the seconds since the first."""

    lives = True
    n_frames = None
    seconds = None
    problem = None

    def __init__(self, index: int):
        self.name = f"camera {index}"
        self._capture = cv2.VideoCapture(index)
        if not self._capture.isOpened():
            self.close()
            raise OSError(
                f"Camera {index} can't be opened: is it plugged in, free, and may this program "
                "use it? The first camera is 0."
            )
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = Fraction(rate if 1 <= rate <= 240 else 30).limit_denominator(1001)

    def __iter__(self) -> Iterator[Timed]:
        start: float | None = None
        while True:
            got, frame = self._capture.read()
            now = time.monotonic()
            if not got:
                if start is None:
                    raise OSError(
                        f"{self.name.capitalize()} is open and gives no picture: is another "
                        "program using it, or its cover closed?"
                    )
                return
            start = now if start is None else start
            yield now - start, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)

    def close(self) -> None:
        """Let go of the camera."""
        self._capture.release()


Source = VideoFile | IsolatedVideo | Camera


def open_source(source: str | os.PathLike | int, limits: WorkLimits | None = None) -> Source:
    """Open the camera of that number, or the file at that path, in a child process if limited."""
    if isinstance(source, int) and not isinstance(source, bool):
        return Camera(source)
    if not isinstance(source, str | os.PathLike):
        raise ValueError(
            f"source is of type {type(source).__name__}; give the path of a video, or the number "
            "of a camera, such as 0."
        )
    return VideoFile(source) if limits is None else IsolatedVideo(source, limits)

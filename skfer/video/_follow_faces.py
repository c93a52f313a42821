"""`follow_faces`: the frames of a video file or camera, with the faces in them."""

from __future__ import annotations

import itertools
import math
import os
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from numbers import Real
from typing import Any

import cv2
import numpy as np

from skfer._utils import check_int
from skfer._video_file import IsolatedVideo, Timed, VideoFile
from skfer._worker import WorkLimits
from skfer.detection import FaceDetector
from skfer.recognition import (
    MIN_DURATION,
    FaceFollower,
    FaceMark,
    FaceReader,
    FaceReading,
    FollowedFace,
    Region,
    delay_faces,
    draw_marks,
    expression_color,
    face_label,
    make_reader,
    numbered_faces,
    probability_bars,
)

# Largest number and size of the frames whose faces are classified together.
_BATCH_FRAMES = 16
_BATCH_BYTES = 64 * 2**20
# Seconds from one complete search to the next. The frames between them are searched near the faces
# that are known.
_SEARCH_EVERY = 0.2
# With more classes, only bars of the most probable ones are drawn.
_MAX_BARS = 8


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """A frame and its faces.

    Parameters
    ----------
    index : int
        Number of the frame, from 0.
    timestamp : float
        Seconds since the first frame.
    picture : ndarray of shape (H, W, 3), uint8
        RGB, upright.
    faces : list of FollowedFace
        Faces, sorted by their number.
    classes : list
        Classes of the probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.video import FollowedFace, VideoFrame
    >>> face = FollowedFace(0, (20, 20, 40, 40), 1.0, "happy", np.array([0.9, 0.1]))
    >>> frame = VideoFrame(0, 0.0, np.zeros((90, 120, 3), np.uint8), [face], ["happy", "sad"])
    >>> frame.annotated().shape
    (90, 120, 3)
    """

    index: int
    timestamp: float
    picture: np.ndarray
    faces: list[FollowedFace]
    classes: list[Any]

    def annotated(self, *, bars: bool = True) -> np.ndarray:
        """Return a copy of the picture with boxes and labels.

        Parameters
        ----------
        bars : bool, default=True
            Whether to draw bars of the probabilities.

        Returns
        -------
        ndarray of shape (H, W, 3), uint8
            RGB.
        """
        picture = self.picture.copy()
        draw_marks(picture, [self._mark(face, bars) for face in self.faces])
        return picture

    def _mark(self, face: FollowedFace, bars: bool) -> FaceMark:
        probability = float(face.probabilities.max())
        names = [str(label) for label in self.classes]
        probabilities = dict(zip(names, face.probabilities.tolist(), strict=True))
        if not bars:
            drawn = {}
        elif len(names) > _MAX_BARS:
            drawn = probability_bars(probabilities)
        else:  # each class has the same place in all frames
            drawn = {name: (probabilities[name], expression_color(name, names)) for name in names}
        return FaceMark(
            box=face.box,
            text=face_label(face.expression, probability, face.face_id),
            color=expression_color(face.expression, self.classes),
            bars=drawn,
            short=f"#{face.face_id}",
        )


def follow_faces(
    source: str | os.PathLike | int,
    pipeline: Any = None,
    *,
    detector: str | FaceDetector | None = None,
    every: int = 1,
    smoothing: float = 0.3,
    min_duration: float = MIN_DURATION,
    region: Region | None = None,
    limits: WorkLimits | None = None,
    n_jobs: int | None = None,
) -> Iterator[VideoFrame]:
    """Iterate over the frames of a video, with the faces of each.

    Only a few frames are in memory at a time.

    Parameters
    ----------
    source : str, os.PathLike or int
        Path of a video file, or number of a camera.
    pipeline : Pipeline, classifier or FaceReader, default=None
        As for `skfer.recognition.FaceReader`. None means ``skfer.load_pretrained()``.
    detector, every, smoothing, min_duration, region, limits, n_jobs
        As for `recognize_video`, like the warning.

    Returns
    -------
    iterator of VideoFrame

    Raises
    ------
    ValueError, TypeError, NotFittedError
        As for `recognize_video`.

    See Also
    --------
    recognize_video : Write a table and an annotated video.

    Examples
    --------
    >>> import tempfile
    >>> import cv2
    >>> from skfer.datasets import make_faces
    >>> from skfer.video import follow_faces
    >>> image = make_faces(1, scene=True, random_state=0).images[0]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file, kind = f"{folder}/talk.avi", cv2.VideoWriter.fourcc(*"MJPG")
    ...     video = cv2.VideoWriter(file, kind, fps=10, frameSize=image.shape[1::-1])
    ...     for _ in range(2):
    ...         video.write(image[:, :, ::-1])
    ...     video.release()
    ...     for frame in follow_faces(file):
    ...         print(frame.timestamp, [face.face_id for face in frame.faces])
    0.0 [1]
    0.1 [1]
    """
    check_options(every, smoothing, min_duration)
    reader = make_reader(pipeline, detector, n_jobs, region)

    def frames() -> Iterator[VideoFrame]:
        opened = open_source(source, limits)
        try:
            yield from follow(opened, reader, every, smoothing, min_duration)
        finally:
            opened.close()
        if opened.problem:
            warnings.warn(opened.problem, UserWarning, stacklevel=2)

    return frames()


def check_options(every: int, smoothing: float, min_duration: float) -> None:
    """Raise `ValueError` for an invalid option."""
    check_int("every", every)
    for name, seconds in (("smoothing", smoothing), ("min_duration", min_duration)):
        if not isinstance(seconds, Real) or not 0 <= seconds < float("inf"):
            raise ValueError(f"{name}={seconds!r} must be a number of seconds of at least 0.")


def follow(
    source: Source, reader: FaceReader, every: int, smoothing: float, min_duration: float
) -> Iterator[VideoFrame]:
    """Iterate over the frames of an open source, with their faces."""
    follower = FaceFollower(reader.expressions, smoothing, min_duration=min_duration)
    frames = enumerate(source)
    is_live = isinstance(source, Camera)

    def track_frames() -> Iterator[tuple[tuple[int, float, np.ndarray], float, list[Any]]]:
        tracked: list[Any] = []
        last_search = -math.inf
        while batch := _next_batch(frames, is_live):
            searched = [frame for index, frame in batch if index % every == 0]
            known = [face.box for face in follower.known]
            found, last_search = _search(reader, searched, known, last_search)
            readings = iter(found)
            for index, (timestamp, picture) in batch:
                if index % every == 0:
                    tracked = follower.track(next(readings), timestamp)
                elif tracked and tracked[0][1].detected:
                    tracked = [(state, replace(face, detected=False)) for state, face in tracked]
                yield (index, timestamp, picture), timestamp, tracked

    frames_and_faces: Iterable[tuple[Any, list[FollowedFace]]]
    if is_live:  # frames are shown at once
        frames_and_faces = ((item, numbered_faces(found)) for item, _, found in track_frames())
    else:
        frames_and_faces = delay_faces(follower, track_frames(), lambda item: item[2].nbytes)
    for (index, timestamp, picture), faces in frames_and_faces:
        yield VideoFrame(index, timestamp, picture, faces, reader.classes)


def _search(
    reader: FaceReader, frames: list[Timed], known: list[Any], last_search: float
) -> tuple[list[FaceReading], float]:
    """Return the readings of some frames, and the time of the last complete search."""
    complete = []
    for timestamp, _ in frames:
        complete.append(timestamp - last_search >= _SEARCH_EVERY)
        last_search = timestamp if complete[-1] else last_search
    pictures = [picture for _, picture in frames]
    chosen = list(itertools.compress(pictures, complete))
    readings = iter(reader.read_frames(chosen, [[]] * len(chosen)))
    merged: list[FaceReading | None] = [next(readings) if is_due else None for is_due in complete]
    near, boxes = [], known
    for reading in merged:
        if reading is None:
            near.append(boxes)
        else:
            boxes = known + reading.detections.boxes.tolist()
    others = [picture for picture, is_due in zip(pictures, complete, strict=True) if not is_due]
    readings = iter(reader.read_frames(others, near))
    return [next(readings) if reading is None else reading for reading in merged], last_search


def _next_batch(frames: Iterator[Any], is_live: bool) -> list[Any]:
    """Return the next frames of a file, or the current one of a camera."""
    batch = list(itertools.islice(frames, 1))
    if batch and not is_live:
        size = min(_BATCH_FRAMES, _BATCH_BYTES // batch[0][1][1].nbytes)
        batch += itertools.islice(frames, max(0, size - 1))
    return batch


class Camera:
    """The current frames of a camera, with the seconds since the first."""

    n_frames = None
    problem = None

    def __init__(self, index: int):
        self._index = index
        self._capture = cv2.VideoCapture(index)
        if not self._capture.isOpened():
            self.close()
            raise OSError(
                f"Camera {index} can't be opened. Check that it is connected, not used by another "
                "program, and that this program is allowed to use it. The first camera is 0."
            )
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = Fraction(rate if 1 <= rate <= 240 else 30).limit_denominator(1001)

    def __iter__(self) -> Iterator[Timed]:
        start: float | None = None
        while True:
            success, frame = self._capture.read()
            now = time.monotonic()
            if not success:
                if start is None:
                    raise OSError(
                        f"Camera {self._index} is open but sends no image. Check that no "
                        "other program uses it and that it is not covered."
                    )
                return
            start = now if start is None else start
            yield now - start, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()


Source = VideoFile | IsolatedVideo | Camera


def open_source(source: str | os.PathLike | int, limits: WorkLimits | None = None) -> Source:
    """Open a camera by number, or a file by path; with limits, the file is decoded in a child."""
    if isinstance(source, int) and not isinstance(source, bool):
        return Camera(source)
    if not isinstance(source, str | os.PathLike):
        raise ValueError(
            f"source must be the path of a video or the number of a camera; got a "
            f"{type(source).__name__}."
        )
    return VideoFile(source) if limits is None else IsolatedVideo(source, limits)

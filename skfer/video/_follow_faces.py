"""`follow_faces`: the frames of a video file or camera, with the faces in them."""

from __future__ import annotations

import itertools
import os
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from numbers import Integral, Real
from typing import Any

import cv2
import numpy as np

from skfer._video_file import IsolatedVideo, Timed, VideoFile
from skfer._worker import WorkLimits
from skfer.detection import FaceDetector
from skfer.recognition import (
    Color,
    FaceFollower,
    FaceMark,
    FaceReader,
    FollowedFace,
    Region,
    draw_marks,
    expression_color,
    face_label,
    make_reader,
    probability_bars,
)

# Frames that go through the network together, and the bytes that they may take.
_READ_TOGETHER = 16
_HELD_BYTES = 64 * 2**20
_BARS_IN_PLACE = 8


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """A frame and the faces in it.

    Parameters
    ----------
    index : int
        Its number, from 0.
    timestamp : float
        Seconds since the first frame.
    picture : ndarray of shape (H, W, 3), uint8
        RGB, upright.
    faces : list of FollowedFace
        In the order of their numbers.
    classes : list
        What the probabilities stand for.

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
        """A copy of the picture with boxes and labels.

        Parameters
        ----------
        bars : bool, default=True
            Whether a bar for each probability is drawn too.

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
        shares = dict(zip(map(str, self.classes), face.probabilities.tolist(), strict=True))
        return FaceMark(
            box=face.box,
            text=face_label(face.expression, probability, face.face_id),
            color=expression_color(face.expression, self.classes),
            bars=self._bars(shares) if bars else {},
        )

    def _bars(self, shares: dict[str, float]) -> dict[str, tuple[float, Color]]:
        """All classes, each at its place in every frame; of very many, the most probable."""
        if len(shares) > _BARS_IN_PLACE:
            return probability_bars(shares)
        names = list(shares)
        return {name: (shares[name], expression_color(name, names)) for name in names}


def follow_faces(
    source: str | os.PathLike | int,
    pipeline: Any = None,
    *,
    detector: str | FaceDetector | None = None,
    every: int = 1,
    smoothing: float = 0.3,
    region: Region | None = None,
    limits: WorkLimits | None = None,
    n_jobs: int | None = None,
) -> Iterator[VideoFrame]:
    """Go through a video frame by frame, with the faces of each.

    A few frames are in memory at a time, however long the video is.

    Parameters
    ----------
    source : str, os.PathLike or int
        Path of a video file, or the number of a camera.
    pipeline : Pipeline, classifier or FaceReader, default=None
        As for `skfer.recognition.FaceReader`; None stands for ``skfer.load_pretrained()``.
    detector : str or FaceDetector, default=None
        Finds the faces in place of the detector of the Pipeline's cropper.
    every : int, default=1
        Search every n-th frame; in those between, faces stay where they were.
    smoothing : float, default=0.3
        Time constant of the exponential smoothing of probabilities, in seconds; 0 for none.
    region : tuple of 4 numbers, default=None
        Part of the frame in which faces are looked for, as for `skfer.recognition.FaceReader`.
    limits : WorkLimits, default=None
        Opens and decodes a file in a child process with limits on memory and time; for files of
        unknown origin. None decodes in this process. It has no effect on a camera.
    n_jobs : int, default=None
        Threads that detect. None and -1 take one for each core.

    Returns
    -------
    iterator of VideoFrame

    Raises
    ------
    ValueError
        If the source can't be read, a parameter is out of range, or the Pipeline can't read faces.
    TypeError, NotFittedError
        If the Pipeline gives no probabilities, or is not fitted.

    Warns
    -----
    UserWarning
        If a file is damaged or breaks off; the last frame read and its time are named.

    Examples
    --------
    >>> import tempfile
    >>> import cv2
    >>> from skfer.datasets import make_faces
    >>> from skfer.video import follow_faces
    >>> picture = make_faces(1, scene=True, random_state=0).images[0]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file, kind = f"{folder}/talk.avi", cv2.VideoWriter.fourcc(*"MJPG")
    ...     video = cv2.VideoWriter(file, kind, fps=10, frameSize=picture.shape[1::-1])
    ...     for _ in range(2):
    ...         video.write(picture[:, :, ::-1])
    ...     video.release()
    ...     for frame in follow_faces(file):
    ...         print(frame.timestamp, [face.face_id for face in frame.faces])
    0.0 [0]
    0.1 [0]
    """
    check_options(every, smoothing)
    reader = make_reader(pipeline, detector, n_jobs, region)
    return _opened_and_followed(source, reader, int(every), float(smoothing), limits)


def check_options(every: int, smoothing: float) -> None:
    """Refuse an `every` or a `smoothing` that means nothing."""
    if not isinstance(every, Integral) or isinstance(every, bool) or every < 1:
        raise ValueError(f"every must be a positive int, the n of every n-th frame; got {every!r}.")
    if not isinstance(smoothing, Real) or not 0 <= smoothing < float("inf"):
        raise ValueError(f"smoothing must be seconds, 0 for none; got {smoothing!r}.")


def _opened_and_followed(
    source: str | os.PathLike | int,
    reader: FaceReader,
    every: int,
    smoothing: float,
    limits: WorkLimits | None,
) -> Iterator[VideoFrame]:
    opened = open_source(source, limits)
    try:
        yield from follow(opened, reader, every, smoothing)
    finally:
        opened.close()
    if opened.problem:
        warnings.warn(opened.problem, UserWarning, stacklevel=2)


def follow(
    source: Source, reader: FaceReader, every: int, smoothing: float
) -> Iterator[VideoFrame]:
    """The frames of a source that is open, with their faces."""
    follower = FaceFollower(reader.expressions, smoothing)
    faces: list[FollowedFace] = []
    frames = enumerate(source)
    while held := _some(frames, source.lives):
        searched = [picture for index, (_, picture) in held if index % every == 0]
        readings = iter(reader.read(searched) if searched else [])
        for index, (timestamp, picture) in held:
            if index % every == 0:
                faces = follower.follow(next(readings), timestamp)
            elif faces and faces[0].detected:
                faces = [replace(face, detected=False) for face in faces]
            yield VideoFrame(index, timestamp, picture, faces, reader.classes)


def _some(frames: Iterator[Any], lives: bool) -> list[Any]:
    """The next frames that are read together: of a camera, the one that is there."""
    held = list(itertools.islice(frames, 1))
    if held and not lives:
        fit = _HELD_BYTES // held[0][1][1].nbytes
        held += itertools.islice(frames, max(0, min(_READ_TOGETHER, fit) - 1))
    return held


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

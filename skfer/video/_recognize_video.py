"""`recognize_video`: a table and an annotated video of the faces of a video."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from skfer._storage import partial_file
from skfer._video_file import import_av
from skfer._worker import WorkLimits
from skfer.detection import FaceDetector
from skfer.recognition import (
    MIN_DURATION,
    Region,
    make_reader,
    progress_bar,
    set_column_types,
)
from skfer.video._face_tables import frame_rows, read_rows, row_writer, to_table, validate_suffix
from skfer.video._follow_faces import VideoFrame, check_options, follow, open_source

if TYPE_CHECKING:
    import pandas as pd

# The usual time base of MPEG, fine enough for every frame rate.
_TIME_BASE = Fraction(1, 90_000)
# Six hours: the duration of a frame in an MP4 has 31 bits. Damaged timestamps may be years apart.
_LONGEST_GAP = 6 * 3600 * 90_000
# Frames in memory that wait for the encoder.
_WAITING_FRAMES = 8


@dataclass(eq=False)
class VideoReport:
    """Result of `recognize_video`.

    Attributes
    ----------
    n_frames : int
        Number of frames that were read.
    seconds : float
        Time from the first to the last frame.
    n_faces : int
        Number of different faces.
    classes : list
        Classes of the probabilities.
    output, csv : Path or None
        Files that were written.
    problem : str or None
        Description of what could not be read, if the file is damaged or truncated.

    Examples
    --------
    >>> from skfer.video import VideoReport
    >>> VideoReport(n_frames=250, seconds=9.96, n_faces=1, classes=["happy", "sad"]).n_faces
    1
    """

    n_frames: int = 0
    seconds: float = 0.0
    n_faces: int = 0
    classes: list[Any] = field(default_factory=list)
    output: Path | None = None
    csv: Path | None = None
    problem: str | None = None
    _rows: list[Any] = field(default_factory=list, repr=False)

    @property
    def faces(self) -> pd.DataFrame:
        """Table with a row for each face of each frame, and one for a frame without faces.

        It is read from `csv` if that was written.

        ========================== =========================================================
        frame, timestamp           number of the frame from 0, and seconds since the first
        face_id                    number of the face from 1, the same in all frames
        x, y, width, height        box in pixels
        confidence                 score of the detector, on its own scale
        detected                   whether the face was detected in this frame; False for
                                   frames that `every` leaves out, and frames without faces
        expression, probability    the most probable class, after smoothing over time
        one column for each class  smoothed probability; named as by `skfer.recognize`
        ========================== =========================================================
        """
        if self.csv is None:
            return to_table(self._rows, self.classes)
        return set_column_types(read_rows(self.csv, self.classes), self.classes)


def recognize_video(
    source: str | os.PathLike | int,
    pipeline: Any = None,
    *,
    output: str | os.PathLike | None = None,
    csv: str | os.PathLike | None = None,
    detector: str | FaceDetector | None = None,
    every: int = 1,
    smoothing: float = 0.3,
    min_duration: float = MIN_DURATION,
    bars: bool = True,
    max_seconds: float | None = None,
    on_frame: Callable[[VideoFrame, np.ndarray | None], Any] | None = None,
    progress: bool = False,
    region: Region | None = None,
    limits: WorkLimits | None = None,
    n_jobs: int | None = None,
) -> VideoReport:
    """Track the faces of a video and recognise their expressions over time.

    Files are written completely or not at all: after an error or interruption, existing files are
    unchanged. With `csv`, memory does not grow with the length of the video.

    Parameters
    ----------
    source : str, os.PathLike or int
        Path of a video file, or number of a camera: 0 is the first. A camera is read until
        `max_seconds`, until `on_frame` returns False, or until Ctrl-C, which completes the files.
    pipeline : Pipeline, classifier or FaceReader, default=None
        As for `skfer.recognition.FaceReader`; None means ``skfer.load_pretrained()``.
    output : str or os.PathLike, default=None
        MP4 file (H.264, without sound) to write, with boxes and labels.
    csv : str or os.PathLike, default=None
        File for the rows, ``.csv`` or ``.parquet``. None keeps them in memory.
    detector : str or FaceDetector, default=None
        Detector that replaces that of the Pipeline's cropper.
    every : int, default=1
        Detect faces in every n-th frame. Faces keep their box in the frames between.
    smoothing : float, default=0.3
        Time constant of the exponential smoothing of probabilities, in seconds. 0 turns it off.
    min_duration : float, default=0.4
        Seconds from the first detection until a face counts. It must be detected in half of the
        frames of that time: false faces of a few frames are left out. 0 keeps all.
    bars : bool, default=True
        Whether `output` has bars of the probabilities beside the faces.
    max_seconds : float, default=None
        Time after which reading stops. None reads to the end.
    on_frame : callable, default=None
        Function that is called with each `VideoFrame` and the annotated image (None without
        `output`). Reading stops if it returns False.
    progress : bool, default=False
        Whether to show a progress bar on standard error.
    region : tuple of 4 numbers, default=None
        Part of the frame to search, as for `skfer.recognition.FaceReader`.
    limits : WorkLimits, default=None
        Limits on memory and time for files of unknown origin, which are then decoded in a child
        process. None decodes in this process. Ignored for a camera.
    n_jobs : int, default=None
        Number of threads that detect faces. None and -1 mean one for each core.

    Returns
    -------
    VideoReport
        Counts, and the table as `faces`.

    Raises
    ------
    ValueError
        If the source can't be read as a video, a parameter is out of range, or the Pipeline can't
        classify faces.
    TypeError, NotFittedError
        If the Pipeline has no `predict_proba`, or is not fitted.

    Warns
    -----
    UserWarning
        If a file is damaged or truncated. The frames before are processed. The message contains
        the last frame and its time.

    See Also
    --------
    follow_faces : Iterate over the frames.

    Examples
    --------
    >>> import tempfile
    >>> import cv2
    >>> from skfer.datasets import make_faces
    >>> from skfer.video import recognize_video
    >>> image = make_faces(1, scene=True, random_state=0).images[0]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file, kind = f"{folder}/talk.avi", cv2.VideoWriter.fourcc(*"MJPG")
    ...     video = cv2.VideoWriter(file, kind, fps=10, frameSize=image.shape[1::-1])
    ...     for _ in range(2):
    ...         video.write(image[:, :, ::-1])
    ...     video.release()
    ...     report = recognize_video(file, output=f"{folder}/drawn.mp4")
    >>> report.n_frames, report.n_faces, report.faces["face_id"].tolist()
    (2, 1, [1, 1])
    """
    check_options(every, smoothing, min_duration)
    if csv is not None:
        validate_suffix(Path(csv))
    if output is not None:
        if Path(output).suffix.lower() not in (".mp4", ".m4v"):
            raise ValueError(f"output={os.fspath(output)!r} must end in .mp4.")
        exist = not isinstance(source, int) and os.path.exists(source) and os.path.exists(output)
        if exist and os.path.samefile(source, output):
            raise ValueError(f"output={os.fspath(output)!r} is the video itself. Use another name.")
    if max_seconds is not None and not max_seconds > 0:
        raise ValueError(f"max_seconds={max_seconds!r} must be above 0, or None.")
    reader = make_reader(pipeline, detector, n_jobs, region)
    report = VideoReport(
        classes=reader.classes,
        output=None if output is None else Path(output),
        csv=None if csv is None else Path(csv),
    )
    with contextlib.ExitStack() as stack:
        opened = open_source(source, limits)
        stack.callback(opened.close)
        video_part = None if output is None else stack.enter_context(partial_file(output))
        table_part = None if csv is None else stack.enter_context(partial_file(csv))
        # The stack closes the writers before it renames their files.
        write_rows = report._rows.extend
        if table_part is not None:
            rows = row_writer(table_part, reader.classes)
            stack.callback(rows.close)
            write_rows = rows.write
        video = None if video_part is None else _VideoWriter(video_part, opened.rate)
        if video is not None:
            stack.callback(video.close)
        frames = follow(opened, reader, every, smoothing, min_duration)
        stack.callback(frames.close)  # type: ignore[attr-defined]
        name = f"camera {source}" if isinstance(source, int) else os.fspath(source)
        bar = stack.enter_context(progress_bar(name, opened.n_frames, "frames", shown=progress))
        try:
            for frame in frames:
                if max_seconds is not None and frame.timestamp >= max_seconds:
                    break
                picture = None
                if video is not None:
                    picture = frame.annotated(bars=bars)
                    video.write(picture, frame.timestamp)
                write_rows(frame_rows(frame))
                bar.update(1)
                report.n_frames = frame.index + 1
                report.seconds = frame.timestamp
                report.n_faces = max([report.n_faces, *(face.face_id for face in frame.faces)])
                if on_frame is not None and on_frame(frame, picture) is False:
                    break
        except KeyboardInterrupt:
            if not isinstance(source, int) or report.n_frames == 0:
                raise
    report.problem = opened.problem
    if report.problem:
        warnings.warn(report.problem, UserWarning, stacklevel=2)
    return report


class _VideoWriter:
    """Writer of an MP4 file: H.264 with 4:2:0 colour, index at the start, without sound.

    H.264 needs even sides: the last row or column of an odd side is dropped. Longer gaps between
    frames become six hours. A thread encodes while the next frames are searched and drawn.
    """

    def __init__(self, path: str | os.PathLike, rate: Fraction):
        self._av = import_av()
        self._file = self._av.open(
            os.fspath(path), "w", format="mp4", options={"movflags": "+faststart"}
        )
        self._stream: Any = None
        self._rate = rate
        self._last, self._skipped = -1, 0
        self._thread = ThreadPoolExecutor(1, "skfer-video")
        self._waiting: deque[Future] = deque()

    def write(self, picture: np.ndarray, seconds: float) -> None:
        """Add an RGB picture with its time."""
        if self._stream is None:
            self._stream = self._add_stream(picture)
        size = self._stream.width, self._stream.height
        picture = picture[: size[1], : size[0]]
        if picture.shape[1::-1] != size:  # the size of the frames may change
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.time_base = _TIME_BASE
        time = round(seconds / _TIME_BASE) - self._skipped
        self._skipped += max(0, time - self._last - _LONGEST_GAP)
        frame.pts = self._last = max(self._last + 1, min(time, self._last + _LONGEST_GAP))
        if len(self._waiting) == _WAITING_FRAMES:
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(self._encode, frame))

    def close(self) -> None:
        """Write the frames in the encoder, and the index."""
        try:
            for encoded in self._waiting:
                encoded.result()
            if self._stream is not None:
                self._encode(None)
        finally:
            self._thread.shutdown(cancel_futures=True)
            self._file.close()

    def _encode(self, frame: Any) -> None:
        self._file.mux(self._stream.encode(frame))

    def _add_stream(self, picture: np.ndarray) -> Any:
        height, width = picture.shape[:2]
        if min(height, width) < 2:
            raise ValueError(f"H.264 can't contain frames of {width} x {height} pixels.")
        options = {"preset": "veryfast", "crf": "20"}
        stream = self._file.add_stream("libx264", rate=self._rate, options=options)
        stream.width, stream.height = width // 2 * 2, height // 2 * 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = _TIME_BASE
        return stream

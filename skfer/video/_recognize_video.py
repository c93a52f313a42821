"""`recognize_video`: a whole video to a table and an annotated video."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterable
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
from skfer.recognition import Region, make_reader, progress_bar, set_column_types
from skfer.video._face_tables import (
    RowSink,
    RowsInMemory,
    frame_rows,
    read_rows,
    row_sink,
    suffix_of,
)
from skfer.video._follow_faces import VideoFrame, check_options, follow, open_source

if TYPE_CHECKING:
    import pandas as pd

# The usual time base of MPEG, fine enough for every frame rate.
_TIME_BASE = Fraction(1, 90_000)


@dataclass(eq=False)
class VideoReport:
    """Result of `recognize_video`: what was read, and the files that were written.

    Attributes
    ----------
    n_frames : int
        How many were read.
    seconds : float
        From the first frame to the last.
    n_faces : int
        How many faces were told apart.
    classes : list
        What the probabilities stand for.
    output, csv : Path or None
        The files that were written.
    problem : str or None
        What could not be read, if the file is damaged or breaks off.

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
    _rows: RowsInMemory | None = field(default=None, repr=False)

    @property
    def faces(self) -> pd.DataFrame:
        """The table: a row for each face of each frame, and one for a frame without a face.

        It is read from the file if there is one.

        ========================== =========================================================
        frame, timestamp           number of the frame from 0, and seconds since the first
        face_id                    number of the face, the same in every frame
        x, y, width, height        its box in pixels
        confidence                 the detector's, on its own scale
        detected                   whether it was found in this frame; not if the frame was
                                   left out by `every`, or shows no face
        expression, probability    the most probable class, after smoothing over time
        one column for each class  its smoothed probability; named as in `skfer.recognize`
        ========================== =========================================================
        """
        if self._rows is not None:
            return self._rows.table()
        assert self.csv is not None  # rows are in memory or in a file
        return set_column_types(read_rows(self.csv, "VideoReport.faces"), self.classes)


def recognize_video(
    source: str | os.PathLike | int,
    pipeline: Any = None,
    *,
    output: str | os.PathLike | None = None,
    csv: str | os.PathLike | None = None,
    detector: str | FaceDetector | None = None,
    every: int = 1,
    smoothing: float = 0.3,
    bars: bool = True,
    max_seconds: float | None = None,
    on_frame: Callable[[VideoFrame, np.ndarray | None], Any] | None = None,
    progress: bool = False,
    region: Region | None = None,
    limits: WorkLimits | None = None,
    n_jobs: int | None = None,
) -> VideoReport:
    """Find the faces of a video, follow them, and name their expressions over time.

    Files appear when they are complete: if it fails or is interrupted, none is left behind and
    older ones stay. Memory doesn't grow with the length of the video if `csv` is given.

    Parameters
    ----------
    source : str, os.PathLike or int
        Path of a video file, or the number of a camera: 0 is the first. A camera is read until
        `max_seconds`, until `on_frame` says so, or until Ctrl-C, which ends the files properly.
    pipeline : Pipeline, classifier or FaceReader, default=None
        As for `skfer.recognition.FaceReader`; None stands for ``skfer.load_pretrained()``.
    output : str or os.PathLike, default=None
        An MP4 file (H.264) to write, with boxes and labels drawn in; without sound.
    csv : str or os.PathLike, default=None
        A file for the rows, ``.csv`` or ``.parquet``. Without one they are kept in memory.
    detector : str or FaceDetector, default=None
        Finds the faces in place of the detector of the Pipeline's cropper.
    every : int, default=1
        Search every n-th frame; in those between, faces stay where they were.
    smoothing : float, default=0.3
        Time constant of the exponential smoothing of probabilities, in seconds; 0 for none.
    bars : bool, default=True
        Whether `output` shows a bar for each probable class beside the face.
    max_seconds : float, default=None
        Stop there; above 0.
    on_frame : callable, default=None
        Called with each `VideoFrame` and the annotated picture (None without `output`). If it
        returns False, the video ends there.
    progress : bool, default=False
        Whether to show a bar on standard error.
    region : tuple of 4 numbers, default=None
        Part of the frame in which faces are looked for, as for `skfer.recognition.FaceReader`.
    limits : WorkLimits, default=None
        Opens and decodes a file in a child process with limits on memory and time; for files of
        unknown origin. None decodes in this process. It has no effect on a camera.
    n_jobs : int, default=None
        Threads that detect. None and -1 take one for each core.

    Returns
    -------
    VideoReport
        Its `faces` is the table.

    Raises
    ------
    ValueError
        If the source can't be read as a video, a parameter is out of range, or the Pipeline can't
        read faces.
    TypeError, NotFittedError
        If the Pipeline gives no probabilities, or is not fitted.

    Warns
    -----
    UserWarning
        If a file is damaged or breaks off: what could be read was processed. The last frame and
        its time are named.

    See Also
    --------
    follow_faces : The frames one by one.

    Examples
    --------
    >>> import tempfile
    >>> import cv2
    >>> from skfer.datasets import make_faces
    >>> from skfer.video import recognize_video
    >>> picture = make_faces(1, scene=True, random_state=0).images[0]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file, kind = f"{folder}/talk.avi", cv2.VideoWriter.fourcc(*"MJPG")
    ...     video = cv2.VideoWriter(file, kind, fps=10, frameSize=picture.shape[1::-1])
    ...     for _ in range(2):
    ...         video.write(picture[:, :, ::-1])
    ...     video.release()
    ...     report = recognize_video(file, output=f"{folder}/drawn.mp4")
    >>> report.n_frames, report.n_faces, report.faces["face_id"].tolist()
    (2, 1, [0, 0])
    """
    check_options(every, smoothing)
    suffix = "" if csv is None else suffix_of(csv)
    if output is not None and Path(output).suffix.lower() not in (".mp4", ".m4v"):
        raise ValueError(f"output={os.fspath(output)!r}: an MP4 is written; name it so, x.mp4.")
    if max_seconds is not None and not max_seconds > 0:
        raise ValueError(f"max_seconds must be above 0, or None for no end; got {max_seconds!r}.")
    _refuse_to_overwrite(source, output)
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
        # The writers close first, then their files take their places.
        rows = row_sink(table_part, suffix, reader.classes)
        stack.callback(rows.close)
        video = None if video_part is None else VideoWriter(video_part, opened.rate)
        if video is not None:
            stack.callback(video.close)

        frames = follow(opened, reader, int(every), float(smoothing))
        sinks = _Sinks(rows, video, bars, on_frame, max_seconds)
        try:
            with progress_bar(opened.name, opened.n_frames, "frames", shown=progress) as bar:
                sinks.take(frames, report, bar)
        except KeyboardInterrupt:
            if not opened.lives or report.n_frames == 0:
                raise
        finally:
            frames.close()  # type: ignore[attr-defined]
    if isinstance(rows, RowsInMemory):
        report._rows = rows
    report.problem = opened.problem
    if report.problem:
        warnings.warn(report.problem, UserWarning, stacklevel=2)
    return report


def _refuse_to_overwrite(source: str | os.PathLike | int, output: Any) -> None:
    if isinstance(source, int) or output is None or not os.path.exists(output):
        return
    if os.path.exists(source) and os.path.samefile(source, output):
        raise ValueError(
            f"output={os.fspath(output)!r} is the video itself, which would be lost: give another "
            "name."
        )


@dataclass
class _Sinks:
    """Outputs of a frame and its faces."""

    rows: RowSink
    video: VideoWriter | None
    bars: bool
    on_frame: Callable[[VideoFrame, np.ndarray | None], Any] | None
    max_seconds: float | None

    def take(self, frames: Iterable[VideoFrame], report: VideoReport, bar: Any) -> None:
        for frame in frames:
            if self.max_seconds is not None and frame.timestamp >= self.max_seconds:
                return
            picture = None
            if self.video is not None:
                picture = frame.annotated(bars=self.bars)
                self.video.write(picture, frame.timestamp)
            self.rows.write(frame_rows(frame))
            bar.update(1)
            report.n_frames = frame.index + 1
            report.seconds = frame.timestamp
            # Numbers are given in order: the highest tells how many there were.
            highest = max((face.face_id for face in frame.faces), default=-1)
            report.n_faces = max(report.n_faces, highest + 1)
            if self.on_frame is not None and self.on_frame(frame, picture) is False:
                return


class VideoWriter:
    """Write an MP4 file: H.264 with 4:2:0 colour, its index in front, without sound.

    H.264 needs even sides: of an odd one the last row or column is left out.

    Parameters
    ----------
    path : str or os.PathLike
    rate : Fraction
        Frames a second, on average; each frame is shown at its own time.
    """

    def __init__(self, path: str | os.PathLike, rate: Fraction):
        self._av = import_av("recognize_video")
        self._file = self._av.open(
            os.fspath(path), "w", format="mp4", options={"movflags": "+faststart"}
        )
        self._stream: Any = None
        self._rate = rate
        self._last = -1

    def write(self, picture: np.ndarray, seconds: float) -> None:
        """Add an RGB picture that is shown from `seconds` on."""
        if self._stream is None:
            self._stream = self._new_stream(picture)
        size = self._stream.width, self._stream.height
        picture = picture[: size[1], : size[0]]
        if picture.shape[1::-1] != size:  # some files change their size on the way
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.time_base = _TIME_BASE
        frame.pts = self._last = max(self._last + 1, round(seconds / _TIME_BASE))
        self._file.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what is still in the encoder, and the index."""
        try:
            if self._stream is not None:
                self._file.mux(self._stream.encode(None))
        finally:
            self._file.close()

    def _new_stream(self, picture: np.ndarray) -> Any:
        height, width = picture.shape[:2]
        if min(height, width) < 2:
            raise ValueError(f"A video of {width} x {height} pixels can't be written as H.264.")
        options = {"preset": "veryfast", "crf": "20"}
        stream = self._file.add_stream("libx264", rate=self._rate, options=options)
        stream.width, stream.height = width // 2 * 2, height // 2 * 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = _TIME_BASE
        return stream

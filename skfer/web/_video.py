"""A video that was sent, decoded in a child process."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from typing import IO

import numpy as np
from werkzeug import exceptions
from werkzeug.exceptions import (
    BadRequest,
    RequestEntityTooLarge,
    UnprocessableEntity,
    UnsupportedMediaType,
)

from skfer._utils import import_extra
from skfer._video_file import Decoding, IsolatedVideo, VideoTooLargeError
from skfer._worker import WorkerPool
from skfer.web._limits import Limits
from skfer.web._uploads import refuse_text

# How a file begins, from which byte on, and FFmpeg's name for what it then is. Named, because a
# playlist, which FFmpeg would find out by itself, may make it open other files of this machine.
_CONTAINERS = (
    (4, b"ftyp", "mov"),
    (4, b"moov", "mov"),
    (4, b"mdat", "mov"),
    (4, b"wide", "mov"),
    (0, b"\x1aE\xdf\xa3", "matroska"),
    (8, b"AVI ", "avi"),
    (0, b"OggS", "ogg"),
)
_PIECE = 1 << 20
# Faces are found as well in frames of this longer side, and in a fraction of the time.
_LONGER_SIDE = 1280


class SentVideo:
    """A video held for one answer in a temporary file that has no name.

    It is opened and decoded in a child process, within limits on memory and time.

    Parameters
    ----------
    upload : file of bytes
    limits : Limits
    workers : WorkerPool
    rate : float
        Frames a second that are read at most.
    abandoned : callable, default=None
        Tells whether the client has left, which ends the work.

    Attributes
    ----------
    width, height : int
        Of the frames as they are seen, upright.
    duration : float or None
        Seconds, if the file says so.
    """

    def __init__(
        self,
        upload: IO[bytes],
        limits: Limits,
        workers: WorkerPool,
        rate: float,
        abandoned: Callable[[], bool] | None = None,
    ):
        _require_av()
        with ExitStack() as stack:
            file = stack.enter_context(tempfile.TemporaryFile(buffering=0))
            while piece := upload.read(_PIECE):
                file.write(piece)
            decoding = Decoding(
                name="The video",
                container=_container_of(file),
                pixels=limits.video_pixels,
                rate=rate,
                longer_side=_LONGER_SIDE,
                end=limits.video_seconds,
            )
            worker = stack.enter_context(workers.worker())
            with _refused():
                self._video = IsolatedVideo(
                    file, worker, decoding, seconds=limits.work_seconds, abandoned=abandoned
                )
                stack.callback(self._video.close)
                self.duration = self._video.seconds
                if self.duration is not None and self.duration > limits.video_seconds:
                    raise RequestEntityTooLarge(
                        f"The video is {self.duration:.0f} seconds long; at most "
                        f"{limits.video_seconds:g} are taken. Cut it, or use skfer from Python, "
                        "which has no such limit."
                    )
                self._frames = iter(self._video)
                self._first = next(self._frames)
            self.height, self.width = self._first[1].shape[:2]
            self._stack = stack.pop_all()

    def __enter__(self) -> SentVideo:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def problem(self) -> str | None:
        """Why frames ended before the end of the video, if they did."""
        return self._video.problem

    def close(self) -> None:
        """End the decoding and delete the video."""
        self._stack.close()

    def batches(self, size: int) -> Iterator[list[tuple[float, np.ndarray]]]:
        """Yield moments, in seconds, and frames (RGB, uint8)."""
        frames = chain([self._first], self._frames)
        while batch := list(islice(frames, size)):
            yield batch


def _container_of(file: IO[bytes]) -> str:
    file.seek(0)
    start = file.read(4096)
    file.seek(0)
    if not start:
        raise BadRequest("Nothing was sent: the body has to be the bytes of a video.")
    for at, mark, kind in _CONTAINERS:
        if start[at : at + len(mark)] == mark:
            return kind
    refuse_text(start, "talk.mp4")
    raise UnsupportedMediaType(
        "This is no video that can be read, whatever its name says: send MP4, MOV, WebM, MKV, AVI "
        "or Ogg."
    )


@contextmanager
def _refused() -> Iterator[None]:
    """Answer errors of the decoder with 4xx."""
    try:
        yield
    except VideoTooLargeError as error:
        raise RequestEntityTooLarge(f"{error} Make it smaller.") from error
    except ValueError as error:
        raise UnprocessableEntity(str(error)) from error


def _require_av() -> None:
    try:
        import_extra("av", "Reading videos", "video")
    except ImportError as error:
        raise exceptions.NotImplemented(str(error)) from error

"""A video that was sent, frame by frame."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from types import TracebackType
from typing import IO, Any

import numpy as np
from werkzeug import exceptions
from werkzeug.exceptions import (
    BadRequest,
    RequestEntityTooLarge,
    UnprocessableEntity,
    UnsupportedMediaType,
)

from skfer._extras import import_extra
from skfer.web._limits import Limits
from skfer.web._uploads import refuse_pixels

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
_MEMORY = 4_000_000  # bytes; a larger video is laid on disk
_PIECE = 1 << 20
# Faces are found as well in frames of this longer side, and in a fraction of the time.
_LONGER_SIDE = 1280
_REST = "the rest was not read."


class SentVideo:
    """A video held for one answer: in memory, or in a temporary file that has no name.

    Parameters
    ----------
    upload : file of bytes
    limits : Limits

    Attributes
    ----------
    width, height : int
        Of the frames as they are seen, upright.
    duration : float or None
        Seconds, if the file says so.
    broken : str or None
        Why frames ended before the file's end.
    """

    def __init__(self, upload: IO[bytes], limits: Limits):
        self._av = _require_av()
        self._limits = limits
        self.broken: str | None = None
        self._file = tempfile.SpooledTemporaryFile(max_size=_MEMORY)  # noqa: SIM115 - closed by close()
        try:
            while piece := upload.read(_PIECE):
                self._file.write(piece)
            self._open()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> SentVideo:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the video; nothing of it stays."""
        if hasattr(self, "_container"):
            self._container.close()
        self._file.close()

    def batches(self, rate: float, size: int) -> Iterator[list[tuple[float, np.ndarray]]]:
        """Moments, in seconds, and frames (RGB, uint8), at most `rate` of them a second."""
        batch: list[tuple[float, np.ndarray]] = []
        for moment, frame in self._sampled(rate):
            batch.append((moment, self._pixels(frame)))
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch

    def _open(self) -> None:
        self._file.seek(0)
        start = self._file.read(12)
        self._file.seek(0)
        if not start:
            raise BadRequest("Nothing was sent: the body has to be the bytes of a video.")
        kinds = (kind for at, mark, kind in _CONTAINERS if start[at : at + len(mark)] == mark)
        if (kind := next(kinds, None)) is None:
            raise UnsupportedMediaType(
                "This is no video that can be read, whatever its name says: send MP4, MOV, WebM, "
                "MKV, AVI or Ogg."
            )
        try:
            self._container = self._av.open(self._file, "r", format=kind, metadata_errors="replace")
        except self._av.FFmpegError as error:
            raise UnprocessableEntity(
                f"The video can't be opened: {error.strerror}. It is damaged or not complete."
            ) from error
        if not self._container.streams.video:
            raise UnprocessableEntity("The file holds no video, only other tracks.")
        self._stream = self._container.streams.video[0]
        if self._stream.codec_context is None:
            raise UnprocessableEntity("The video is in a coding that isn't known.")
        refuse_pixels((self._stream.width, self._stream.height), self._limits.video_pixels, "video")
        length = self._container.duration
        self.duration = None if length is None else length / self._av.time_base
        most = self._limits.video_seconds
        if self.duration is not None and self.duration > most:
            raise RequestEntityTooLarge(
                f"The video is {self.duration:.0f} seconds long; at most {most:g} are taken. Cut "
                "it, or use skfer from Python, which has no such limit."
            )
        # Frames may become larger than the file says: the decoder doesn't begin with those.
        self._stream.codec_context.options = {"max_pixels": str(self._limits.video_pixels)}
        self._frames = self._decoded()
        first = next(self._frames, None)
        if first is None:
            raise UnprocessableEntity("The video has no frame that can be read.")
        self._first: Any = first
        self.height, self.width = self._pixels(first).shape[:2]

    def _decoded(self) -> Iterator[Any]:
        try:
            yield from self._container.decode(self._stream)
        except self._av.FFmpegError as error:
            self.broken = f"The video breaks off: {error.strerror}."

    def _sampled(self, rate: float) -> Iterator[tuple[float, Any]]:
        step, due, start, count = 1 / rate, 0.0, self._first.time or 0.0, 0
        usual = float(self._stream.average_rate or 25)
        frame, limits = self._first, self._limits
        give_up = time.monotonic() + limits.work_seconds
        while frame is not None:
            moment = count / usual if frame.time is None else frame.time - start
            if moment > limits.video_seconds:
                self.broken = f"The video is longer than {limits.video_seconds:g} seconds: {_REST}"
                return
            # Every frame is asked, read or not: times that stand still could go on for ever.
            if time.monotonic() > give_up:
                self.broken = f"It took more than {limits.work_seconds:g} seconds: {_REST}"
                return
            if moment >= due - step / 100:
                yield moment, frame
                due = max(due + step, moment + step / 2)
            count += 1
            frame = next(self._frames, None)

    def _pixels(self, frame: Any) -> np.ndarray:
        scale = min(1.0, _LONGER_SIDE / max(frame.width, frame.height))
        width, height = (max(1, round(side * scale)) for side in (frame.width, frame.height))
        pixels = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
        return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))


def _require_av() -> Any:
    try:
        return import_extra("av", "Reading videos", "video")
    except ImportError as error:
        raise exceptions.NotImplemented(str(error)) from error

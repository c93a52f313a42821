"""Where frames come from: a video file through PyAV, or a camera through OpenCV."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from skfer._documentation import page
from skfer._extras import import_extra
from skfer._image_limits import max_pixels

# Frames that a file may declare and not have: what an edit list cuts away at its ends.
_MISSING_ALLOWED = 2
_SECONDS_ALLOWED = 0.5

# What a file may be. A playlist, which FFmpeg knows by its content, whatever its name, would make
# it open other files, or addresses in the network.
_FORMATS = (
    "3g2,3gp,apng,asf,avi,dv,flv,gif,h264,hevc,ivf,m4a,m4v,matroska,mj2,mov,mp4,mpeg,mpegts,"
    "mpegvideo,mxf,nut,ogg,rm,webm,wtv,yuv4mpegpipe"
)
_OF_A_FILE = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}

Timed = tuple[float, np.ndarray]


def import_av(caller: str) -> Any:
    """`av`, or an error that says what to install."""
    return import_extra("av", caller, "video")


class VideoFile:
    """The frames of a file, upright, with the seconds since the first.

    Attributes
    ----------
    n_frames : int or None
        How many the file says it has.
    rate : Fraction
        Frames a second, on average.
    problem : str or None
        After the frames were read: what could not be, and where.
    """

    lives = False

    def __init__(self, path: str | os.PathLike):
        av = import_av("recognize_video")
        self.name = os.fspath(path)
        self._container = _opened(av, self.name)
        if not self._container.streams.video:
            self.close()
            raise ValueError(f"{self.name!r} holds no video stream.")
        self._stream = self._container.streams.video[0]
        if self._stream.codec_context is None:
            self.close()
            raise ValueError(f"{self.name!r} holds a video in a coding that isn't known.")
        self._stream.thread_type = "AUTO"
        # Frames may also become larger than the file says: the decoder doesn't begin with those.
        self._stream.codec_context.options = {"max_pixels": str(max_pixels())}
        self._damage: Any = av.error.FFmpegError
        rate = self._stream.average_rate or self._stream.guessed_rate or Fraction(25)
        self.rate = Fraction(rate).limit_denominator(1001)
        self.seconds = self._declared_seconds()
        estimate = None if self.seconds is None else round(self.seconds * self.rate)
        self.n_frames = self._stream.frames or estimate
        self.problem: str | None = None

    def __iter__(self) -> Iterator[Timed]:
        first: float | None = None
        now, count, lost = 0.0, 0, 0
        for frame in self._frames():
            if frame is None:
                lost += 1
                continue
            moment = frame.time
            if first is None:
                first = moment or 0.0
            # A file without time stamps has a steady rate.
            now = max(now, count / float(self.rate) if moment is None else moment - first)
            yield now, _upright(frame)
            count += 1
        if count == 0:
            raise ValueError(f"{self.name!r} holds no frame that can be decoded.")
        self.problem = self._what_is_missing(count, now, lost)

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()

    def _frames(self) -> Iterator[Any]:
        """Every frame; None for a piece that can't be decoded."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except self._damage:
                packet = None  # the file is broken off where this packet should be
            if packet is None:
                return
            if packet.is_corrupt:  # cut short, and its lower half would be gray
                yield None
                continue
            try:
                yield from packet.decode()
            except self._damage:
                yield None

    def _what_is_missing(self, count: int, last: float, lost: int) -> str | None:
        declared, seconds = self._stream.frames, self.seconds
        reached = f"frame {count - 1} ({last:.3f} s)"
        end = "" if seconds is None else f" ({seconds:.3f} s)"
        if declared and declared - count > _MISSING_ALLOWED:
            return (
                f"{self.name!r} breaks off after {reached}: {declared} frames{end} were to "
                f"come, and {count} could be read. They were processed."
            )
        if seconds is not None and seconds - last - 1 / self.rate > _SECONDS_ALLOWED:
            return (
                f"{self.name!r} breaks off after {reached}: it says that it lasts "
                f"{seconds:.3f} s. What could be read, {count} frames, was processed."
            )
        if lost:
            return (
                f"{self.name!r} is damaged: {lost} of its packets can't be decoded, up to "
                f"{reached}. The {count} frames that can were processed."
            )
        return None

    def _declared_seconds(self) -> float | None:
        if self._stream.duration is not None:
            return float(self._stream.duration * self._stream.time_base)
        if self._container.duration is not None:
            return self._container.duration / 1e6
        return None


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


def open_source(source: str | os.PathLike | int) -> VideoFile | Camera:
    """The camera of that number, or the file at that path."""
    if isinstance(source, int) and not isinstance(source, bool):
        return Camera(source)
    if isinstance(source, str | os.PathLike):
        return VideoFile(source)
    raise ValueError(
        f"source is of type {type(source).__name__}; give the path of a video, or the number of "
        "a camera, such as 0."
    )


def _opened(av: Any, name: str) -> Any:
    try:
        options = _OF_A_FILE if os.path.exists(name) else {}
        # Titles and the like, in whatever letters: they are not read here.
        return av.open(name, options=options, metadata_errors="replace")
    except (OSError, av.error.FFmpegError) as error:
        # EINVAL is what FFmpeg says of a format that is none of ours.
        if not isinstance(error, av.error.InvalidDataError) and error.errno != errno.EINVAL:
            raise ValueError(f"{name!r} can't be opened: {error.strerror}.") from error
        why = "it is no video, or of a kind that isn't read"
        with open(name, "rb") as file:
            head = file.read(12)
        if not head:
            why = "the file is empty"
        elif head[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1"):
            why = "it is a photo (HEIC)"
        elif head[4:8] == b"ftyp":
            why = "its table of frames (moov) is missing, as in a copy or recording cut short"
        raise ValueError(
            f"{name!r} can't be read as a video: {why}. See {page('guide/video')}"
        ) from error


def _upright(frame: Any) -> np.ndarray:
    picture = frame.to_ndarray(format="rgb24")
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture

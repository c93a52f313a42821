"""`VideoFile`, and `IsolatedVideo`, which decodes the same in a child process."""

from __future__ import annotations

import errno
import io
import math
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np

from skfer._images._limits import max_pixels
from skfer._utils import import_extra, page
from skfer._worker import Worker, WorkerError, WorkLimits

# Seconds that a file may declare and not have.
_SECONDS_ALLOWED = 0.5
# Time that runs back by more seconds than this begins again.
_BACKWARDS = 0.1
# A lower rate than one frame a day is no rate. A higher one than this is that of a clock.
_LOWEST_RATE, _HIGHEST_RATE = Fraction(1, 86_400), Fraction(1000)
_USUAL_RATE = Fraction(25)
# Each decoding thread holds frames of its own.
_THREADS = 4

# What a file may be. A playlist, which FFmpeg knows by its content, whatever its name, would make
# it open other files, or addresses in the network.
_FORMATS = (
    "3g2,3gp,apng,asf,avi,dv,flv,gif,h264,hevc,ivf,m4a,m4v,matroska,mj2,mov,mp4,mpeg,mpegts,"
    "mpegvideo,mxf,nut,ogg,rm,webm,wtv,yuv4mpegpipe"
)
_ATTACHED_PICTURE = 0x400  # FFmpeg's AV_DISPOSITION_ATTACHED_PIC

Timed = tuple[float, np.ndarray]


class VideoTooLargeError(ValueError):
    """A video whose frames have more pixels than are decoded."""


@dataclass(frozen=True)
class Decoding:
    """Settings of the decoding of a video.

    Parameters
    ----------
    name : str, default=None
        Name for error messages; None takes the path.
    container : str, default=None
        FFmpeg's name of the only format to try. None tries all that are allowed.
    pixels : int, default=None
        Width times height of the largest frame; None takes `skfer._images._limits.max_pixels`.
    rate : float, default=None
        Frames a second to keep at most; None keeps all.
    longer_side : int, default=None
        Frames are reduced to this longer side.
    end : float, default=None
        Seconds after which reading ends.
    """

    name: str | None = None
    container: str | None = None
    pixels: int | None = None
    rate: float | None = None
    longer_side: int | None = None
    end: float | None = None


def import_av(caller: str) -> Any:
    """Import `av`, or raise an error that says what to install."""
    return import_extra("av", caller, "video")


class VideoFile:
    """The frames of a file, upright, with the seconds since the first.

    Parameters
    ----------
    source : str, os.PathLike or binary file
    decoding : Decoding

    Attributes
    ----------
    n_frames : int or None
        Number of frames that the file declares to show.
    rate : Fraction
        Frames a second, on average.
    seconds : float or None
        Declared duration.
    width, height : int
        Declared size, before the picture is turned upright; 0 if it is not known.
    problem : str or None
        After the frames were read: what could not be, and where.
    """

    lives = False

    def __init__(self, source: str | os.PathLike | BinaryIO, decoding: Decoding = Decoding()):
        self._av = import_av("recognize_video")
        self._decoding = decoding
        self._pixels = decoding.pixels or max_pixels()
        path = os.fspath(source) if isinstance(source, str | os.PathLike) else None
        self.name = path or "the video"
        self._called = decoding.name or repr(path or "The video")
        self._container = self._opened(path if path is not None else source)
        try:
            self._look()
        except BaseException:
            self.close()
            raise

    def _look(self) -> None:
        """Read what the file declares."""
        streams = self._container.streams.video
        moving = [stream for stream in streams if not _is_cover(stream)]
        if not moving:
            others = (
                ", only other tracks" if len(self._container.streams) else " and no other track"
            )
            only = ", only a cover picture" if streams else others
            raise ValueError(f"{self._called} holds no video{only}.")
        self._stream = stream = moving[0]
        if stream.codec_context is None:
            raise ValueError(f"{self._called} holds a video in a coding that isn't known.")
        self.width, self.height = stream.width, stream.height
        self._refuse_pixels(self.width, self.height)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = min(_THREADS, os.cpu_count() or 1)
        # Frames may also become larger than the file says: the decoder doesn't begin with those.
        stream.codec_context.options = {"max_pixels": str(self._pixels)}
        self.rate = self._declared_rate()
        self.seconds = self._declared_seconds()
        self._n_packets = self._declared_packets()
        shown = None if self.seconds is None else round(self.seconds * self.rate)
        counts = [count for count in (self._n_packets, shown) if count is not None]
        self.n_frames = min(counts, default=None)
        self.problem: str | None = None

    def __iter__(self) -> Iterator[Timed]:
        first: float | None = None
        now, count, lost, due = 0.0, 0, 0, 0.0
        step = None if self._decoding.rate is None else 1 / self._decoding.rate
        for frame in self._frames():
            if frame is None:
                lost += 1
                continue
            moment = frame.time
            if moment is not None and not math.isfinite(moment):
                moment = None
            if first is None:
                first = moment or 0.0
            if moment is None:  # a file without time stamps has a steady rate
                moment = count / float(self.rate)
            elif now - (moment - first) > _BACKWARDS:  # another recording was appended
                first = moment - now - 1 / float(self.rate)
                moment = moment - first
            else:
                moment = moment - first
            now = max(now, moment)
            if self._decoding.end is not None and now > self._decoding.end:
                self.problem = (
                    f"{self._called} is longer than {self._decoding.end:g} seconds: the rest was "
                    "not read."
                )
                return
            count += 1
            if step is not None:
                if now < due - step / 100:
                    continue
                due = max(due + step, now + step / 2)
            picture = self._upright(frame)
            if picture is None:
                lost, count = lost + 1, count - 1
                continue
            yield now, picture
        if count == 0:
            # Without a size, the decoder refused it, or found none.
            or_large = f", or of more than {self._pixels / 1e6:g} million pixels"
            raise ValueError(
                f"{self._called} holds no frame that can be decoded: all are damaged"
                f"{'' if self.width else or_large}."
            )
        self.problem = self._missing(count, now, lost)

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _opened(self, source: Any) -> Any:
        # The streams' decoders get these options too, and so refuse large frames from the start.
        options = {"max_pixels": str(self._pixels)}
        is_file = not isinstance(source, str) or os.path.exists(source)
        if is_file:
            if isinstance(source, str) and _is_device(source):
                raise ValueError(f"{self._called} can't be opened: it is a device, not a file.")
            options |= {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
        try:
            # Titles and the like, in whatever letters: they are not read here.
            return self._av.open(
                source,
                "r",
                format=self._decoding.container,
                options=options,
                metadata_errors="replace",
            )
        except MemoryError:
            raise
        except (OSError, ValueError, ArithmeticError, self._av.FFmpegError) as error:
            raise self._unopened(source, error) from error

    def _unopened(self, source: Any, error: Any) -> ValueError:
        number = getattr(error, "errno", None)
        # EINVAL is what FFmpeg says of a format that is none of ours.
        damaged = isinstance(error, self._av.error.InvalidDataError) or number == errno.EINVAL
        if not damaged:
            why = getattr(error, "strerror", None) or str(error)
            return ValueError(f"{self._called} can't be opened: {why}.")
        if isinstance(source, str):
            with open(source, "rb") as file:
                head = file.read(12)
        else:
            source.seek(0)
            head = source.read(12)
        why = "it is no video, or of a kind that isn't read"
        if not head:
            why = "the file is empty"
        elif head[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1"):
            why = "it is a photo (HEIC)"
        elif head[4:8] in (b"ftyp", b"mdat", b"wide"):
            why = (
                "it is damaged or not complete; its table of frames (moov) is missing, as in a "
                "copy or recording cut short"
            )
        return ValueError(
            f"{self._called} can't be read as a video: {why}. See {page('guide/video')}"
        )

    def _refuse_pixels(self, width: int, height: int) -> None:
        if width * height > self._pixels:
            raise VideoTooLargeError(
                f"{self._called} has frames of {width} x {height} pixels; at most "
                f"{self._pixels / 1e6:g} million are decoded."
            )

    def _frames(self) -> Iterator[Any]:
        """Yield every frame; None for a piece that can't be decoded."""
        self._packets, self._reached = 0, 0.0
        # All streams: sound may go on after the pictures, and tells that the file is whole.
        packets = self._container.demux()
        while True:
            try:
                packet = next(packets, None)
            except self._av.FFmpegError:
                packet = None  # the file is broken off where this packet should be
            if packet is None:
                return
            if packet.pts is not None and packet.time_base:
                end = (packet.pts + (packet.duration or 0)) * packet.time_base
                self._reached = max(self._reached, float(end))
            if packet.stream.index != self._stream.index:
                continue
            # The last packet of a stream is empty: it takes the frames that the decoder holds.
            self._packets += packet.size > 0
            if packet.is_corrupt:  # cut short, and its lower half would be gray
                yield None
                continue
            try:
                yield from packet.decode()
            except self._av.FFmpegError:
                yield None

    def _missing(self, count: int, last: float, lost: int) -> str | None:
        """Say what the file declares and does not hold.

        Packets are counted, not frames: an edit list hides frames, and two packets may be one
        frame.
        """
        reached = f"frame {count - 1} ({last:.3f} s)"
        if self._n_packets is not None:
            if self._packets < self._n_packets:
                end = "" if self.seconds is None else f" ({self.seconds:.3f} s)"
                return (
                    f"{self._called} breaks off after {reached}: it declares {self._n_packets} "
                    f"frames{end}. The {count} frames that could be read were processed."
                )
        elif self.seconds is not None and self.seconds - self._reached > _SECONDS_ALLOWED:
            return (
                f"{self._called} breaks off after {reached}: it declares a duration of "
                f"{self.seconds:.3f} s. The {count} frames that could be read were processed."
            )
        if lost:
            return (
                f"{self._called} is damaged: {lost} of its packets can't be decoded, up to "
                f"{reached}. The {count} frames that can were processed."
            )
        return None

    def _declared_rate(self) -> Fraction:
        rates = (self._stream.average_rate, self._stream.guessed_rate)
        rate = next((rate for rate in rates if rate and rate <= _HIGHEST_RATE), _USUAL_RATE)
        if rate < _LOWEST_RATE:
            raise ValueError(
                f"{self._called} declares one frame in {float(1 / rate):.3g} seconds, which can't "
                "be right: its header is damaged."
            )
        return Fraction(rate)

    def _declared_seconds(self) -> float | None:
        stream, container = self._stream, self._container
        if stream.duration is not None and stream.time_base:
            return float(stream.duration * stream.time_base)
        if container.duration is not None:
            return container.duration / self._av.time_base
        return None

    def _declared_packets(self) -> int | None:
        """Return the number of packets that the file should hold, if it says so."""
        if not self._stream.frames:
            return None
        # An edit list may leave samples out, and an AVI counts frames that only repeat another.
        names = set(self._container.format.name.split(","))
        index = self._stream.index_entries
        if "mov" in names and len(index):
            return len(index)
        if "avi" in names and len(index) and self.seconds is not None:
            # The index is at the end of the file: a part of it is of no use.
            last = float(index[-1].timestamp * self._stream.time_base)
            if self.seconds - last < _SECONDS_ALLOWED + 1 / self.rate:
                return len(index)
        return self._stream.frames

    def _upright(self, frame: Any) -> np.ndarray | None:
        """Return the pixels of a frame as it is meant to be seen; None if they can't be had."""
        width, height = frame.width, frame.height
        if self._decoding.longer_side is not None:
            scale = min(1.0, self._decoding.longer_side / max(width, height))
            width, height = (max(1, round(side * scale)) for side in (width, height))
        try:
            picture = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
        except (ValueError, self._av.FFmpegError):
            return None
        # Rows may be padded; contiguous arrays also travel faster between processes.
        return np.ascontiguousarray(np.rot90(picture, round(frame.rotation / 90) % 4))


class IsolatedVideo:
    """A `VideoFile` that is opened and decoded in a child process.

    Parameters
    ----------
    source : str, os.PathLike, bytes or binary file with a descriptor
        A file must be at its beginning.
    worker : Worker or WorkLimits
        Limits start a worker for this video alone.
    decoding : Decoding
    seconds : float, default=None
        Time for all of it, from opening to the last frame; None takes that of the limits.
    abandoned : callable, default=None
        As for `Worker.stream`.

    Attributes
    ----------
    n_frames, rate, seconds, width, height, problem
        As for `VideoFile`. Frames that were read before a limit was exceeded are a problem, not
        an error.
    """

    lives = False

    def __init__(
        self,
        source: str | os.PathLike | bytes | BinaryIO,
        worker: Worker | WorkLimits,
        decoding: Decoding = Decoding(),
        *,
        seconds: float | None = None,
        abandoned: Callable[[], bool] | None = None,
    ):
        import_av("recognize_video")
        self._own: Worker | None = None
        if isinstance(worker, WorkLimits):
            seconds = worker.seconds if seconds is None else seconds
            worker = self._own = Worker(worker.memory)
        file: Any = None
        args: tuple[Any, ...] = (decoding,)
        if isinstance(source, str | os.PathLike):
            path = os.fspath(source)
            decoding = replace(decoding, name=decoding.name or repr(path))
            args = (os.path.abspath(path) if os.path.exists(path) else path, decoding)
        elif isinstance(source, bytes):
            args = (source, decoding)
        else:
            file = source
        self.name = decoding.name or "The video"
        self.problem: str | None = None
        self._items = worker.stream(decode, *args, file=file, seconds=seconds, abandoned=abandoned)
        try:
            declared = next(self._items)
        except BaseException as error:
            self.close()
            if isinstance(error, WorkerError):
                raise self._explained(error) from error
            raise
        self.n_frames: int | None = declared["n_frames"]
        self.rate: Fraction = declared["rate"]
        self.seconds: float | None = declared["seconds"]
        self.width: int = declared["width"]
        self.height: int = declared["height"]

    def __iter__(self) -> Iterator[Timed]:
        count, now = 0, 0.0
        try:
            for item in self._items:
                if not isinstance(item, tuple):
                    self.problem = item
                    continue
                now = item[0]
                yield item
                count += 1
        except WorkerError as error:
            if count == 0 or error.reason == "abandoned":
                raise self._explained(error) from error
            self.problem = (
                f"{self.name} was read up to frame {count - 1} ({now:.3f} s): {error} The rest was "
                "not read."
            )

    def close(self) -> None:
        """End the decoding."""
        self._items.close()  # type: ignore[attr-defined]
        if self._own is not None:
            self._own.close()

    def _explained(self, error: WorkerError) -> WorkerError:
        return WorkerError(f"{self.name} can't be read as a video: {error}", error.reason)


def decode(source: str | bytes | BinaryIO, decoding: Decoding) -> Iterator[Any]:
    """Decode a video in a child process.

    Yields
    ------
    dict, then (float, ndarray) for each frame, then str or None
        What the file declares, the frames, and the `problem`.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    with closing(VideoFile(file, decoding)) as video:
        names = ("n_frames", "rate", "seconds", "width", "height")
        yield {name: getattr(video, name) for name in names}
        yield from video
        yield video.problem


def _is_device(path: str) -> bool:
    kind = os.stat(path).st_mode
    return stat.S_ISBLK(kind) or stat.S_ISCHR(kind)


def _is_cover(stream: Any) -> bool:
    """Tell whether a stream is the picture of a song or a title, not a video."""
    return bool(stream.disposition.value & _ATTACHED_PICTURE)

"""Frames of a video file: `VideoFile` in this process, `IsolatedVideo` in a child process."""

from __future__ import annotations

import errno
import io
import math
import os
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from skfer._images._limits import max_pixels
from skfer._utils import import_extra, page
from skfer._worker import Worker, WorkerError, WorkLimits

# A file may declare a duration longer than its frames by these seconds.
_SECONDS_ALLOWED = 0.5
# Timestamps that decrease by more seconds are those of another recording in the same file.
_BACKWARDS = 0.1
# A rate below one frame a day is an error in the file. One above 1000 is the rate of a clock.
_LOWEST_RATE, _HIGHEST_RATE = Fraction(1, 86_400), Fraction(1000)
_DEFAULT_RATE = Fraction(25)
# Each decoding thread has its own frames in memory.
_THREADS = 4

# Playlists are excluded: they could open other files or network addresses. FFmpeg detects formats
# by content, not by name.
_FORMATS = (
    "3g2,3gp,apng,asf,avi,dv,flv,gif,h264,hevc,ivf,m4a,m4v,matroska,mj2,mov,mp4,mpeg,mpegts,"
    "mpegvideo,mxf,nut,ogg,rm,webm,wtv,yuv4mpegpipe"
)
_ATTACHED_PICTURE = 0x400  # FFmpeg's AV_DISPOSITION_ATTACHED_PIC

# Seconds since the first frame, and the frame.
Timed = tuple[float, np.ndarray]


class VideoTooLargeError(ValueError):
    """Video whose frames have more pixels than allowed."""


@dataclass(frozen=True)
class Decoding:
    """Settings of the decoding of a video.

    None means the path as name, any format, the default limit of pixels, all frames in their
    size, and no end.
    """

    name: str | None = None  # for error messages
    container: str | None = None  # FFmpeg's name of the format
    pixels: int | None = None  # largest width times height of a frame
    rate: float | None = None  # largest number of frames a second
    longer_side: int | None = None  # of the frames, if they are larger
    end: float | None = None  # seconds


def import_av() -> Any:
    """Import PyAV."""
    return import_extra("av", "A video file", "video")


class VideoFile:
    """Iterable over the upright frames of a file, with the seconds since the first.

    Attributes
    ----------
    n_frames : int or None
        Declared number of visible frames.
    rate : Fraction
        Average number of frames a second.
    seconds : float or None
        Declared duration.
    width, height : int
        Declared size, before the rotation; 0 if unknown.
    problem : str or None
        After the iteration: description of what could not be read.
    """

    def __init__(self, source: str | os.PathLike | BinaryIO, decoding: Decoding = Decoding()):
        self._av = import_av()
        self._decoding = decoding
        self._pixels = decoding.pixels or max_pixels()
        path = os.fspath(source) if isinstance(source, str | os.PathLike) else None
        self._label = decoding.name or (repr(path) if path else "The video")
        self._container = self._open(path if path is not None else source)
        try:
            self._read_header()
        except BaseException:
            self.close()
            raise

    def _read_header(self) -> None:
        streams = self._container.streams.video
        videos = [stream for stream in streams if not stream.disposition.value & _ATTACHED_PICTURE]
        if not videos:
            if streams:
                other = ", only a cover picture"
            else:
                others = len(self._container.streams)
                other = ", only other tracks" if others else " and no other track"
            raise ValueError(f"{self._label} holds no video{other}.")
        self._stream = stream = videos[0]
        if stream.codec_context is None:
            raise ValueError(f"{self._label} has an unknown video codec.")
        self.width, self.height = stream.width, stream.height
        if self.width * self.height > self._pixels:
            raise VideoTooLargeError(
                f"{self._label} has frames of {self.width} x {self.height} pixels; at most "
                f"{self._pixels / 1e6:g} million are decoded."
            )
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = min(_THREADS, os.cpu_count() or 1)
        # The decoder rejects frames that are larger than the header declares.
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
            timestamp = frame.time
            if timestamp is not None and not math.isfinite(timestamp):
                timestamp = None
            if first is None:
                first = timestamp or 0.0
            if timestamp is None:
                elapsed = count / float(self.rate)
            else:
                if now - (timestamp - first) > _BACKWARDS:  # another recording follows
                    first = timestamp - now - 1 / float(self.rate)
                elapsed = timestamp - first
            now = max(now, elapsed)
            if self._decoding.end is not None and now > self._decoding.end:
                self.problem = (
                    f"{self._label} is longer than {self._decoding.end:g} seconds: the rest was "
                    "not read."
                )
                return
            count += 1
            if step is not None:
                if now < due - step / 100:
                    continue
                due = max(due + step, now + step / 2)
            image = self._upright(frame)
            if image is None:
                lost, count = lost + 1, count - 1
                continue
            yield now, image
        if count == 0:
            # The size is unknown if the decoder rejected it.
            large = "" if self.width else f", or of more than {self._pixels / 1e6:g} million pixels"
            raise ValueError(
                f"{self._label} holds no frame that can be decoded: all are damaged{large}."
            )
        self.problem = self._describe_loss(count, now, lost)

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _open(self, source: Any) -> Any:
        # The decoders of the streams get these options, too.
        options = {"max_pixels": str(self._pixels)}
        if not isinstance(source, str) or os.path.exists(source):
            file = Path(source) if isinstance(source, str) else None
            if file and (file.is_block_device() or file.is_char_device()):
                raise ValueError(f"{self._label} can't be opened: it is a device, not a file.")
            options |= {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
        try:
            return self._av.open(
                source,
                "r",
                format=self._decoding.container,
                options=options,
                metadata_errors="replace",  # titles may have any encoding
            )
        except MemoryError:
            raise
        except (OSError, ValueError, ArithmeticError, self._av.FFmpegError) as error:
            raise self._open_error(source, error) from error

    def _open_error(self, source: Any, error: Any) -> ValueError:
        number = getattr(error, "errno", None)
        # FFmpeg reports EINVAL for a format that is not allowed.
        is_unknown = isinstance(error, self._av.error.InvalidDataError) or number == errno.EINVAL
        # The beginning of an address or a pipe can't be read again.
        if not is_unknown or (isinstance(source, str) and not os.path.isfile(source)):
            reason = getattr(error, "strerror", None) or str(error)
            return ValueError(f"{self._label} can't be opened: {reason}.")
        with open(source, "rb") if isinstance(source, str) else nullcontext(source) as file:
            file.seek(0)
            head = file.read(12)
        reason = "it is not a video, or of an unknown format"
        if not head:
            reason = "the file is empty"
        elif head[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1"):
            reason = "it is a photo (HEIC)"
        elif head[4:8] in (b"ftyp", b"mdat", b"wide"):
            reason = (
                "it is damaged or not complete: its table of frames (moov) is missing, as in a "
                "truncated copy or recording"
            )
        return ValueError(
            f"{self._label} can't be read as a video: {reason}. See {page('guide/video')}"
        )

    def _frames(self) -> Iterator[Any]:
        """Yield every frame, and None for each part that can't be decoded."""
        self._packets, self._reached = 0, 0.0
        # All streams: sound after the last frame shows that the file is complete.
        packets = self._container.demux()
        while True:
            try:
                packet = next(packets, None)
            except self._av.FFmpegError:
                packet = None  # the file is truncated
            if packet is None:
                return
            if packet.pts is not None and packet.time_base:
                end = (packet.pts + (packet.duration or 0)) * packet.time_base
                self._reached = max(self._reached, float(end))
            if packet.stream.index != self._stream.index:
                continue
            # The last packet of a stream is empty: it makes the decoder return its frames.
            self._packets += packet.size > 0
            if packet.is_corrupt:  # truncated: a part of the frame would be gray
                yield None
                continue
            try:
                yield from packet.decode()
            except self._av.FFmpegError:
                yield None

    def _describe_loss(self, count: int, last: float, lost: int) -> str | None:
        """Describe what the file declares but does not contain.

        Packets are compared, not frames: an edit list hides frames, and a frame may have two
        packets.
        """
        reached = f"frame {count - 1} ({last:.3f} s)"
        declared = None
        if self._n_packets is not None:
            if self._packets < self._n_packets:
                end = "" if self.seconds is None else f" ({self.seconds:.3f} s)"
                declared = f"{self._n_packets} frames{end}"
        elif self.seconds is not None and self.seconds - self._reached > _SECONDS_ALLOWED:
            declared = f"a duration of {self.seconds:.3f} s"
        if declared:
            return (
                f"{self._label} is truncated after {reached}: it declares {declared}. Frames "
                f"processed: {count}."
            )
        if lost:
            return (
                f"{self._label} is damaged: {lost} of its packets up to {reached} can't be "
                f"decoded. Frames processed: {count}."
            )
        return None

    def _declared_rate(self) -> Fraction:
        rates = (self._stream.average_rate, self._stream.guessed_rate)
        rate = next((rate for rate in rates if rate and rate <= _HIGHEST_RATE), _DEFAULT_RATE)
        if rate < _LOWEST_RATE:
            raise ValueError(
                f"{self._label} declares one frame in {float(1 / rate):.3g} seconds: its header is "
                "damaged."
            )
        return Fraction(rate)

    def _declared_seconds(self) -> float | None:
        stream, duration = self._stream, self._container.duration
        if stream.duration is not None and stream.time_base:
            return float(stream.duration * stream.time_base)
        return None if duration is None else duration / self._av.time_base

    def _declared_packets(self) -> int | None:
        """Return the declared number of packets."""
        if not self._stream.frames:
            return None
        # An edit list may omit samples, and the header of an AVI counts repeated frames.
        names = set(self._container.format.name.split(","))
        index = self._stream.index_entries
        if "mov" in names and len(index):
            return len(index)
        if "avi" in names and len(index) and self.seconds is not None:
            # The index is at the end of the file and may be truncated.
            last = float(index[-1].timestamp * self._stream.time_base)
            if self.seconds - last < _SECONDS_ALLOWED + 1 / self.rate:
                return len(index)
        return self._stream.frames

    def _upright(self, frame: Any) -> np.ndarray | None:
        """Return the rotated frame as RGB; None if it can't be converted."""
        width, height = frame.width, frame.height
        if self._decoding.longer_side is not None:
            scale = min(1.0, self._decoding.longer_side / max(width, height))
            width, height = (max(1, round(side * scale)) for side in (width, height))
        try:
            image = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
        except (ValueError, self._av.FFmpegError):
            return None
        # Rows may be padded.
        return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90) % 4))


class IsolatedVideo:
    """A `VideoFile` that is opened and decoded in a child process.

    A file with a descriptor must be at its start. Limits create a worker for this video. `seconds`
    is the time from opening to the last frame; None means that of the limits. `abandoned` is as
    in `Worker.call`. A limit that is exceeded after the first frame sets `problem`.
    """

    def __init__(
        self,
        source: str | os.PathLike | bytes | BinaryIO,
        worker: Worker | WorkLimits,
        decoding: Decoding = Decoding(),
        *,
        seconds: float | None = None,
        abandoned: Callable[[], bool] | None = None,
    ):
        import_av()
        self._private_worker: Worker | None = None
        if isinstance(worker, WorkLimits):
            seconds = worker.seconds if seconds is None else seconds
            worker = self._private_worker = Worker(worker.memory)
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
        self._label = decoding.name or "The video"
        self.problem: str | None = None
        self._items = worker.stream(
            decode_video, *args, file=file, seconds=seconds, abandoned=abandoned
        )
        try:
            self.n_frames, self.rate, self.seconds = next(self._items)
        except BaseException as error:
            self.close()
            if isinstance(error, WorkerError):
                raise self._describe(error) from error
            raise

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
                raise self._describe(error) from error
            self.problem = (
                f"{self._label} was read up to frame {count - 1} ({now:.3f} s): {error} The rest "
                "was not read."
            )

    def close(self) -> None:
        """Stop the decoding."""
        self._items.close()  # type: ignore[attr-defined]
        if self._private_worker is not None:
            self._private_worker.close()

    def _describe(self, error: WorkerError) -> WorkerError:
        return WorkerError(f"{self._label} can't be read as a video: {error}", error.reason)


def decode_video(source: str | bytes | BinaryIO, decoding: Decoding) -> Iterator[Any]:
    """Yield the header, the frames with their times, and the `problem`."""
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    with closing(VideoFile(file, decoding)) as video:
        yield video.n_frames, video.rate, video.seconds
        yield from video
        yield video.problem

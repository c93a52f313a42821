"""Uploaded photos and videos, decoded in child processes within limits."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from io import BytesIO
from itertools import chain, islice
from typing import IO
from urllib.parse import unquote_plus

import cv2
import numpy as np
from flask import Request
from werkzeug.exceptions import (
    BadRequest,
    RequestEntityTooLarge,
    UnprocessableEntity,
    UnsupportedMediaType,
)
from werkzeug.exceptions import NotImplemented as NotInstalled

from skfer._images._decoding import decode, describe_text
from skfer._images._limits import TooManyPixelsError
from skfer._utils import shorten
from skfer._video_file import Decoding, IsolatedVideo, VideoTooLargeError, import_av
from skfer._worker import WorkerError, WorkerPool
from skfer.web._limits import Limits

_PHOTO = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF....WEBP|BM", re.DOTALL)
_JSON = re.compile(r"\s*(?:[{\[]|\"(?:data:|[A-Za-z0-9+/=]{16}))")
_FIELD = re.compile(r"[\w.\[\]-]{1,40}=")
# First bytes of a file, by FFmpeg's name of the format. FFmpeg must not guess the format: it could
# take a file for a playlist, and open other files of this machine.
_CONTAINERS = {
    "mov": re.compile(rb".{4}(ftyp|moov|mdat|wide)", re.DOTALL),
    "matroska": re.compile(rb"\x1aE\xdf\xa3"),
    "avi": re.compile(rb".{8}AVI ", re.DOTALL),
    "ogg": re.compile(rb"OggS"),
}
_CHUNK = 1 << 20
# Larger frames are reduced to this longer side: the same faces are found in less time.
_LONGER_SIDE = 1280


class UploadRequest(Request):
    """Request whose forms keep a photo in memory and a video in a temporary file."""

    def _get_file_stream(self, *_: object, **__: object) -> IO[bytes]:
        return tempfile.TemporaryFile() if self.endpoint == "api.video" else BytesIO()


def uploaded_file(request: Request, max_bytes: int, fields: Sequence[str] = ()) -> IO[bytes]:
    """Return the one file of a request: its body, or the file of a form with these other fields."""
    request.max_content_length = max_bytes
    declared = request.content_length
    if declared is not None and declared > max_bytes:
        raise RequestEntityTooLarge(
            f"The upload has {declared / 1e6:,.1f} MB; the limit is {max_bytes / 1e6:g} MB. Make "
            "it smaller, or use skfer from Python, which has no such limit."
        )
    if request.mimetype != "multipart/form-data":
        return request.stream
    files = [file for _, file in request.files.items(multi=True)]
    if len(files) != 1:
        raise BadRequest(f"The form has {len(files)} files; send one file in each request.")
    for name in request.form:
        if name not in fields:
            raise BadRequest(
                f"The form has a field {shorten(name)}. Add parameters to the URL, such as "
                "?model=NAME."
            )
    return files[0].stream


def decode_photo(
    data: bytes,
    limits: Limits,
    workers: WorkerPool,
    abandoned: Callable[[], bool] | None = None,
) -> np.ndarray:
    """Decode a photo in a child process and apply its orientation.

    `abandoned` returns whether the client has disconnected, which ends the work.
    """
    if not data:
        raise BadRequest("The body is empty: send the bytes of a photo.")
    if not _PHOTO.match(data):
        _refuse_text(data[:4096], "photo.jpg")
        raise UnsupportedMediaType("The file is not a JPEG, PNG, WebP or BMP, whatever its name.")
    with workers.worker() as worker:
        try:
            return worker.call(
                decode,
                data,
                "The photo",
                limits.photo_pixels,
                seconds=limits.photo_seconds,
                abandoned=abandoned,
            )
        except TooManyPixelsError as error:
            raise RequestEntityTooLarge(str(error)) from error
        except WorkerError as error:
            if error.reason in ("memory", "time"):
                raise RequestEntityTooLarge(f"The photo can't be decoded. {error}") from error
            raise UnprocessableEntity(f"The photo can't be decoded. {error}") from error
        except ValueError as error:
            raise UnprocessableEntity(str(error)) from error


def warm_up(workers: WorkerPool, count: int) -> None:
    """Decode a small photo in each worker, so that it imports what it needs."""
    photo = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    with ExitStack() as stack:
        for worker in [stack.enter_context(workers.worker()) for _ in range(count)]:
            worker.call(decode, photo, "The photo", 64)


class UploadedVideo:
    """Video in a temporary file without a name, decoded in a child process within limits.

    The caller's `stack` closes both. `rate` is the maximum number of frames a second that are
    read. `duration` is None if the file does not declare it. `width` and `height` are those of the
    rotated frames.
    """

    def __init__(
        self,
        upload: IO[bytes],
        stack: ExitStack,
        limits: Limits,
        workers: WorkerPool,
        rate: float,
        abandoned: Callable[[], bool] | None = None,
    ):
        try:
            import_av()
        except ImportError as error:
            raise NotInstalled(str(error)) from error
        file = stack.enter_context(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115
        shutil.copyfileobj(upload, file, _CHUNK)
        file.seek(0)
        container = _container_of(file.read(4096))
        file.seek(0)
        decoding = Decoding(
            name="The video",
            container=container,
            pixels=limits.video_pixels,
            rate=rate,
            longer_side=_LONGER_SIDE,
            end=limits.video_seconds,
        )
        worker = stack.enter_context(workers.worker())
        try:
            self._video = IsolatedVideo(
                file, worker, decoding, seconds=limits.work_seconds, abandoned=abandoned
            )
            stack.callback(self._video.close)
            self.duration = self._video.seconds
            if self.duration is not None and self.duration > limits.video_seconds:
                raise RequestEntityTooLarge(
                    f"The video is {self.duration:.0f} seconds long; the limit is "
                    f"{limits.video_seconds:g} seconds. Cut it, or use skfer from Python, which "
                    "has no such limit."
                )
            self._frames = iter(self._video)
            self._first = next(self._frames)
        except VideoTooLargeError as error:
            raise RequestEntityTooLarge(f"{error} Make it smaller.") from error
        except ValueError as error:
            raise UnprocessableEntity(str(error)) from error
        self.height, self.width = self._first[1].shape[:2]

    @property
    def problem(self) -> str | None:
        """Why reading stopped before the end of the video, or None."""
        return self._video.problem

    def batches(self, size: int) -> Iterator[list[tuple[float, np.ndarray]]]:
        """Yield batches of times in seconds and frames (RGB, uint8)."""
        frames = chain([self._first], self._frames)
        while batch := list(islice(frames, size)):
            yield batch


def _container_of(start: bytes) -> str:
    if not start:
        raise BadRequest("The body is empty: send the bytes of a video.")
    for container, signature in _CONTAINERS.items():
        if signature.match(start):
            return container
    _refuse_text(start, "talk.mp4")
    raise UnsupportedMediaType(
        "The file is not an MP4, MOV, WebM, MKV, AVI or Ogg video, whatever its name."
    )


def _refuse_text(start: bytes, name: str) -> None:
    """Raise the error for JSON, a data URL, base64 or form fields instead of a file.

    `start` is the beginning of the upload, and `name` a file name for the example in the message.
    """
    text = unquote_plus(start.decode("latin-1"))
    field = _FIELD.match(text)
    if _JSON.match(text):
        kind = "JSON"
    elif described := describe_text(text[field.end() :] if field else text):
        kind = described.partition(":")[0]
    else:
        return
    raise UnsupportedMediaType(
        f"The upload is {kind}, which is not accepted. Send the bytes of the file: as the body, "
        f"curl --data-binary @{name}, or as the one file of a form, curl -F file=@{name}."
    )

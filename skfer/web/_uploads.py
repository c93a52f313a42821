"""Uploads: their bytes, and the photo in them."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from io import BytesIO
from tempfile import TemporaryFile
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

from skfer._images._decoding import decode, describe_text
from skfer._images._limits import TooManyPixelsError
from skfer._worker import WorkerError, WorkerPool
from skfer.web._limits import Limits

_MEGA = 1_000_000
_PHOTO = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF....WEBP|BM", re.DOTALL)
_JSON = re.compile(r"\s*(?:[{\[]|\"(?:data:|[A-Za-z0-9+/=]{16}))")
_FIELD = re.compile(r"[\w.\[\]-]{1,40}=")


class UploadRequest(Request):
    """A request whose form keeps a photo in memory. A video goes to a temporary file."""

    def _get_file_stream(self, *_: object, **__: object) -> IO[bytes]:
        return TemporaryFile() if self.endpoint == "api.video" else BytesIO()


def sent_file(request: Request, most_bytes: int) -> IO[bytes]:
    """The one file of a request, from its beginning: the body itself, or a form's file.

    Raises
    ------
    werkzeug.exceptions.RequestEntityTooLarge
        If it is declared to be, or turns out to be, larger than `most_bytes`.
    werkzeug.exceptions.BadRequest
        If there is none, or several.
    """
    request.max_content_length = most_bytes
    declared = request.content_length
    if declared is not None and declared > most_bytes:
        raise RequestEntityTooLarge(
            f"The upload has {declared / _MEGA:,.1f} MB; at most {most_bytes / _MEGA:g} MB are "
            "taken. Make it smaller, or use skfer from Python, which has no such limit."
        )
    if request.mimetype != "multipart/form-data":
        return request.stream
    files = [file for _, file in request.files.items(multi=True)]
    if len(files) != 1:
        raise BadRequest(f"The form holds {len(files)} files; send one a request.")
    return files[0].stream


def decoded_photo(
    data: bytes,
    limits: Limits,
    workers: WorkerPool,
    abandoned: Callable[[], bool] | None = None,
) -> np.ndarray:
    """Decode a photo in a child process, upright.

    Parameters
    ----------
    data : bytes
    limits : Limits
    workers : WorkerPool
    abandoned : callable, default=None
        Tells whether the client has left, which ends the work.

    Raises
    ------
    werkzeug.exceptions.HTTPException
        400 for nothing, 413 for too many pixels or too much work, 415 for what is no photo, 422
        for one that is damaged.
    """
    if not data:
        raise BadRequest("Nothing was sent: the body has to be the bytes of a photo.")
    if not _PHOTO.match(data):
        refuse_text(data[:4096], "photo.jpg")
        raise UnsupportedMediaType(
            "This is no photo that can be read, whatever its name says: send a JPEG, PNG, WebP "
            "or BMP."
        )
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
    """Decode a small photo in as many workers, which imports what they need."""
    photo = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    with ExitStack() as stack:
        for worker in [stack.enter_context(workers.worker()) for _ in range(count)]:
            worker.call(decode, photo, "The photo", 64)


def refuse_text(start: bytes, name: str) -> None:
    """Refuse text where a file is expected: JSON, a data URL, base64, or fields of a form.

    Parameters
    ----------
    start : bytes
        How the upload begins.
    name : str
        The name of a file for the example.

    Raises
    ------
    werkzeug.exceptions.UnsupportedMediaType
    """
    text = unquote_plus(start.decode("latin-1"))
    field = _FIELD.match(text)
    if _JSON.match(text):
        what = "This is JSON, which is not taken"
    elif instead := describe_text(text[field.end() :] if field else text):
        what = f"This is {instead.partition(':')[0]}, which is not taken"
    else:
        return
    raise UnsupportedMediaType(
        f"{what}. Send the bytes of the file itself: as the body, curl --data-binary @{name}, or "
        f"as the one file of a form, curl -F file=@{name}."
    )

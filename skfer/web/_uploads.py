"""What was sent: its bytes, and the photo in them."""

from __future__ import annotations

import re
from io import BytesIO
from tempfile import TemporaryFile
from typing import IO
from urllib.parse import unquote_plus

import numpy as np
from flask import Request
from werkzeug.exceptions import (
    BadRequest,
    RequestEntityTooLarge,
    UnprocessableEntity,
    UnsupportedMediaType,
)

from skfer._decoding import open_image, text_instead
from skfer._image_limits import TooManyPixelsError
from skfer._images import read_image
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


def decoded_photo(data: bytes, limits: Limits) -> np.ndarray:
    """A photo that was sent, upright.

    Raises
    ------
    werkzeug.exceptions.HTTPException
        400 for nothing, 413 for too many pixels, 415 for what is no photo, 422 for one that is
        damaged.
    """
    if not data:
        raise BadRequest("Nothing was sent: the body has to be the bytes of a photo.")
    if not _PHOTO.match(data):
        refuse_text(data[:4096], "photo.jpg")
        raise UnsupportedMediaType(
            "This is no photo that can be read, whatever its name says: send a JPEG, PNG, WebP "
            "or BMP."
        )
    try:
        with open_image(data, "The photo") as image:
            size = image.size
    except TooManyPixelsError as error:
        raise RequestEntityTooLarge(str(error)) from error
    except ValueError as error:
        raise UnprocessableEntity(str(error)) from error
    refuse_pixels(size, limits.photo_pixels, "photo")
    try:
        return read_image(data, 0)
    except ValueError as error:
        raise UnprocessableEntity(str(error).replace("X[0]", "The photo", 1)) from error


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
    elif instead := text_instead(text[field.end() :] if field else text):
        what = f"This is {instead.partition(':')[0]}, which is not taken"
    else:
        return
    raise UnsupportedMediaType(
        f"{what}. Send the bytes of the file itself: as the body, curl --data-binary @{name}, or "
        f"as the one file of a form, curl -F file=@{name}."
    )


def refuse_pixels(size: tuple[int, int], most: int, what: str) -> None:
    """Refuse a picture of more pixels than that.

    Raises
    ------
    werkzeug.exceptions.RequestEntityTooLarge
    """
    width, height = size
    if width * height > most:
        raise RequestEntityTooLarge(
            f"The {what} has {width} x {height} pixels; at most {most / _MEGA:g} million are "
            "taken. Make it smaller."
        )

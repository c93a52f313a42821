"""`create_app`: the page and its API as a WSGI application."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Collection
from typing import Any
from urllib.parse import SplitResult, urlsplit

from flask import Flask, Request, Response, render_template, request
from werkzeug.exceptions import BadRequest, Forbidden, HTTPException, TooManyRequests

from skfer import __version__
from skfer._worker import WorkerPool
from skfer.web._api import make_api
from skfer.web._limits import BusyError, Limits, WorkSlots
from skfer.web._readers import Reader, Readers
from skfer.web._uploads import UploadRequest

RETRY_AFTER = 1  # second

_HEADERS = {
    # Only scripts, styles and requests of the page itself, and nothing inline.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' blob:; media-src 'self' blob:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), display-capture=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def create_app(
    reader: Reader | Readers, *, limits: Limits | None = None, hosts: Collection[str] = ()
) -> Flask:
    """Return the web page and its JSON API as a Flask application, for any WSGI server.

    Uploads are not stored: a photo stays in memory, and a video in a temporary file without a
    name, until the response is sent. The WSGI server may buffer uploads in files.

    Parameters
    ----------
    reader : FaceReader, object with ``read(images)`` and ``classes``, or Readers
        Detects and classifies faces. With `Readers`, the page offers a choice of models and
        detectors.
    limits : Limits, default=None
        Limits on uploads. None means ``Limits()``.
    hosts : collection of str, default=()
        Host names of the page. Requests for other names are refused, except for localhost and
        IP addresses.

    Returns
    -------
    flask.Flask

    See Also
    --------
    serve : Serve the application.

    Notes
    -----
    ==========================  ======================================================
    ``GET /``                   the page
    ``POST /api/v1/recognize``  faces of a photo with boxes and probabilities; the
                                body is the photo, or a form with one file
    ``POST /api/v1/video``      faces of each frame of a video; one line for each
                                frame with ``Accept: application/x-ndjson``
    ``GET /api/v1/options``     models and detectors with descriptions, and limits
    ``GET /api/v1/health``      ``status`` "ok", or "loading" before the first model
                                is loaded
    ==========================  ======================================================

    ``?model=`` and ``?detector=`` choose, ``?on_missing=`` sets the result of a photo without a
    face (see `FaceCropper`; "blank" by default), and ``?rate=`` the frames a second of a video. An
    error is ``{"error": {"status": ..., "name": ..., "message": ...}}``.

    A face of a video has the same `id` in each frame, and probabilities smoothed over time
    (``?smoothing=`` seconds, 0.3). So has a face of single frames of a camera sent with ``?time=``
    (seconds) and a form's field ``known``, the `known` of the previous response.

    Examples
    --------
    >>> from skfer.detection import Detections
    >>> from skfer.web import create_app
    >>> class Blind:
    ...     classes = ["happy", "sad"]
    ...
    ...     def read(self, images):
    ...         return []
    >>> create_app(Blind()).test_client().get("/api/v1/health").json["status"]
    'ok'
    """
    limits = limits or Limits()
    one = ["default"]
    readers = reader if isinstance(reader, Readers) else Readers(lambda *_: reader, one, one)
    names = {"localhost", *(name.lower() for name in hosts)}

    app = Flask("skfer.web")
    app.request_class = UploadRequest
    # Applies to requests that no view reads; the views set their limits.
    app.config["MAX_CONTENT_LENGTH"] = limits.photo_bytes
    app.json.sort_keys = False  # type: ignore[attr-defined]

    @app.before_request
    def check_sender() -> None:
        _check_host(request, names)
        if request.method not in ("GET", "HEAD"):
            _check_origin(request)

    @app.get("/")
    def page() -> str:
        return render_template("page.html", version=__version__)

    @app.get("/favicon.ico")
    def icon() -> Response:
        return app.send_static_file("icon.svg")

    @app.errorhandler(HTTPException)
    def error_response(error: HTTPException) -> Any:
        response = error.get_response()
        message = error.description or error.name
        response.data = json.dumps(error_body(error.code or 500, error.name, message))
        response.content_type = "application/json"
        return response

    @app.errorhandler(BusyError)
    def busy_response(error: BusyError) -> Any:
        message = "Too many uploads are being processed. Try again later."
        return error_response(TooManyRequests(message, retry_after=RETRY_AFTER))

    app.after_request(_add_headers)
    workers = app.extensions["skfer-workers"] = WorkerPool(limits.work_memory)
    slots = WorkSlots(limits.concurrent, limits.patience)
    app.register_blueprint(make_api(readers, limits, slots, workers))
    return app


def error_body(status: int, name: str, message: str) -> dict[str, Any]:
    """Return the JSON of an error."""
    return {"error": {"status": status, "name": name, "message": message}}


def _add_headers(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if not response.cache_control:
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _check_host(request: Request, names: Collection[str]) -> None:
    """Raise `BadRequest` for an unknown host name, against DNS rebinding.

    Another site's name can be made to resolve to 127.0.0.1, and its pages would then have the
    same origin as this one. This needs a name, so IP addresses are accepted.
    """
    name = _split(f"//{request.host}", "Host").hostname or ""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        if name not in names:
            raise BadRequest(
                f"This page does not have the host name {name!r}. Open it as localhost, or start "
                f"it with hosts=[{name!r}]."
            ) from None


def _check_origin(request: Request) -> None:
    """Raise `Forbidden` for a request of another site's page, against cross-site request forgery.

    Browsers send ``Origin`` and ``Sec-Fetch-Site``, which scripts can't change. Other programs
    send neither.
    """
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin")
    foreign = origin is not None and _split(origin, "Origin").netloc != request.host
    if foreign or site not in ("same-origin", "none"):
        raise Forbidden("Pages of other sites can't send uploads to this server.")


def _split(address: str, header: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError as error:  # such as an unclosed bracket
        raise BadRequest(f"The {header} header is not a valid address.") from error

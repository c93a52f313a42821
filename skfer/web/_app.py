"""`create_app`: the page and its API as a WSGI application."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from skfer._utils import import_extra
from skfer._worker import WorkerPool
from skfer.web._limits import Limits, Places
from skfer.web._readers import Reader, Readers

if TYPE_CHECKING:
    from flask import Flask

_OWN_NAMES = ("localhost",)


def create_app(
    reader: Reader | Readers, *, limits: Limits | None = None, hosts: Collection[str] = ()
) -> Flask:
    """The web page and its JSON API as a Flask application, for a WSGI server of your own.

    Nothing of an upload is kept: a photo stays in memory, a video in a temporary file without a
    name, until the answer is sent. The WSGI server may buffer uploads in files of its own.

    Parameters
    ----------
    reader : FaceReader, object with ``read(images)`` and ``classes``, or Readers
        What reads the faces. With `Readers`, the page offers a choice of models and detectors.
    limits : Limits, default=None
        What is taken at most; None is ``Limits()``.
    hosts : collection of str, default=()
        Names, beside localhost and any address, by which the page may be reached.

    Returns
    -------
    flask.Flask

    Raises
    ------
    ImportError
        If Flask is not installed.

    See Also
    --------
    serve : The same, served.

    Notes
    -----
    ==========================  ======================================================
    ``GET /``                   the page
    ``POST /api/v1/recognize``  the bytes of a photo, alone or as a form's file; its
                                faces with boxes and probabilities
    ``POST /api/v1/video``      the same of a video, frame by frame; a line for each
                                with ``Accept: application/x-ndjson``
    ``GET /api/v1/options``     models, detectors and limits
    ``GET /api/v1/health``      whether it lives
    ==========================  ======================================================

    ``?model=``, ``?detector=`` and, for a video, ``?rate=`` (frames a second) choose. An error is
    ``{"error": {"status": ..., "name": ..., "message": ...}}``.

    Faces of a video have an `id`, the same in every frame, and probabilities smoothed over time
    (``?smoothing=`` seconds, 0.3). So have those of single frames of a camera that come with
    ``?time=`` (seconds): a form's field ``known`` takes what the answer before said of that name.

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
    import_extra("flask", "The web page", "web")
    from flask import Flask, Response, render_template, request

    from skfer import __version__
    from skfer.web._api import make_api
    from skfer.web._errors import answer_in_json
    from skfer.web._security import add_headers, refuse_foreign_names, refuse_other_sites
    from skfer.web._uploads import UploadRequest

    limits = limits or Limits()
    readers = reader if isinstance(reader, Readers) else Readers.only(reader)
    names = {*_OWN_NAMES, *(name.lower() for name in hosts)}

    app = Flask("skfer.web")
    app.request_class = UploadRequest
    # Forms of any other size than a view's own are refused unread.
    app.config["MAX_CONTENT_LENGTH"] = limits.photo_bytes
    app.json.sort_keys = False  # type: ignore[attr-defined]

    @app.before_request
    def check_sender() -> None:
        refuse_foreign_names(request, names)
        if request.method not in ("GET", "HEAD"):
            refuse_other_sites(request)

    @app.get("/")
    def page() -> str:
        return render_template("page.html", version=__version__)

    @app.get("/favicon.ico")
    def icon() -> Response:
        return app.send_static_file("icon.svg")

    app.after_request(add_headers)
    answer_in_json(app)
    workers = app.extensions["skfer-workers"] = WorkerPool(limits.work_memory)
    places = Places(limits.concurrent, limits.patience)
    app.register_blueprint(make_api(readers, limits, places, workers))
    return app

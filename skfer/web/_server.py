"""`serve`: the page behind a WSGI server that is made for it."""

from __future__ import annotations

import ipaddress
import json
import logging
import socket
import sys
import warnings
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from skfer._documentation import page
from skfer._extras import import_extra
from skfer.web._app import create_app
from skfer.web._limits import Limits
from skfer.web._readers import Readers

if TYPE_CHECKING:
    from flask import Flask

_THREADS = 8


def serve(
    pipeline: Any = None,
    *,
    detector: Any = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    limits: Limits | None = None,
    hosts: Collection[str] = (),
    verbose: int = 1,
) -> None:
    """Serve the web page until it is stopped (Ctrl-C).

    Parameters
    ----------
    pipeline : Pipeline, str, mapping of str to Pipeline, or None
        A fitted Pipeline, the name of a pretrained one, or several by names of yours. None: the
        page offers all that come with the package.
    detector : str or FaceDetector, default=None
        The detector that the page starts with; None is the Pipeline's own. It offers the others.
    host : str, default="127.0.0.1"
        Address to listen on. The default is reached from this machine only. "0.0.0.0" listens on
        every address of the machine. There is no password: whoever reaches the address can use
        the page, so any other address than a loopback one gives a warning.
    port : int, default=8000
        0 takes any that is free.
    limits : Limits, default=None
        What is taken at most.
    hosts : collection of str, default=()
        Names, beside localhost and any address, by which the page may be reached.
    verbose : int, default=1
        0 does not print the address.

    Raises
    ------
    ValueError
        If no Pipeline or detector has that name.
    ImportError
        If Flask or waitress is not installed.
    OSError
        If the port is taken.

    Warns
    -----
    UserWarning
        If other machines can reach the page.

    Notes
    -----
    Browsers give a camera to pages from localhost and to pages over HTTPS only. For another
    machine's camera, put a server that speaks HTTPS before this one.

    Examples
    --------
    >>> from skfer.web import serve
    >>> serve()  # doctest: +SKIP
    skfer is at http://127.0.0.1:8000 (Ctrl-C stops it)
    """
    limits = limits or Limits()
    readers = Readers.of(pipeline, detector)
    app = create_app(readers, limits=limits, hosts=(host, *hosts))
    server = make_server(app, host, port, limits)
    try:
        readers.get()  # the first visitor doesn't wait for the model
        if verbose:
            print(f"skfer is at {address(server)} (Ctrl-C stops it)", file=sys.stderr, flush=True)
        ip = _ip(server)
        if not ip.is_loopback:
            everywhere = ", at every address of this machine" if ip.is_unspecified else ""
            warnings.warn(
                f"Other machines can reach the page{everywhere}, and it has no password. For "
                f"public use, put a reverse proxy before it: see {page('guide/web')}",
                stacklevel=2,
            )
        server.run()
    finally:
        app.extensions["skfer-workers"].close()
        server.close()


def make_server(app: Flask, host: str, port: int, limits: Limits) -> Any:
    """A waitress server that listens, and answers once its ``run()`` is called.

    It refuses a body larger than any view takes by its declared length, before it is sent.
    """
    import_extra("waitress", "The web page", "web")
    from waitress import create_server
    from waitress.channel import HTTPChannel
    from waitress.task import ErrorTask

    from skfer.web._errors import error_body

    class JSONErrorTask(ErrorTask):
        """The server's own errors in the form of the API's."""

        def execute(self) -> None:
            error = self.request.error
            body = json.dumps(error_body(error.code, error.reason, _in_words(error, limits)))
            self.status = f"{error.code} {error.reason}"
            self.response_headers.append(("Content-Type", "application/json"))
            self.set_close_on_finish()
            self.content_length = len(body)
            self.write(body.encode())

    class Channel(HTTPChannel):
        error_task_class = JSONErrorTask

    # It warns of requests that wait for a thread, which a page that sends frames makes usual.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    largest = max(limits.photo_bytes, limits.video_bytes)
    server = create_server(
        app,
        sockets=[_bound(host, port)],
        threads=_THREADS,
        # A form adds a few lines to the file.
        max_request_body_size=largest + 10_000,
        ident=None,
        # Reading on while a request is worked on is how a client that left is noticed.
        channel_request_lookahead=1,
    )
    server.channel_class = Channel
    return server


def address(server: Any) -> str:
    """Return the address that a server listens on; 0.0.0.0 and [::] are all of this machine."""
    ip = _ip(server)
    shown = f"[{ip}]" if ip.version == 6 else str(ip)
    return f"http://{shown}:{server.socket.getsockname()[1]}"


def _ip(server: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    host = server.socket.getsockname()[0]
    return ipaddress.ip_address(host.partition("%")[0])  # without the zone of fe80::1%eth0


def _bound(host: str, port: int) -> socket.socket:
    """A socket of that address: waitress would leave its own behind where the port is taken."""
    try:
        family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(place[:2], family=family)
    except OSError as error:
        raise OSError(
            error.errno,
            f"{host}, port {port}, can't be listened on ({error.strerror}). Another program may "
            "use the port: give another one, or 0 for any that is free",
        ) from error


def _in_words(error: Any, limits: Limits) -> str:
    if error.code == 413:
        return (
            f"The upload is larger than {limits.video_bytes / 1e6:g} MB, which is the most that is "
            f"taken for a video; for a photo it is {limits.photo_bytes / 1e6:g} MB."
        )
    return str(error.body)

"""`serve`: the page behind a WSGI server that is made for it."""

from __future__ import annotations

import copy
import ipaddress
import logging
import socket
import sys
import warnings
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from skfer._utils import import_extra, page
from skfer.web._app import create_app
from skfer.web._limits import MOST_WAITING, Limits
from skfer.web._readers import Readers
from skfer.web._uploads import warm_up

if TYPE_CHECKING:
    from flask import Flask

# Beside those that work on uploads or wait to: for the page itself, refusals and health.
_SPARE_THREADS = 4
_MOST_CONNECTIONS = 500
# At the end, for threads to finish their answers.
_END_SECONDS = 1.0
_MOST_HEADER_BYTES = 32_768


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
    workers = app.extensions["skfer-workers"]
    try:
        workers.start(limits.concurrent)
        readers.get()  # the first visitor doesn't wait for the model
        warm_up(workers, limits.concurrent)
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
        _run(server)
    except KeyboardInterrupt as interrupt:
        if type(interrupt) is not KeyboardInterrupt:
            raise  # a signal that the command turns into an exit status
    finally:
        workers.close()  # first, so that no thread waits for one
        server.task_dispatcher.shutdown(timeout=_END_SECONDS)
        server.close()


def _run(server: Any) -> None:
    """Answer requests until an exception. `server.run()` would wait for unfinished work first."""
    server.asyncore.loop(timeout=server.adj.asyncore_loop_timeout, map=server._map, use_poll=True)


def make_server(app: Flask, host: str, port: int, limits: Limits) -> Any:
    """Return a waitress server that listens, and answers once its ``run()`` is called.

    It refuses an upload that is too large by its declared length, before it is sent.
    """
    import_extra("waitress", "The web page", "web")
    from waitress import create_server

    from skfer.web import _connections

    # It warns of requests that wait for a thread, which a page that sends frames makes usual.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    server = create_server(
        app,
        sockets=[_bound(host, port)],
        threads=limits.concurrent + MOST_WAITING + _SPARE_THREADS,
        max_request_body_size=limits.video_bytes + _connections.FORM_BYTES,
        max_request_header_size=_MOST_HEADER_BYTES,
        recv_bytes=65_536,
        ident=None,
        connection_limit=_MOST_CONNECTIONS,
        channel_timeout=_connections.PATIENCE_SECONDS,
        cleanup_interval=5,
        asyncore_use_poll=True,
        # Reading on while a request is worked on is how a client that left is noticed.
        channel_request_lookahead=1,
    )
    photo_adj = copy.copy(server.adj)
    photo_adj.max_request_body_size = limits.photo_bytes + _connections.FORM_BYTES
    photo_adj.inbuf_overflow = photo_adj.max_request_body_size
    server.channel_class = _connections.channel_class(limits, photo_adj)
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

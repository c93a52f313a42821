"""`serve`: the page behind a waitress server with limits on uploads and connections."""

from __future__ import annotations

import copy
import ipaddress
import json
import logging
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from flask import Flask
from waitress import create_server
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask
from waitress.utilities import BadRequest, Error

from skfer._utils import page
from skfer.web._api import VIDEO_PATH
from skfer.web._app import RETRY_AFTER, create_app, error_body
from skfer.web._limits import MAX_WAITING, Limits
from skfer.web._readers import Readers
from skfer.web._uploads import warm_up

# Room in a form for more than its file.
_FORM_BYTES = 10_000
# A connection is closed if it is idle for this time, or if its upload is slower, in bytes a second,
# after that time.
_IDLE_SECONDS = 20.0
_MIN_UPLOAD_RATE = 10_000
# Received and unfinished uploads at a time, in files of the largest size. The oldest unfinished one
# is closed for a new one.
_MAX_PHOTOS_HELD = 10
_MAX_VIDEOS_HELD = 4
# After an early refusal, the rest of the upload is read and discarded for this time. Closing at
# once would reset the connection, and the client might not see the response.
_LINGER_SECONDS = 2.0


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

    The server answers while the first model is loaded; uploads wait for the model.

    Parameters
    ----------
    pipeline : Pipeline, str, mapping of str to Pipeline, or None
        A fitted Pipeline, the name of a pretrained one, or several by name. None means all
        pretrained ones.
    detector : str or FaceDetector, default=None
        Default detector of the page, which offers the others too. None means the Pipeline's.
    host : str, default="127.0.0.1"
        Address to listen on. The default is reachable from this machine only, and "0.0.0.0"
        listens on every address of the machine. There is no password: everyone who reaches the
        address can use the page.
    port : int, default=8000
        0 means any free port.
    limits : Limits, default=None
        Limits on uploads. None means ``Limits()``.
    hosts : collection of str, default=()
        Host names of the page. Requests for other names are refused, except for localhost, `host`
        and IP addresses.
    verbose : int, default=1
        0 does not print the address.

    Raises
    ------
    ValueError
        If no Pipeline or detector has that name.
    OSError
        If the port is in use.

    Warns
    -----
    UserWarning
        If other machines can reach the page.

    Notes
    -----
    Browsers allow cameras only on pages from localhost or over HTTPS. For the camera of another
    machine, put an HTTPS server in front of this one.

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
    errors: list[Exception] = []

    def load() -> None:
        try:
            workers.start(limits.concurrent)
            readers.get()
            readers.loading = False
            warm_up(workers, limits.concurrent)
        except Exception as error:
            errors.append(error)

    loading = threading.Thread(target=load, name="skfer-load")
    try:
        if verbose:
            print(f"skfer is at {address(server)} (Ctrl-C stops it)", file=sys.stderr, flush=True)
        if not _ip(server).is_loopback:
            warnings.warn(
                "Other machines can reach the page, and it has no password. For public use, put a "
                f"reverse proxy in front of it: see {page('guide/web')}",
                stacklevel=2,
            )
        readers.loading = True
        loading.start()
        _run(server, errors)
    except KeyboardInterrupt as interrupt:
        # The command turns other signals into an exit status.
        if interrupt.args not in ((), (signal.SIGINT,)):
            raise
    finally:
        workers.close()  # first, so that no thread waits for one
        server.task_dispatcher.shutdown(timeout=1.0)  # seconds to finish responses
        server.close()
        if loading.is_alive():
            loading.join()
            workers.close()


def _run(server: Any, errors: list[Exception]) -> None:
    """Answer requests until an error. `server.run()` would wait for unfinished work at the end."""
    while not errors:
        server.asyncore.loop(server.adj.asyncore_loop_timeout, True, server._map, count=1)
    raise errors[0]


def make_server(app: Flask, host: str, port: int, limits: Limits) -> Any:
    """Return a listening waitress server, which answers once its ``run()`` is called."""
    # It warns of requests that wait for a thread, which frames of a camera often do.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    server = create_server(
        app,
        sockets=[_listen(host, port)],
        # For uploads, and 4 for the page, refusals and health.
        threads=limits.concurrent + MAX_WAITING + 4,
        max_request_body_size=limits.video_bytes + _FORM_BYTES,
        max_request_header_size=32_768,
        recv_bytes=65_536,
        ident=None,
        connection_limit=500,
        channel_timeout=_IDLE_SECONDS,
        cleanup_interval=5,
        asyncore_use_poll=True,
        # Reading on while a request is processed detects clients that disconnect.
        channel_request_lookahead=1,
    )
    photo_adj = copy.copy(server.adj)
    photo_adj.max_request_body_size = limits.photo_bytes + _FORM_BYTES
    photo_adj.inbuf_overflow = photo_adj.max_request_body_size
    server.channel_class = type("Channel", (_Channel,), {"limits": limits, "photo_adj": photo_adj})
    return server


def address(server: Any) -> str:
    """Return the address that a server listens on; 0.0.0.0 and [::] are all of this machine."""
    ip = _ip(server)
    shown = f"[{ip}]" if ip.version == 6 else str(ip)
    return f"http://{shown}:{server.socket.getsockname()[1]}"


def _ip(server: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    host = server.socket.getsockname()[0]
    return ipaddress.ip_address(host.partition("%")[0])  # without the zone of fe80::1%eth0


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; waitress would leave its own open if the port is in use."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]  # create_server repeats the address
        raise OSError(
            error.errno,
            f"Can't listen on {host}, port {port} ({reason}). If another program uses it, "
            "choose another port (--port), or 0 for any free one",
        ) from error


class _BusyError(Error):
    code = 429
    reason = "Too Many Requests"


class _Parser(HTTPRequestParser):
    """Parser that keeps a photo in memory and a video in a temporary file.

    Uploads that are too large, or too many, are refused after their header.
    """

    completed: bool

    def __init__(self, adj: Any, channel: _Channel):
        super().__init__(adj)
        self.channel = channel
        self.started = time.time()
        self.is_video = False

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # Python converts at most 4,300 digits
            raise ParsingError("Content-Length is invalid") from error
        self.is_video = self.path == VIDEO_PATH
        if not self.is_video:
            self.adj = self.channel.photo_adj
            if self.body_rcv is not None:
                self.body_rcv.getbuf().overflow = self.adj.inbuf_overflow

    def received(self, data: bytes) -> int:
        had_header = self.headers_finished
        consumed = super().received(data)
        # waitress copies and searches an unfinished line again with each packet: 26 s for 39 MB.
        if self.chunked and self._n_line_bytes > self.adj.max_request_header_size:
            self.error = BadRequest("A line between the chunks is too long.")
            self.completed = True
        body_starts = self.body_rcv is not None and not had_header and not self.completed
        if body_starts and not self.channel.make_room(self):
            self.error = _BusyError("Too many uploads are being received. Try again later.")
            self.completed = True
        if self.error:
            self.expect_continue = False  # it would ask for the body
        return consumed

    @property
    def _n_line_bytes(self) -> int:
        """Length of an unfinished line before a chunk or after the last one."""
        receiver: Any = self.body_rcv
        return 0 if receiver is None else len(receiver.control_line) + len(receiver.trailer)

    @property
    def size(self) -> int:
        """Bytes of the body, or their limit if the length is not declared."""
        if self.body_rcv is None or self.error:
            return 0
        return self.adj.max_request_body_size if self.chunked else self.content_length


class _ErrorTask(ErrorTask):
    """Send errors of the server in the form of the API's."""

    def execute(self) -> None:
        error = self.request.error
        text = self.channel.error_text(self.request)
        body = json.dumps(error_body(error.code, error.reason, text)).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", "application/json"))
        if error.code == _BusyError.code:
            self.response_headers.append(("Retry-After", str(RETRY_AFTER)))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.channel.lingers = True
        self.write(body)


class _Channel(HTTPChannel):
    """Connection with limits on its uploads. Subclasses set `limits` and `photo_adj`."""

    error_task_class = _ErrorTask
    limits: Limits
    photo_adj: Any  # waitress's settings for everything but videos
    will_close: bool
    lingers = False
    _lingering_since: float | None = None

    def parser_class(self, adj: Any) -> _Parser:
        return _Parser(adj, self)

    def make_room(self, request: _Parser) -> bool:
        """Close the oldest unfinished uploads until a new one fits; return whether it fits."""
        limit = (
            _MAX_VIDEOS_HELD * self.limits.video_bytes
            if request.is_video
            else _MAX_PHOTOS_HELD * self.limits.photo_bytes
        )
        total = request.size
        unfinished = []
        for channel in self.server.active_channels.values():
            held = [one for one in channel.requests if one.is_video == request.is_video]
            total += sum(one.size for one in held)
            one = channel.request
            if channel is self or channel.will_close or one is None or not one.size:
                continue
            if one.is_video == request.is_video:
                total += one.size
                unfinished.append(channel)
        unfinished.sort(key=lambda channel: -channel.request.started)
        while total > limit and unfinished:
            oldest = unfinished.pop()
            total -= oldest.request.size
            oldest.will_close = True
        return total <= limit

    def error_text(self, request: _Parser) -> str:
        if request.error.code != 413:
            return str(request.error.body)
        video, photo = self.limits.video_bytes / 1e6, self.limits.photo_bytes / 1e6
        if request.is_video:
            return f"The upload is larger than {video:g} MB, the limit for a video."
        return (
            f"The upload is larger than {photo:g} MB, the limit for a photo. The limit for a "
            f"video is {video:g} MB."
        )

    def writable(self) -> bool:
        # Called every second and at each event.
        if not self.will_close and self._is_too_slow(time.time()):
            self.will_close = True
        return bool(super().writable())

    def _is_too_slow(self, now: float) -> bool:
        if self._lingering_since is not None:
            return now > self._lingering_since + _LINGER_SECONDS
        if self.total_outbufs_len:
            return now > self.last_activity + _IDLE_SECONDS
        request = self.request
        if request is None or self.requests:
            return False
        upload_seconds = request.body_bytes_received / _MIN_UPLOAD_RATE
        return now > request.started + _IDLE_SECONDS + upload_seconds

    def received(self, data: bytes) -> bool:
        return self._lingering_since is None and super().received(data)

    def handle_close(self) -> None:
        if self.lingers and self._lingering_since is None and self.connected:
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)
                self._lingering_since = time.time()
                self.will_close = False
                return
        super().handle_close()

"""Connections of the page's server: limits on the size, number and time of uploads."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import ErrorTask
from waitress.utilities import Error

from skfer.web._errors import RETRY_AFTER, error_body
from skfer.web._limits import Limits

VIDEO_PATH = "/api/v1/video"
# A form adds a few lines to its file.
FORM_BYTES = 10_000
# A connection is closed that is idle for so long, or whose upload is slower than so many bytes a
# second after that time.
PATIENCE_SECONDS = 20.0
SLOWEST_UPLOAD = 10_000
# Uploads that are held at once, in files of the largest size. The oldest unfinished one gives way.
_PHOTOS_HELD = 10
_VIDEOS_HELD = 4
# After an early refusal, the rest of the upload is read and discarded for this time. Closing at
# once would reset the connection, and the client might not see the answer.
_LINGER_SECONDS = 2.0


class _BusyError(Error):
    code = 429
    reason = "Too Many Requests"


class _Parser(HTTPRequestParser):
    """Reads a request. A photo stays in memory, a video goes to a temporary file.

    Uploads that are too large, or too many, are refused by the header.
    """

    completed: bool

    def __init__(self, adj: Any, channel: _Channel):
        super().__init__(adj)
        self.channel = channel
        self.begun = time.time()
        self.is_video = False

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        self.is_video = self.path == VIDEO_PATH
        if not self.is_video:
            self.adj = self.channel.photo_adj
            if self.body_rcv is not None:
                self.body_rcv.getbuf().overflow = self.adj.inbuf_overflow

    def received(self, data: bytes) -> int:
        began = self.headers_finished
        consumed = super().received(data)
        begins = self.body_rcv is not None and not began and not self.completed
        if begins and not self.channel.make_room(self):
            self.error = _BusyError("Too many uploads are being received. Try again later.")
            self.completed = True
        if self.error:
            self.expect_continue = False  # or it would ask for the body nevertheless
        return consumed

    @property
    def size(self) -> int:
        """Bytes that its body takes, as far as known."""
        if self.body_rcv is None or self.error:
            return 0
        return self.adj.max_request_body_size if self.chunked else self.content_length

    def is_too_slow(self, now: float) -> bool:
        return now > self.begun + PATIENCE_SECONDS + self.body_bytes_received / SLOWEST_UPLOAD


class _ErrorTask(ErrorTask):
    """Answers errors of the server in the form of the API's."""

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
    """One connection."""

    error_task_class = _ErrorTask
    limits: Limits
    photo_adj: Any
    will_close: bool
    lingers = False
    _lingering_since: float | None = None

    def parser_class(self, adj: Any) -> _Parser:
        return _Parser(adj, self)

    def make_room(self, request: _Parser) -> bool:
        """Close the oldest unfinished uploads if there are too many.

        Returns
        -------
        bool
            False if there are still too many.
        """
        most = (
            _VIDEOS_HELD * self.limits.video_bytes
            if request.is_video
            else _PHOTOS_HELD * self.limits.photo_bytes
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
        unfinished.sort(key=lambda channel: -channel.request.begun)
        while total > most and unfinished:
            oldest = unfinished.pop()
            total -= oldest.request.size
            oldest.will_close = True
        return total <= most

    def error_text(self, request: _Parser) -> str:
        if request.error.code != 413:
            return str(request.error.body)
        video, photo = self.limits.video_bytes / 1e6, self.limits.photo_bytes / 1e6
        if request.is_video:
            return f"The upload is larger than {video:g} MB, which is the most for a video."
        return (
            f"The upload is larger than {photo:g} MB, which is the most for a photo; for a video "
            f"it is {video:g} MB."
        )

    def writable(self) -> bool:
        # The server asks every second, and whenever something happens.
        if not self.will_close and self._is_too_slow(time.time()):
            self.will_close = True
        return bool(super().writable())

    def _is_too_slow(self, now: float) -> bool:
        if self._lingering_since is not None:
            return now > self._lingering_since + _LINGER_SECONDS
        if self.total_outbufs_len:
            return now > self.last_activity + PATIENCE_SECONDS
        request = self.request
        return request is not None and not self.requests and request.is_too_slow(now)

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


def channel_class(limits: Limits, photo_adj: Any) -> type[HTTPChannel]:
    """Return the class of connections with these limits.

    Parameters
    ----------
    limits : Limits
    photo_adj : waitress.adjustments.Adjustments
        The server's settings for everything but videos.
    """
    return type("Channel", (_Channel,), {"limits": limits, "photo_adj": photo_adj})

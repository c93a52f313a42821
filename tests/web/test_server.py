from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from urllib.parse import urlsplit

import pytest
from videos_for_tests import hidden_frames
from web_for_tests import BrightnessReader, served

from skfer.web import Limits, Readers, create_app, serve
from skfer.web._server import make_server


@pytest.fixture(scope="module")
def url():
    with served(BrightnessReader(), limits=Limits(video_bytes=50_000_000)) as url:
        yield url


def sent(url, path, body, headers=None):
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    try:
        connection.request("POST", path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def alive(url):
    with urllib.request.urlopen(f"{url}/api/v1/health") as answer:
        return json.load(answer)["status"] == "ok"


def test_a_photo_over_http(url, encoded):
    status, answer = sent(url, "/api/v1/recognize", encoded(".jpg"))
    assert status == 200
    assert len(answer["faces"]) == 1


def test_a_body_in_chunks(url, encoded):
    photo = encoded(".jpg")
    pieces = (photo[at : at + 5000] for at in range(0, len(photo), 5000))
    status, answer = sent(url, "/api/v1/recognize", pieces)
    assert status == 200
    assert len(answer["faces"]) == 1


def test_a_gigabyte_is_refused_by_its_header(url):
    # Only the header is sent: an answer that waited for the body would never come.
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=20) as connection:
        head = f"POST /api/v1/recognize HTTP/1.1\r\nHost: {place.netloc}\r\n"
        connection.sendall(f"{head}Content-Length: 1000000000\r\n\r\n".encode())
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
    head, body = answer.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 413 ")
    assert "for a photo it is 20 MB" in json.loads(body)["error"]["message"]
    assert alive(url)


def test_too_much_in_chunks_is_cut_off(url):
    pieces = (bytes(1_000_000) for _ in range(80))
    try:
        status, _ = sent(url, "/api/v1/video", pieces)
    except ConnectionError:
        status = None  # cut off before everything was sent, so the answer was not read
    assert status in (None, 413)
    assert alive(url)


def test_a_body_that_never_comes_leaves_the_server_alive(url):
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=20) as connection:
        head = f"POST /api/v1/recognize HTTP/1.1\r\nHost: {place.netloc}\r\n"
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\nhalf of it".encode())
        assert alive(url)
    assert alive(url)


def test_work_on_a_video_ends_when_its_client_leaves(tmp_path, encoded):
    video = hidden_frames(tmp_path / "hidden.webm", 40_000).read_bytes()
    with served(BrightnessReader(), limits=Limits(concurrent=1, patience=60)) as url:
        place = urlsplit(url)
        with socket.create_connection((place.hostname, place.port), timeout=20) as connection:
            head = f"POST /api/v1/video HTTP/1.1\r\nHost: {place.netloc}\r\n"
            connection.sendall(f"{head}Content-Length: {len(video)}\r\n\r\n".encode() + video)
            time.sleep(1)
        # Its place becomes free long before the video's end, or the limit of 600 seconds.
        begun = time.monotonic()
        status, _ = sent(url, "/api/v1/recognize", encoded(".jpg"))
        assert status == 200
        assert time.monotonic() - begun < 55


_PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's child ignores it
from skfer.web import Readers, serve
from videos_for_tests import hidden_frames
from web_for_tests import BrightnessReader
Readers.of = classmethod(lambda cls, *_: cls.only(BrightnessReader()))
serve(port=0)
print("ended")
"""


def test_serve_says_where_it_is_and_ends_with_ctrl_c():
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with process:
        try:
            line = process.stderr.readline()
            assert line.startswith("skfer is at http://127.0.0.1:")
            assert alive(line.split()[3])
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (out, errors, process.returncode) == ("ended\n", "", 0)


@pytest.mark.parametrize(
    ("host", "shown", "warned"),
    [
        ("127.0.0.1", "http://127.0.0.1:", None),
        ("localhost", "http://127.0.0.1:", None),
        ("0.0.0.0", "http://0.0.0.0:", "Other machines can reach the page, at every address"),
        ("::", "http://[::]:", "Other machines can reach the page, at every address"),
    ],
)
def test_an_address_that_others_reach_is_shown_as_it_is_with_a_warning(
    host, shown, warned, monkeypatch, capsys
):
    if ":" in host and not socket.has_ipv6:
        pytest.skip("no IPv6")
    monkeypatch.setattr(Readers, "of", classmethod(lambda cls, *_: cls.only(BrightnessReader())))
    monkeypatch.setattr("waitress.server.TcpWSGIServer.run", lambda self: None)
    expected = pytest.warns(UserWarning, match=warned) if warned else contextlib.nullcontext()
    with expected:
        serve(host=host, port=0)
    assert f"skfer is at {shown}" in capsys.readouterr().err


def test_a_port_that_is_taken(url):
    with pytest.raises(OSError, match=r"in use.*0 for any"):
        make_server(create_app(BrightnessReader()), "127.0.0.1", urlsplit(url).port, Limits())

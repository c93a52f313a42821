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

import _work
import cv2
import numpy as np
import pytest
from _videos import hidden_frames
from _web import BrightnessReader, served

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


@pytest.mark.parametrize("expect", ["", "Expect: 100-continue\r\n"])
@pytest.mark.parametrize(
    ("path", "size", "most"),
    [
        ("recognize", 21_000_000, "20 MB, the limit for a photo. The limit for a video is 50 MB"),
        ("recognize", 10**9, "20 MB, the limit for a photo"),
        ("video", 51_000_000, "50 MB, the limit for a video"),
        ("vide%6f", 51_000_000, "50 MB, the limit for a video"),
        ("../nowhere", 21_000_000, "20 MB, the limit for a photo"),
    ],
)
def test_an_upload_too_large_is_refused_by_its_header(url, path, size, most, expect):
    # Only the header is sent: an answer that waited for the body would never come.
    with connected(url) as connection:
        connection.sendall(header(url, path, size, expect))
        head, body = answer_of(connection)
    assert head.startswith(b"HTTP/1.1 413 ")
    assert most in json.loads(body)["error"]["message"]
    assert alive(url)


def test_a_refusal_is_read_by_a_client_that_goes_on_sending(url):
    for _ in range(5):
        status, answer = sent(url, "/api/v1/recognize", bytes(30_000_000))
        assert status == 413
        assert "20 MB" in answer["error"]["message"]


def connected(url):
    place = urlsplit(url)
    return socket.create_connection((place.hostname, place.port), timeout=20)


def header(url, path, size, more=""):
    head = f"POST /api/v1/{path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n{more}"
    return f"{head}Content-Length: {size}\r\n\r\n".encode()


def answer_of(connection):
    answer = b""
    while piece := connection.recv(4096):
        answer += piece
    return answer.split(b"\r\n\r\n", 1)


def was_closed(connection, seconds=10):
    """Whether the server closes a connection without an answer."""
    connection.settimeout(seconds)
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


@pytest.fixture
def large_photo(astronaut):
    noise = np.random.default_rng(0).integers(0, 40, (512, 512, 3), np.uint8)
    data = cv2.imencode(".png", astronaut[..., ::-1] // 2 + noise)[1].tobytes()
    assert len(data) > 600_000  # what the server and its forms would put into a file by default
    return data


def test_a_photo_stays_in_memory_in_a_form_too(large_photo, monkeypatch):
    def refused(*_, **__):
        raise AssertionError("a temporary file")

    monkeypatch.setattr("tempfile.TemporaryFile", refused)
    monkeypatch.setattr("werkzeug.formparser.SpooledTemporaryFile", refused)
    form = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="me.png"\r\n\r\n'
    form += large_photo + b"\r\n--x--\r\n"
    with served(BrightnessReader()) as url:
        for body, headers in (
            (large_photo, {}),
            (form, {"Content-Type": "multipart/form-data; boundary=x"}),
            ((large_photo[at : at + 50_000] for at in range(0, len(large_photo), 50_000)), {}),
        ):
            status, answer = sent(url, "/api/v1/recognize", body, headers)
            assert status == 200
            assert len(answer["faces"]) == 1


def test_a_hundred_slow_clients_shut_nobody_out(encoded, monkeypatch):
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(served(BrightnessReader()))
        slow = [stack.enter_context(connected(url)) for _ in range(120)]
        for number, connection in enumerate(slow):
            begun = header(url, "recognize", 5_000_000) + bytes(100)
            connection.sendall((b"POST /api/v1/rec", begun, b"")[number % 3])
        assert sent(url, "/api/v1/recognize", encoded(".jpg"))[0] == 200


def test_an_upload_that_is_too_slow_is_closed(monkeypatch):
    monkeypatch.setattr("skfer.web._server._IDLE_SECONDS", 1.0)
    with served(BrightnessReader()) as url, connected(url) as body, connected(url) as head:
        body.sendall(header(url, "recognize", 5_000_000))
        head.sendall(b"POST /api/v1/recognize HTTP/1.1\r\nX-Slow: ")
        for _ in range(15):  # a byte now and then does not prolong it
            with contextlib.suppress(ConnectionError):
                body.sendall(b"x")
                head.sendall(b"x")
            time.sleep(0.1)
        assert was_closed(body)
        assert was_closed(head)


def test_the_oldest_unfinished_upload_gives_way(encoded):
    photo = encoded(".jpg")
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(served(BrightnessReader(), limits=Limits(photo_bytes=100_000)))
        uploads = []
        for _ in range(11):  # 10 may be unfinished at once
            uploads.append(stack.enter_context(connected(url)))
            uploads[-1].sendall(header(url, "recognize", 100_000) + b"x")
            time.sleep(0.02)
        assert was_closed(uploads[0])
        assert not was_closed(uploads[1], 0.1)
        assert sent(url, "/api/v1/recognize", photo)[0] == 200
        assert was_closed(uploads[1])
        assert not was_closed(uploads[2], 0.1)


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


def test_work_on_a_photo_ends_when_its_client_leaves(encoded, monkeypatch):
    photo = encoded(".jpg")
    limits = Limits(concurrent=1, patience=60, photo_seconds=600)
    with served(BrightnessReader(), limits=limits) as url:
        with monkeypatch.context() as patched:
            patched.setattr("skfer.web._uploads.decode", _work.decode_slowly)
            with connected(url) as connection:
                connection.sendall(header(url, "recognize", len(photo)) + photo)
                time.sleep(1)
        begun = time.monotonic()
        assert sent(url, "/api/v1/recognize", photo)[0] == 200
        assert time.monotonic() - begun < 50  # it would have slept for 60 seconds


_PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's child ignores it
from skfer.web import Readers, serve
from _videos import hidden_frames
from _web import BrightnessReader
Readers.of = classmethod(lambda cls, *_: cls.only(BrightnessReader()))
serve(port=0)
print("ended")
"""


@pytest.mark.slow
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


_COMMAND = """
import sys
import _work
from skfer.cli import main
from skfer.web import Readers, _server, _uploads
from _web import BrightnessReader
Readers.of = classmethod(lambda cls, *_: cls.only(BrightnessReader()))
_server.warm_up = lambda *_: None
_uploads.decode = _work.decode_slowly
sys.argv[1:] = ["serve", "--port", "0"]
main()
"""


@pytest.mark.slow
def test_the_command_ends_with_sigterm_amid_work(encoded, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", _COMMAND],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)},
    )
    with process:
        try:
            url = process.stderr.readline().split()[3]
            photo = encoded(".jpg")
            with connected(url) as connection:
                connection.sendall(header(url, "recognize", len(photo)) + photo)
                time.sleep(1)
                process.send_signal(signal.SIGTERM)
                process.wait(30)  # the photo would take 60 seconds, of which 10 are allowed
        finally:
            process.kill()
    assert process.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


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
    monkeypatch.setattr("skfer.web._server._run", lambda *_: None)
    expected = pytest.warns(UserWarning, match=warned) if warned else contextlib.nullcontext()
    with expected:
        serve(host=host, port=0)
    assert f"skfer is at {shown}" in capsys.readouterr().err


def test_a_port_that_is_taken(url):
    with pytest.raises(OSError, match=r"in use.*0 for any"):
        make_server(create_app(BrightnessReader()), "127.0.0.1", urlsplit(url).port, Limits())

import contextlib
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import _work
import cv2
import numpy as np
import pytest
from _videos import write_hidden_frames
from _web import RECOGNIZE, VIDEO, BrightnessReader, served

from skfer.web import Limits, Readers, create_app, serve
from skfer.web._server import make_server


@pytest.fixture(scope="module")
def url():
    with served(BrightnessReader(), limits=Limits(video_bytes=50_000_000)) as url:
        yield url


def post(url, path, body, headers=None):
    host = urlsplit(url).netloc
    with contextlib.closing(http.client.HTTPConnection(host, timeout=20)) as connection:
        connection.request("POST", path, body, headers or {})
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def health(url):
    with urllib.request.urlopen(f"{url}/api/v1/health") as response:
        return json.load(response)["status"]


def connect(url):
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port), timeout=20)


def header(url, path, size, lines=""):
    head = f"POST {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n{lines}"
    return f"{head}Content-Length: {size}\r\n\r\n".encode()


def is_closed(connection, seconds=10):
    """Return whether the server closes a connection without a response."""
    connection.settimeout(seconds)
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


@pytest.mark.parametrize("expect", ["", "Expect: 100-continue\r\n"])
@pytest.mark.parametrize(
    ("path", "size", "limit"),
    [
        (RECOGNIZE, 21_000_000, "20 MB, the limit for a photo. The limit for a video is 50 MB"),
        (RECOGNIZE, 10**9, "20 MB, the limit for a photo"),
        (VIDEO, 51_000_000, "50 MB, the limit for a video"),
        ("/api/v1/vide%6f", 51_000_000, "50 MB, the limit for a video"),
        ("/api/v1/../nowhere", 21_000_000, "20 MB, the limit for a photo"),
    ],
)
def test_declared_size_of_uploads(url, path, size, limit, expect):
    # A server that waits for the body, which is not sent, would not respond.
    with connect(url) as connection:
        connection.sendall(header(url, path, size, expect))
        head, body = b"".join(iter(lambda: connection.recv(4096), b"")).split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 413 ")
    assert limit in json.loads(body)["error"]["message"]
    assert health(url) == "ok"


def test_error_while_the_client_sends(url):
    for _ in range(5):
        status, result = post(url, RECOGNIZE, bytes(30_000_000))
        assert status == 413
        assert "20 MB" in result["error"]["message"]


def test_photos_are_not_written_to_files(astronaut, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 40, (512, 512, 3), np.uint8)
    photo = cv2.imencode(".png", astronaut[..., ::-1] // 2 + noise)[1].tobytes()
    assert len(photo) > 600_000  # waitress and Werkzeug would use a file by default

    def refuse(*_, **__):
        raise AssertionError("a temporary file")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    monkeypatch.setattr("werkzeug.formparser.SpooledTemporaryFile", refuse)
    form = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="me.png"\r\n\r\n'
    form += photo + b"\r\n--x--\r\n"
    with served(BrightnessReader()) as url:
        for body, headers in (
            (photo, {}),
            (form, {"Content-Type": "multipart/form-data; boundary=x"}),
            ((photo[i : i + 50_000] for i in range(0, len(photo), 50_000)), {}),
        ):
            status, result = post(url, RECOGNIZE, body, headers)
            assert status == 200
            assert len(result["faces"]) == 1


def test_slow_clients(encoded):
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(served(BrightnessReader()))
        for number in range(120):
            connection = stack.enter_context(connect(url))
            incomplete = header(url, RECOGNIZE, 5_000_000) + bytes(100)
            connection.sendall((b"POST /api/v1/rec", incomplete, b"")[number % 3])
        assert post(url, RECOGNIZE, encoded(".jpg"))[0] == 200


def test_timeout_of_slow_uploads(monkeypatch):
    monkeypatch.setattr("skfer.web._server._IDLE_SECONDS", 1.0)
    with served(BrightnessReader()) as url, connect(url) as body, connect(url) as head:
        body.sendall(header(url, RECOGNIZE, 5_000_000))
        head.sendall(b"POST /api/v1/recognize HTTP/1.1\r\nX-Slow: ")
        for _ in range(15):  # single bytes do not extend the timeout
            with contextlib.suppress(ConnectionError):
                body.sendall(b"x")
                head.sendall(b"x")
            time.sleep(0.1)
        assert is_closed(body)
        assert is_closed(head)


def test_number_of_unfinished_uploads(encoded):
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(served(BrightnessReader(), limits=Limits(photo_bytes=100_000)))
        uploads = []
        for _ in range(11):  # 10 may be unfinished
            uploads.append(stack.enter_context(connect(url)))
            uploads[-1].sendall(header(url, RECOGNIZE, 100_000) + b"x")
            time.sleep(0.02)
        assert is_closed(uploads[0])
        assert not is_closed(uploads[1], 0.1)
        assert post(url, RECOGNIZE, encoded(".jpg"))[0] == 200
        assert is_closed(uploads[1])
        assert not is_closed(uploads[2], 0.1)


def test_large_upload_without_declared_size(url):
    try:
        status, _ = post(url, VIDEO, (bytes(1_000_000) for _ in range(80)))
    except ConnectionError:
        status = 413  # the server closed the connection before the client read the response
    assert status == 413
    assert health(url) == "ok"


@pytest.mark.parametrize(
    ("length", "start", "line"),
    [
        (b"Transfer-Encoding: chunked", b"", b"0"),  # the size of a chunk
        (b"Transfer-Encoding: chunked", b"0\r\n", b"A: b\r\n"),  # headers after the last chunk
        (b"Content-Length: " + b"9" * 5000, b"", b"0"),
    ],
)
def test_long_lines(url, length, start, line):
    host = urlsplit(url).netloc.encode()
    request = b"POST %s HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n" % (VIDEO.encode(), host, length)
    with connect(url) as connection:
        connection.sendall(request + start)
        for _ in range(100):
            connection.sendall(line * (400_000 // len(line)))
            if select.select([connection], [], [], 0)[0]:
                break
        else:
            pytest.fail("the server accepted a line of 40 MB")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    assert health(url) == "ok"


@pytest.mark.parametrize("route", [RECOGNIZE, VIDEO])
def test_disconnecting_client(route, tmp_path, encoded, monkeypatch):
    photo = upload = encoded(".jpg")
    if route == VIDEO:
        upload = write_hidden_frames(tmp_path / "hidden.webm", 40_000).read_bytes()
    limits = Limits(concurrent=1, patience=20, photo_seconds=600)
    with served(BrightnessReader(), limits=limits) as url:
        with monkeypatch.context() as patched:
            patched.setattr("skfer.web._uploads.decode", _work.decode_slowly)
            with connect(url) as connection:
                connection.sendall(header(url, route, len(upload)) + upload)
                time.sleep(1)
        # Without cancellation, the photo would take a minute and the video longer, so that this
        # upload would be refused.
        assert post(url, RECOGNIZE, photo)[0] == 200


_COMMAND = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # background processes ignore SIGINT
import _work
from skfer.cli import main
from skfer.web import Readers, _server, _uploads
from _web import BrightnessReader
Readers.of = lambda *_: Readers(lambda *_: BrightnessReader(), ["model"], ["detector"])
_server.warm_up = lambda *_: None
_uploads.decode = _work.decode_slowly
sys.argv[1:] = ["serve", "--port", "0"]
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "errors", "status"),
    [(signal.SIGINT, "", 0), (signal.SIGTERM, "Interrupted.\n", 128 + signal.SIGTERM)],
)
def test_signals(number, errors, status, encoded, tmp_path):
    photo = encoded(".jpg")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", _COMMAND]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            url = process.stderr.readline().split()[3]
            with connect(url) as connection:
                connection.sendall(header(url, RECOGNIZE, len(photo)) + photo)
                time.sleep(1)
                process.send_signal(number)
                # Decoding takes 60 seconds, and is limited to 10.
                assert process.communicate(timeout=30)[1] == errors
        finally:
            process.kill()
    assert process.returncode == status
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1:"),
        ("localhost", "127.0.0.1:"),
        ("0.0.0.0", "0.0.0.0:"),
        ("::", "[::]:"),
    ],
)
def test_warning_for_public_addresses(host, address, monkeypatch, capsys):
    if ":" in host and not socket.has_ipv6:
        pytest.skip("no IPv6")
    readers = Readers(lambda *_: BrightnessReader(), ["model"], ["detector"])
    monkeypatch.setattr(Readers, "of", lambda *_: readers)
    monkeypatch.setattr("skfer.web._server._run", lambda *_: None)
    warning = pytest.warns(UserWarning, match="Other machines can reach the page")
    with contextlib.nullcontext() if address.startswith("127") else warning:
        serve(host=host, port=0)
    assert f"skfer is at http://{address}" in capsys.readouterr().err


def test_server_while_a_model_is_loaded(monkeypatch, capsys):
    checked = threading.Event()

    def check_health():
        while not (line := capsys.readouterr().err):
            time.sleep(0.05)
        state = health(line.split()[3])
        checked.set()
        return state

    def fail(*_):
        assert checked.wait(60)
        raise ValueError("The weights are damaged.")

    monkeypatch.setattr(Readers, "of", lambda *_: Readers(fail, ["model"], ["detector"]))
    with ThreadPoolExecutor(1) as threads:
        state = threads.submit(check_health)
        with pytest.raises(ValueError, match="weights are damaged"):
            serve(port=0)
        assert state.result() == "loading"


def test_port_in_use(url):
    with pytest.raises(OSError, match=r"\(Address already in use\)\. If.*0 for any"):
        make_server(create_app(BrightnessReader()), "127.0.0.1", urlsplit(url).port, Limits())

"""Measure the web page under load and with invalid uploads, on the loopback interface.

    python benchmarks/web_load.py

It starts `skfer serve` in its own process and sends a number of photos from several clients, and
then invalid uploads. The number of each status, response times, and the server's resident memory
before, during and after are written to ``benchmarks/results/web_load.json``. Every request and the
whole run have a time limit.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import _results
import cv2
import numpy as np
from skimage.data import astronaut

from skfer.datasets import make_faces

WANTED_MEGABYTES = 50.0
WANTED_SECONDS = 2.0
REQUEST_SECONDS = 30.0
RUN_SECONDS = 600.0
NO_RESPONSE = 0  # instead of a status
WARM_UP = 120  # requests that fill caches before memory is measured

ROOT = Path(__file__).parents[1]
_SERVER = "import sys; from skfer.cli import main; sys.argv[1:] = {arguments!r}; main()"


@contextlib.contextmanager
def server(
    *arguments: str, environment: dict[str, str] | None = None
) -> Iterator[tuple[str, subprocess.Popen]]:
    """Start `skfer serve` on a free port; yield its address and process."""
    code = _SERVER.format(arguments=["serve", "--port", "0", *arguments])
    paths = {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | paths | (environment or {}),
    )
    try:
        for line in process.stderr:
            if line.startswith("skfer is at "):
                break
            print(line, end="", file=sys.stderr)
        else:
            raise SystemExit("The server did not start.")
        threading.Thread(target=process.stderr.read, daemon=True).start()
        url = line.split()[3]
        while b"loading" in urlopen(f"{url}/api/v1/health").read():
            time.sleep(0.1)
        yield urlsplit(url).netloc, process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def megabytes(pid: int) -> float:
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def photos() -> list[bytes]:
    """Return drawn scenes, and a real photo in three sizes."""
    pictures = [*make_faces(6, scene=True, random_state=0).images]
    pictures += [cv2.resize(astronaut(), (side, side)) for side in (256, 512, 1024)]
    return [cv2.imencode(".jpg", np.ascontiguousarray(p[..., ::-1]))[1].tobytes() for p in pictures]


def send(host: str, path: str, body: bytes | None) -> tuple[int, float, float]:
    """Send a request, GET without a body, and return status, seconds and Retry-After."""
    start = time.perf_counter()
    connection = http.client.HTTPConnection(host, timeout=REQUEST_SECONDS)
    try:
        connection.request("GET" if body is None else "POST", path, body)
        response = connection.getresponse()
        response.read()
        retry_after = float(response.headers.get("Retry-After", 0))
        return response.status, time.perf_counter() - start, retry_after
    except TimeoutError:
        return NO_RESPONSE, time.perf_counter() - start, 0.0
    finally:
        connection.close()


def load(host: str, pid: int, n_requests: int, n_clients: int) -> dict:
    """Send photos from several clients at once and return the figures."""
    bodies, lock, end = photos(), threading.Lock(), time.monotonic() + RUN_SECONDS
    statuses: collections.Counter[int] = collections.Counter()
    seconds: list[float] = []
    left = iter(range(n_requests))

    def client() -> None:
        while time.monotonic() < end:
            with lock:
                number = next(left, None)
            if number is None:
                return
            status = 429
            while status == 429 and time.monotonic() < end:
                body = bodies[number % len(bodies)]
                status, duration, retry_after = send(host, "/api/v1/recognize", body)
                with lock:
                    statuses[status] += 1
                    seconds.append(duration)
                time.sleep(retry_after)

    peak = megabytes(pid)
    start = time.perf_counter()
    clients = [threading.Thread(target=client) for _ in range(n_clients)]
    for thread in clients:
        thread.start()
    while any(thread.is_alive() for thread in clients):
        peak = max(peak, megabytes(pid))
        time.sleep(0.05)
    duration = time.perf_counter() - start
    return {
        "requests": n_requests,
        "clients": n_clients,
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "photos_per_second": round(statuses[200] / duration, 1),
        "median_seconds": round(float(np.median(seconds)), 3),
        "slowest_of_20_seconds": round(float(np.quantile(seconds, 0.95)), 3),
        "megabytes_at_most": round(peak, 1),
    }


def malformed(host: str) -> dict:
    """Return the status and the seconds of uploads that are not images."""
    jpeg = photos()[-1]
    # A PNG whose header declares 30000 x 30000 pixels.
    bomb = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    bomb = bomb[:16] + 2 * (30_000).to_bytes(4, "big") + bomb[24:]
    cases = {
        "truncated JPEG": ("recognize", jpeg[: len(jpeg) // 2]),
        "PNG bomb": ("recognize", bomb),
        "text": ("recognize", b"no image"),
        "nothing": ("recognize", b""),
        "video without frames": ("video", b"\0\0\0\x18ftypisom" + bytes(200)),
    }
    responses = {name: send(host, f"/api/v1/{path}", body) for name, (path, body) in cases.items()}
    responses["1 GB"] = _send_gigabyte(host)
    return {
        name: {"status": status, "seconds": round(seconds, 3)}
        for name, (status, seconds, _) in responses.items()
    }


def _send_gigabyte(host: str) -> tuple[int, float, float]:
    start = time.perf_counter()
    connection = http.client.HTTPConnection(host, timeout=REQUEST_SECONDS)
    try:
        connection.putrequest("POST", "/api/v1/recognize")
        connection.putheader("Content-Length", str(10**9))
        connection.endheaders()
        with contextlib.suppress(ConnectionError):  # the server closes the connection
            for _ in range(20):
                connection.send(bytes(100_000))
                time.sleep(0.01)
        try:
            status = connection.getresponse().status
        except (ConnectionError, http.client.HTTPException):
            status = NO_RESPONSE  # the connection was closed before the response was read
        return status, time.perf_counter() - start, 0.0
    finally:
        connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--model", help="a .skfer file instead of the shipped weights")
    arguments = parser.parse_args()

    model = ["--model", arguments.model] if arguments.model else []
    with server(*model) as (host, process):
        pid = process.pid
        load(host, pid, WARM_UP, arguments.clients)
        before = megabytes(pid)
        result = load(host, pid, arguments.requests, arguments.clients)
        result["malformed"] = malformed(host)
        time.sleep(2)
        after = megabytes(pid)
        assert process.poll() is None, "the server died"
        result |= {"megabytes_before": round(before, 1), "megabytes_after": round(after, 1)}
    result["versions"] = _results.versions()

    for name, value in result.items():
        if name != "versions":
            print(f"{name}: {value}")
    failed = [status for status in result["statuses"] if status not in ("200", "429")]
    slow = [name for name, row in result["malformed"].items() if row["seconds"] > WANTED_SECONDS]
    print(
        f"statuses other than 200 and 429: {failed or 'none'}; malformed uploads answered after "
        f"{WANTED_SECONDS:g} s: {slow or 'none'}; memory {after - before:+.0f} MB, wanted within "
        f"{WANTED_MEGABYTES:g}"
    )
    _results.write("web_load", result)


if __name__ == "__main__":
    main()

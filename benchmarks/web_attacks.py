"""Attack the web page and measure its latency, on the loopback interface.

    python benchmarks/web_attacks.py

It starts ``skfer serve`` in its own process and runs in sequence: the largest allowed photos with
every detector, ten harmful files at once, a hundred slow clients, and SIGTERM during work. Another
client sends an ordinary photo twice a second. Peak memory of the server with its child processes
above idle, the responses to the other client, and remaining temporary files are written to
``benchmarks/results/web_attacks.json``.

It needs the extras web, video and mtcnn, and uses YuNet's file in $SKFER_DATA/models, if it exists.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import os
import shutil
import signal
import socket
import struct
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import _results
import cv2
import numpy as np
import psutil
from PIL import Image
from skimage.data import astronaut
from web_load import ROOT, send, server

sys.path.insert(0, str(ROOT / "tests"))

WANTED_MEGABYTES = 1500.0
WANTED_SECONDS = 5.0
RECOGNIZE, VIDEO = "/api/v1/recognize", "/api/v1/video"
SLOW_CLIENTS = 100
SLOW_SECONDS = 40.0


def jpeg(image: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", **options)
    return file.getvalue()


def tile_faces(side: int, face_side: int) -> np.ndarray:
    """Return a square image with many faces."""
    face = cv2.resize(astronaut()[40:200, 150:310], (face_side, face_side))
    count = side // face_side + 1
    return np.ascontiguousarray(np.tile(face, (count, count, 1))[:side, :side])


def largest_photos() -> dict[str, bytes]:
    """Return photos of nearly 50 million pixels: one face, many faces, and a PNG with alpha."""
    portrait = cv2.resize(astronaut(), (7070, 7070), interpolation=cv2.INTER_CUBIC)
    alpha = np.dstack([portrait, np.full((7070, 7070), 255, np.uint8)])
    png = io.BytesIO()
    Image.fromarray(alpha[::8, ::8].repeat(8, 0).repeat(8, 1)[:7070, :7070]).save(
        png, "PNG", compress_level=1
    )
    photos = {
        "JPEG of one face": jpeg(portrait, quality=80),
        "progressive JPEG of 400 faces": jpeg(
            tile_faces(7070, 350), quality=60, progressive=True, subsampling=0
        ),
        "PNG with alpha": png.getvalue(),
    }
    for name, data in photos.items():
        assert len(data) < 20_000_000, (name, len(data))
    return photos


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def _png(width: int, height: int, depth: int, color: int, rest: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + rest + _chunk(b"IEND", b"")


def bombs(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Return ten small files that declare or unpack to large sizes, with their routes."""
    from _videos import write_declared_samples, write_hidden_frames

    photo = jpeg(astronaut())
    sof = photo.index(b"\xff\xc0")
    length = 2 + int.from_bytes(photo[sof + 2 : sof + 4], "big")
    decoy = photo[sof : sof + length]
    large = decoy[:5] + 2 * (32_767).to_bytes(2, "big") + decoy[9:]
    rows = zlib.compress(bytes(7000 * (1 + 8 * 7000)), 9)
    noise = np.zeros((4000, 12_000, 3), np.uint8)
    pages = [Image.new("RGB", (16_000, 3000), color) for color in ("red", "blue")]
    webp = io.BytesIO()
    pages[0].save(webp, "WEBP", lossless=True, save_all=True, append_images=pages[1:])
    many_samples = write_declared_samples(folder / "samples.mp4", 89_000_000)
    hidden = write_hidden_frames(folder / "hidden.webm", 40_000)
    return {
        "PNG of 30,000 x 30,000 by its header": (
            RECOGNIZE,
            _png(30_000, 30_000, 8, 2, _chunk(b"IDAT", zlib.compress(bytes(1_000_000)))),
        ),
        "PNG of 49 million pixels in 16-bit RGBA": (
            RECOGNIZE,
            _png(7000, 7000, 16, 6, _chunk(b"IDAT", rows)),
        ),
        "PNG whose chunk promises 4 GB": (
            RECOGNIZE,
            _png(96, 96, 8, 2, b"")[:-12] + b"\xff\xff\xff\xf0IDAT" + bytes(40_000),
        ),
        "JPEG with a decoy of its size": (
            RECOGNIZE,
            photo[:2] + b"\xff\x01" + decoy + photo[2:sof] + large + photo[sof + length :],
        ),
        "JPEG of 32,767 x 32,767": (
            RECOGNIZE,
            photo[:sof] + large + photo[sof + length :],
        ),
        "progressive JPEG of 48 million pixels": (
            RECOGNIZE,
            jpeg(noise, quality=1, progressive=True, subsampling=0),
        ),
        "WebP of two frames of 48 million pixels": (RECOGNIZE, webp.getvalue()),
        "MP4 of 89 million samples": (VIDEO, Path(many_samples).read_bytes()),
        "WebM of frames that are never shown": (VIDEO, Path(hidden).read_bytes()),
        "the same WebM": (VIDEO, Path(hidden).read_bytes()),
    }


class Monitor:
    """Record the memory of the server with its children, and responses to another client."""

    def __init__(self, host: str, pid: int, idle: float):
        self.host, self.process, self.idle = host, psutil.Process(pid), idle
        self.photo = jpeg(cv2.resize(astronaut(), (512, 512)))
        self.peak = 0.0
        self.statuses: collections.Counter[int] = collections.Counter()
        self.slowest = collections.defaultdict(float)
        self._end = threading.Event()

    def __enter__(self) -> Monitor:
        self._threads = [
            threading.Thread(target=self._measure_memory),
            threading.Thread(target=self._send_requests, args=(RECOGNIZE, self.photo)),
            threading.Thread(target=self._send_requests, args=("/api/v1/health", None)),
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _measure_memory(self) -> None:
        while not self._end.wait(0.1):
            self.peak = max(self.peak, megabytes(self.process))

    def _send_requests(self, path: str, body: bytes | None) -> None:
        while not self._end.wait(0.5):
            try:
                status, seconds, _ = send(self.host, path, body)
            except OSError:
                status, seconds = 0, 0.0
            name = str(status) if body else f"health {status}"
            self.statuses[name] += 1
            self.slowest[name] = max(self.slowest[name], seconds)

    def result(self) -> dict:
        return {
            "megabytes_above_idle": round(self.peak - self.idle, 1),
            "other_client": dict(sorted(self.statuses.items())),
            "slowest_seconds": {
                name: round(seconds, 3) for name, seconds in sorted(self.slowest.items())
            },
        }


def megabytes(process: psutil.Process) -> float:
    """Return the memory of a process and its children, with shared pages counted once."""
    total = 0.0
    for part in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.Error, OSError):
            text = Path(f"/proc/{part.pid}/smaps_rollup").read_text()
            total += int(text.split("\nPss:")[1].split()[0]) / 1e3
    return total


def send_together(host: str, requests: list[tuple[str, bytes]]) -> list[dict]:
    """Send simultaneous requests and return the status and the seconds of each."""
    responses: list[dict] = [{} for _ in requests]

    def send_one(number: int, path: str, body: bytes) -> None:
        try:
            status, seconds, _ = send(host, path, body)
        except OSError as error:
            status, seconds = type(error).__name__, 0.0
        responses[number] = {"status": status, "seconds": round(seconds, 2)}

    threads = [
        threading.Thread(target=send_one, args=(number, *request))
        for number, request in enumerate(requests)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return responses


@contextlib.contextmanager
def slow_clients(host: str, count: int) -> Iterator[list[socket.socket]]:
    """Run clients that send one byte a second of a header, photo or video, or nothing."""
    name, port = host.split(":")
    starts = [
        b"POST /api/v1/recognize HTTP/1.1\r\nX-Slow: ",
        b"POST /api/v1/recognize HTTP/1.1\r\nHost: %s\r\nContent-Length: 20000000\r\n\r\n",
        b"POST /api/v1/video HTTP/1.1\r\nHost: %s\r\nContent-Length: 200000000\r\n\r\n",
        b"POST /api/v1/recognize HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"",
    ]
    end = threading.Event()
    with contextlib.ExitStack() as stack:
        clients = []
        for number in range(count):
            client = stack.enter_context(socket.create_connection((name, int(port)), 10))
            start = starts[number % len(starts)]
            client.sendall(start.replace(b"%s", host.encode()))
            if number % len(starts) == 1:
                client.sendall(bytes(500_000))
            clients.append(client)

        def trickle() -> None:
            while not end.wait(1):
                for number, client in enumerate(clients):
                    if number % len(starts) < 3:
                        with contextlib.suppress(OSError):
                            client.sendall(b"x")

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            yield clients
        finally:
            end.set()
            thread.join()


def count_open(clients: list[socket.socket]) -> int:
    """Count the connections that the server has not closed."""
    count = 0
    for client in clients:
        client.setblocking(False)
        try:
            count += client.recv(65_536) != b""
        except BlockingIOError:
            count += 1
        except OSError:
            pass
    return count


def run_attacks(host: str, pid: int, scratch: Path) -> dict:
    """Run all attacks except SIGTERM."""
    process, photo = psutil.Process(pid), jpeg(astronaut())
    detectors = ["haar", "mtcnn", "yunet"]
    ready = []
    for name in detectors:
        status, _, _ = send(host, f"{RECOGNIZE}?detector={name}", photo)
        if status == 200:
            ready.append(name)
    for _ in range(20):
        send(host, RECOGNIZE, photo)
    time.sleep(3)
    idle = megabytes(process)
    result: dict = {"detectors": ready, "megabytes_idle": round(idle, 1), "largest_photos": {}}
    for kind, data in largest_photos().items():
        for name in ready:
            with Monitor(host, pid, idle) as monitor:
                # The server processes two requests at once.
                responses = send_together(host, [(f"{RECOGNIZE}?detector={name}", data)] * 2)
                time.sleep(1)
            row = {"answers": responses} | monitor.result()
            result["largest_photos"][f"{kind}, {name}"] = row
            print(kind, name, row, flush=True)
    files = bombs(scratch)
    with Monitor(host, pid, idle) as monitor:
        responses = send_together(host, list(files.values()))
        # Repeat requests that were refused because of the others.
        repeated = {
            name: send_together(host, [files[name]])[0]
            for name, response in zip(files, responses, strict=True)
            if response["status"] == 429
        }
        time.sleep(1)
    final = dict(zip(files, responses, strict=True)) | repeated
    result["bombs"] = {"at_once": responses, "answers": final} | monitor.result()
    print("bombs", result["bombs"], flush=True)
    with slow_clients(host, SLOW_CLIENTS) as clients, Monitor(host, pid, idle) as monitor:
        time.sleep(SLOW_SECONDS)
        n_open = count_open(clients)
    result["slow_clients"] = {"clients": SLOW_CLIENTS, "open_at_the_end": n_open} | monitor.result()
    print("slow clients", result["slow_clients"], flush=True)
    time.sleep(3)
    result["megabytes_after"] = round(megabytes(process), 1)
    return result


def send_sigterm(scratch: Path, temporary: Path) -> dict:
    """Send SIGTERM while two large photos, or a photo and a video, are processed."""
    results = {}
    photo = largest_photos()["JPEG of one face"]
    video = bombs(scratch)["WebM of frames that are never shown"]
    for name, requests in {
        "two photos": [(RECOGNIZE, photo)] * 2,
        "photo and video": [(RECOGNIZE, photo), video],
    }.items():
        with server(environment={"TMPDIR": str(temporary)}) as (host, process):
            children = psutil.Process(process.pid).children(recursive=True)
            work = threading.Thread(target=send_together, args=(host, requests))
            work.start()
            time.sleep(0.7)
            children += psutil.Process(process.pid).children(recursive=True)
            start = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            seconds = time.monotonic() - start
            work.join()
            time.sleep(0.5)
            alive = [child.pid for child in set(children) if child.is_running()]
            results[name] = {
                "exit_status": process.returncode,
                "seconds": round(seconds, 2),
                "child_processes_left": len(alive),
                "temporary_files": sorted(os.listdir(temporary)),
            }
        print("SIGTERM", name, results[name], flush=True)
    return results


def print_summary(result: dict) -> None:
    cases = [*result["largest_photos"].values(), result["bombs"], result["slow_clients"]]
    memory = max(case["megabytes_above_idle"] for case in cases)
    slowest = max(max(case["slowest_seconds"].values()) for case in cases)
    print(f"memory above idle {memory:.0f} MB, wanted {WANTED_MEGABYTES:g}")
    print(f"slowest response to the other client {slowest:.2f} s, wanted {WANTED_SECONDS:g}")
    print(f"temporary files: {result['temporary_files'] or 'none'}")


def attack_server(scratch: Path, temporary: Path, cache: Path) -> dict:
    """Start a server, run all attacks except SIGTERM, and list the files that it leaves."""
    yunet = Path(os.environ.get("SKFER_DATA", ".")) / "models/face_detection_yunet_2026may.onnx"
    if yunet.exists():
        (cache / "skfer").mkdir()
        shutil.copy(yunet, cache / "skfer")
    environment = {"TMPDIR": str(temporary), "XDG_CACHE_HOME": str(cache)}
    with server(environment=environment) as (host, process):
        result = run_attacks(host, process.pid, scratch)
        assert process.poll() is None, "the server died"
    return result | {"temporary_files": sorted(os.listdir(temporary))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=["attacks", "sigterm"], help="run one part only")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        scratch, temporary, cache = (
            Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(3)
        )
        if arguments.only != "sigterm":
            result = attack_server(scratch, temporary, cache)
            _results.update("web_attacks", "attacks", result)
            print_summary(result)
        if arguments.only != "attacks":
            _results.update("web_attacks", "sigterm", send_sigterm(scratch, temporary))


if __name__ == "__main__":
    main()

"""Measure new processes until their first answer.

    python benchmarks/startup.py --fer benchmarks/.peers/fer/bin/python

Each command runs in new processes, in turn, for ``--rounds`` rounds: the first prediction of a
photo, ``skfer predict`` of photos of three sizes, ``skfer serve`` until ``/api/v1/health`` answers,
and ``import sklearn`` as a reference for the speed of the machine. ``--fer`` is a Python with the
package fer, as ``benchmarks/peers.py`` installs it. Medians and the ratios to the reference are
printed and written to ``benchmarks/results/startup.json``.
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import cv2
from skimage.data import astronaut

SIDES = (512, 1366, 4032)
REFERENCE = "import sklearn"
SKFER = "load_pretrained().predict"
FER = "fer"
FER_CODE = "import cv2; from fer.fer import FER; FER().detect_emotions(cv2.imread({photo!r}))"
HEAVY = ("tensorflow", "keras", "scikeras", "matplotlib")


def commands(photos: dict[int, str], fer: str | None) -> dict[str, list[str]]:
    """Return the command line of each measured process."""
    shell = [sys.executable, "-c", "from skfer.cli import main; main()"]
    lines = {
        REFERENCE: [sys.executable, "-c", REFERENCE],
        SKFER: [
            sys.executable,
            "-c",
            f"import skfer; skfer.load_pretrained('fer2013').predict([{photos[512]!r}])",
        ],
    }
    lines |= {f"skfer predict, {side} pixels": [*shell, "predict", photos[side]] for side in SIDES}
    lines["skfer serve"] = [*shell, "serve", "--port"]
    if fer:
        lines[FER] = [fer, "-c", FER_CODE.format(photo=photos[512])]
    return lines


def run(command: list[str], log: Path) -> dict[str, float]:
    """Return the wall seconds, processor seconds and peak memory of a process."""
    start = time.perf_counter()
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}: {log.read_text()[-500:]}")
    return figures(time.perf_counter() - start, usage)


def run_server(command: list[str], log: Path) -> dict[str, float]:
    """Return the wall seconds until the server answers, then stop it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    start = time.perf_counter()
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, str(port)], stdout=output, stderr=output, env=environment()
        )
    url = f"http://127.0.0.1:{port}/api/v1/health"
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                break
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if process.poll() is not None:
                raise RuntimeError(f"the server ended: {log.read_text()[-500:]}") from None
            time.sleep(0.01)
    seconds = time.perf_counter() - start
    process.kill()
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return figures(seconds, usage)


def figures(seconds: float, usage: resource.struct_rusage) -> dict[str, float]:
    return {
        "wall_seconds": seconds,
        "processor_seconds": usage.ru_utime + usage.ru_stime,
        "megabytes": usage.ru_maxrss / 1024,
    }


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONWARNINGS": "ignore", "CUDA_VISIBLE_DEVICES": ""}


def heavy_imports(command: list[str]) -> list[str]:
    """Return the heavy packages that a prediction imports."""
    process = subprocess.run(
        [command[0], "-X", "importtime", *command[1:]], capture_output=True, text=True, check=True
    )
    names = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in process.stderr.splitlines()
    }
    return sorted(names.intersection(HEAVY))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--fer", help="Python with the package fer")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    measured: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        photos = {}
        for side in SIDES:
            photos[side] = str(Path(folder) / f"{side}.jpg")
            photo = cv2.resize(astronaut(), (side, side), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(photos[side], cv2.cvtColor(photo, cv2.COLOR_RGB2BGR))
        todo = commands(photos, arguments.fer)
        heavy = heavy_imports(todo[SKFER])
        for _ in range(arguments.rounds):
            for name, command in todo.items():
                start = run_server if name == "skfer serve" else run
                measured.setdefault(name, []).append(start(command, log))
    medians = {
        name: {key: round(statistics.median(turn[key] for turn in turns), 3) for key in turns[0]}
        for name, turns in measured.items()
    }
    reference = medians[REFERENCE]["processor_seconds"]
    print("| process | wall, s | processor, s | times `import sklearn` | peak memory, MB |")
    print("|---|---:|---:|---:|---:|")
    for name, row in medians.items():
        row["processor_ratio"] = round(row["processor_seconds"] / reference, 2)
        print(
            f"| {name} | {row['wall_seconds']:.2f} | {row['processor_seconds']:.2f} "
            f"| {row['processor_ratio']:.2f} | {row['megabytes']:.0f} |"
        )
    if FER in medians:
        ratio = medians[SKFER]["wall_seconds"] / medians[FER]["wall_seconds"]
        print(f"wall time of {SKFER} to that of fer: {ratio:.2f}")
    print(f"imports of {SKFER}: {', '.join(heavy) or 'none of ' + ', '.join(HEAVY)}")
    # Imported late, since the peak memory of a process includes that of its parent at its start.
    import _results

    result = {"rounds": arguments.rounds, "load_before": round(load, 1), "imports": heavy}
    _results.write("startup", result | {"processes": medians, "versions": _results.versions()})


if __name__ == "__main__":
    main()

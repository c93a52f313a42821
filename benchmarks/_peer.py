"""Measure one system in a process of its own; run by ``peers.py`` with that system's Python.

    python _peer.py SYSTEM FOLDER OUTPUT [--times-only]

FOLDER contains ``faces.npz`` and the photos. The figures, or one line with the error, are written
to the JSON file OUTPUT.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _peer_protocol import BATCH, PHOTO_SIDES, System, time_call
from _peer_systems import SYSTEMS

# Names of expressions in other packages.
SYNONYMS = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}
WARM_UP = 10
SECONDS = 4.0  # of calls, at least 20 and at most 400
OWN_CALL_EVERY = 8  # the public call predicts every eighth image
MAX_ERROR_LENGTH = 160


def median_seconds(call: Callable[[np.ndarray], Any], faces: np.ndarray) -> float:
    """Return the median time of calls, each with another face."""
    for face in faces[:WARM_UP]:
        call(face)
    times: list[float] = []
    while len(times) < 20 or (sum(times) < SECONDS and len(times) < 400):
        face = faces[len(times) % len(faces)]
        times.append(time_call(lambda face=face: call(face)))
    return statistics.median(times)


def accuracy(predicted: list[str], labels: np.ndarray) -> float:
    names = [SYNONYMS.get(name.lower(), name.lower()) for name in predicted]
    return round(float(np.mean([a == b for a, b in zip(names, labels, strict=True)])), 4)


def megabytes(distributions: tuple[str, ...]) -> float:
    """Return the size of the installed files, with weights and without compiled caches."""
    from importlib.metadata import files

    paths = [file.locate() for name in distributions for file in files(name) or ()]
    if distributions == ("skfer",):  # an editable installation lists no modules
        import skfer

        paths = [path for path in Path(skfer.__file__).parent.rglob("*") if path.is_file()]
    unique = {Path(path) for path in paths if "__pycache__" not in str(path)}
    return round(sum(path.stat().st_size for path in unique if path.exists()) / 1e6, 2)


def measure(system: System, folder: Path, started: float, times_only: bool) -> dict[str, Any]:
    photo = str(folder / "photo.png")
    system.load()
    first = system.photo(photo) if system.finds_faces else system.one(np.zeros((48, 48), np.uint8))
    result: dict[str, Any] = {
        "ready_seconds": round(time.time() - started, 3),
        "ready_processor_seconds": round(time.process_time(), 3),
        "ready_megabytes": peak_megabytes(),
    }
    with np.load(folder / "faces.npz", allow_pickle=False) as data:
        faces, labels = data["images"], data["labels"]
    if system.finds_faces:
        result["photo"] = first
        result["photo_seconds"] = round(
            statistics.median(time_call(lambda: system.photo(photo)) for _ in range(7)), 5
        )
        for side in PHOTO_SIDES:
            larger = str(folder / f"photo_{side}.jpg")
            result[f"photo_{side}_seconds"] = round(
                statistics.median(
                    time_call(lambda path=larger: system.photo(path)) for _ in range(5)
                ),
                5,
            )
    result["one_face_seconds"] = round(median_seconds(system.one, faces), 6)
    result["own_call_seconds"] = round(median_seconds(system.own, faces), 6)
    part = faces[:512] if times_only else faces
    system.batch(part[:BATCH])
    predicted: list[str] = []
    seconds = [time_call(lambda: predicted.extend(system.batch(part)))]
    while sum(seconds) < SECONDS and len(seconds) < 3:
        seconds.append(time_call(lambda: system.batch(part)))
    result["faces_a_second"] = round(len(part) / statistics.median(seconds), 1)
    if not times_only:
        result["accuracy"] = accuracy(predicted, labels)
        own = [system.own(face) for face in faces[::OWN_CALL_EVERY]]
        result["own_call_accuracy"] = accuracy(own, labels[::OWN_CALL_EVERY])
        result["own_call_images"] = len(own)
    result["peak_megabytes"] = peak_megabytes()
    result["disk_megabytes"] = megabytes(system.distributions)
    return result


def peak_megabytes() -> float:
    """Return the peak memory of this program; `getrusage` includes its parent's at the start."""
    status = Path("/proc/self/status").read_text()
    return round(int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024, 1)


def one_line(error: BaseException) -> str:
    """Format an error as one line, without addresses and paths of this machine."""
    text = re.sub(r"https?://\S+?(?=[,.]?(\s|$))", "(address)", " ".join(str(error).split()))
    text = text.encode("ascii", "ignore").decode().strip()
    for folder in (sys.prefix, str(Path.home()), os.getcwd()):
        text = text.replace(folder, "...")
    if len(text) > MAX_ERROR_LENGTH:
        text = text[:MAX_ERROR_LENGTH].rsplit(" ", 1)[0] + " ..."
    return f"{type(error).__name__}: {text}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--started", type=float, default=time.time())
    parser.add_argument("--times-only", action="store_true")
    arguments = parser.parse_args()
    system = SYSTEMS[arguments.system]()
    try:
        result = measure(system, arguments.folder, arguments.started, arguments.times_only)
    except (Exception, SystemExit) as error:
        result = {"error": one_line(error)}
    arguments.output.write_text(json.dumps(result))


if __name__ == "__main__":
    main()

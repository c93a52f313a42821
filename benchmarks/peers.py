"""Compare skfer with other packages, on the same images in one run.

    python benchmarks/peers.py --data fer2013.npz

Each package has its own virtual environment under ``--work`` and its own process. These
environments share NumPy, TensorFlow and others with this one. A package that does not run is listed
with its error. The systems alternate for ``--rounds`` rounds; each time is the median over the
rounds. Results are written to ``benchmarks/results/peers.json``, and with ``--table`` to a Markdown
page.

Accuracy is that on PublicTest. "One face" is the fastest call for an aligned face, "own call" the
public call of the package, with the box of the face if it takes one, and "ready" the wall time,
processor time and peak memory of a new process until its first label.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import _results
import cv2
import numpy as np
from _peer_environments import PEERS, TIMEOUT, Environment, run_python
from _peer_protocol import PHOTO_SIDES
from _peer_systems import SYSTEMS
from _peers_page import failures, page, systems_table

HERE = Path(__file__).parent
SKFER = tuple(name for name in SYSTEMS if name.startswith("skfer"))
# Documented imports of fer: (installed packages, first statement of its README).
FER_IMPORTS = (
    ("fer 25.10.3", "fer", "from fer import FER"),
    ("fer 25.10.3", "fer", "from fer.fer import FER"),
    ("fer 22.5.1 and the newest moviepy", "fer 22.5.1 of today", "from fer import FER"),
    ("fer 22.5.1 and moviepy 1.0.3", "fer 22.5.1", "from fer import FER"),
)


def run_system(system: str, python: Path | str, work: Path, times_only: bool) -> dict:
    output = work / "output.json"
    output.unlink(missing_ok=True)
    home = work / "home"
    home.mkdir(exist_ok=True)
    arguments = [str(HERE / "_peer.py"), system, str(work), str(output)]
    arguments += ["--started", str(time.time())]
    arguments += ["--times-only"] if times_only else []
    try:
        process = run_python(python, arguments, home)
    except subprocess.TimeoutExpired:
        return {"error": f"no result within {TIMEOUT} seconds"}
    if not output.exists():
        last = (process.stderr.strip().splitlines() or ["no output"])[-1]
        return {"error": f"ended with code {process.returncode}: {last}"[:300]}
    return json.loads(output.read_text())


def import_seconds(system: str, python: Path | str, work: Path) -> float | None:
    """Return the seconds of the import in new processes, or None if it fails."""
    module = SYSTEMS[system]().module
    code = f"import time; s = time.perf_counter(); import {module}; print(time.perf_counter() - s)"
    seconds = []
    for _ in range(3):
        process = run_python(python, ["-c", code], work)
        if process.returncode:
            return None
        seconds.append(float(process.stdout.strip().splitlines()[-1]))
    return round(statistics.median(seconds), 3)


def merge_rounds(rounds: list[dict]) -> dict:
    """Return the figures of the first round, with the medians of all times."""
    result = dict(rounds[0])
    for name in result:
        if name.endswith("_seconds") or name == "faces_a_second":
            result[name] = statistics.median(row[name] for row in rounds if name in row)
    return result


def prepare(data: Path, work: Path, n_images: int | None) -> int:
    """Write the faces and photos that all systems read."""
    from skimage.data import astronaut

    from skfer.datasets import load_fer2013

    faces = load_fer2013(data, usage="PublicTest")
    work.mkdir(parents=True, exist_ok=True)
    images, labels = faces.images[:n_images], faces.labels[:n_images]
    np.savez(work / "faces.npz", images=images, labels=labels)
    photo = cv2.cvtColor(astronaut(), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(work / "photo.png"), photo)
    for side in PHOTO_SIDES:
        larger = cv2.resize(photo, (side, side), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(work / f"photo_{side}.jpg"), larger)
    return len(images)


def ratios(systems: dict[str, dict]) -> dict[str, dict[str, dict]]:
    """Return the ratios of each skfer to each fer; skfer is better above 1, or above 0 points."""
    measured = {name: row for name, row in systems.items() if "error" not in row}
    return {
        name: {
            other: compare(row, fer) for other, fer in measured.items() if other.startswith("fer")
        }
        for name, row in measured.items()
        if name.startswith("skfer")
    }


def compare(skfer: dict, fer: dict) -> dict[str, float]:
    return {
        "accuracy_points": round(100 * (skfer["accuracy"] - fer["accuracy"]), 2),
        "one_face": round(fer["one_face_seconds"] / skfer["one_face_seconds"], 2),
        "one_face_to_own_call": round(fer["own_call_seconds"] / skfer["one_face_seconds"], 2),
        "own_call": round(fer["own_call_seconds"] / skfer["own_call_seconds"], 2),
        "faces_a_second": round(skfer["faces_a_second"] / fer["faces_a_second"], 2),
        "photo": round(fer["photo_seconds"] / skfer["photo_seconds"], 2),
        **{
            f"photo_{side}": round(fer[f"photo_{side}_seconds"] / skfer[f"photo_{side}_seconds"], 2)
            for side in PHOTO_SIDES
        },
        "ready": round(fer["ready_seconds"] / skfer["ready_seconds"], 2),
        "ready_processor": round(
            fer["ready_processor_seconds"] / skfer["ready_processor_seconds"], 2
        ),
    }


def fer_imports(environments: dict[str, Environment], work: Path) -> list[dict[str, str]]:
    """Return the results of fer's documented imports."""
    results = []
    for title, peer, statement in FER_IMPORTS:
        if peer not in environments:
            continue
        process = run_python(environments[peer].python, ["-c", statement], work)
        lines = process.stderr.strip().splitlines()
        outcome = "works" if process.returncode == 0 else lines[-1].split(" (")[0]
        results.append({"installed": title, "statement": statement, "outcome": outcome})
    return results


def run(arguments: argparse.Namespace) -> dict:
    work = arguments.work.resolve()
    n_images = prepare(arguments.data, work, arguments.images)
    load = os.getloadavg()[0]
    systems: dict[str, dict] = {}
    pythons: dict[str, Path | str] = dict.fromkeys(
        [name for name in SKFER if not arguments.only or name in arguments.only], sys.executable
    )
    own_version = version("skfer")
    about = {name: {"version": own_version} for name in pythons}
    environments: dict[str, Environment] = {}
    for peer in PEERS:
        if arguments.only and peer.name not in arguments.only:
            continue
        environment = Environment(peer, work)
        print(f"installing {peer.name} ...", flush=True)
        try:
            environment.create()
        except subprocess.CalledProcessError as error:
            reason = (error.stderr.strip().splitlines() or ["pip failed"])[-1]
            systems |= {name: {"error": reason, "version": ""} for name in peer.systems}
            continue
        environments[peer.name] = environment
        for name in peer.systems:
            pythons[name] = environment.python
            about[name] = {"version": environment.version()}
            if peer.note:
                about[name]["note"] = peer.note
            if not environment.contains_weights():
                about[name]["weights"] = "it contains no weights and downloads them"
    rounds: dict[str, list[dict]] = {name: [] for name in pythons}
    for turn in range(arguments.rounds):
        for name, python in pythons.items():
            if rounds[name] and "error" in rounds[name][0]:
                continue
            row = run_system(name, python, work, turn > 0)
            rounds[name].append(row)
            print(f"round {turn + 1}, {name}: {summary(row)}", flush=True)
    for name, rows in rounds.items():
        systems[name] = about[name] | merge_rounds(rows)
        if "error" not in systems[name]:
            systems[name]["import_seconds"] = import_seconds(name, pythons[name], work)
        else:
            notes = [about[name][key] for key in ("note", "weights") if key in about[name]]
            systems[name]["error"] = "; ".join([systems[name]["error"], *notes])
    return {
        "images": n_images,
        "rounds": arguments.rounds,
        "systems": systems,
        "ratios_to_fer": ratios(systems),
        "fer_imports": fer_imports(environments, work),
        "load_before": round(load, 1),
        "versions": _results.versions(),
    }


def summary(row: dict) -> str:
    if "error" in row:
        return row["error"]
    accuracy = f"accuracy {row['accuracy']:.3f}, " if "accuracy" in row else ""
    return (
        f"{accuracy}one face {1000 * row['one_face_seconds']:.2f} ms, "
        f"own call {1000 * row['own_call_seconds']:.2f} ms, "
        f"{row['faces_a_second']:.0f} faces per second, photo {row.get('photo', '-')}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="FER2013")
    parser.add_argument(
        "--work", type=Path, default=HERE / ".peers", help="folder of the environments"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, help="number of faces")
    parser.add_argument("--only", nargs="+", help="packages and systems of skfer to measure")
    parser.add_argument("--table", type=Path, help="write a Markdown page, such as docs/peers.md")
    arguments = parser.parse_args()
    result = run(arguments)
    print("\n" + systems_table(result) + "\n")
    for name, others in result["ratios_to_fer"].items():
        for other, row in others.items():
            print(f"{name} to {other}: {row}")
    for failure in failures(result):
        print(f"failed: {failure}")
    if result["load_before"] > 0.5:
        print(f"The load before was {result['load_before']}; times may be wrong.")
    if arguments.only or arguments.images:
        return
    _results.write("peers", result)
    if arguments.table:
        arguments.table.write_text(page(result))
        print(f"written to {arguments.table}")


if __name__ == "__main__":
    main()

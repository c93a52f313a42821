"""skfer beside the packages people use, on the same images in one run.

    python benchmarks/peers.py --data fer2013.npz

Each peer gets a virtual environment of its own under ``--work`` and runs in a process of its own;
what those environments share with this one (NumPy, TensorFlow, ...) is not installed twice. A peer
that can't run says why in one line. The systems take turns, ``--rounds`` times, and each time is
the median over the rounds. Results go to ``benchmarks/results/peers.json``, and with ``--table``
to a Markdown page.

Accuracy is that of PublicTest. "One face" is an aligned face by the quickest call there is, "own
call" the same face by the package's public call, told where the face is if it can be told; "ready"
is a new process up to its first label.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import _results
import cv2
import numpy as np
from _peer import SYSTEMS

HERE = Path(__file__).parent
WEIGHTS = {".h5", ".hdf5", ".keras", ".onnx", ".pt", ".pth", ".pkl", ".safetensors", ".tflite"}
TIMEOUT = 900  # seconds for one system


@dataclass(frozen=True)
class Peer:
    """A package: what is installed for it (without what those depend on), and its systems."""

    name: str
    requirements: tuple[str, ...]
    systems: tuple[str, ...]
    note: str = ""


_NO_TORCH = "torch and what comes with it, gigabytes, were not installed for it"
# Pinned where a figure depends on it; the newest otherwise. moviepy 1 and what it needs is for
# fer alone. Packages that need torch are tried without: theirs is a download of gigabytes, and
# none of them carries weights anyway.
PEERS = (
    Peer(
        "fer",
        ("fer==25.10.3", "setuptools<81", "moviepy==1.0.3", "decorator", "proglog"),
        ("fer", "fer hdf5"),
        "the newest release, as fer.fer.FER; by default with a quantised network",
    ),
    Peer(
        "fer 22.5.1",
        (
            "fer==22.5.1",
            "setuptools<81",
            "moviepy==1.0.3",
            "decorator",
            "proglog",
            "imageio-ffmpeg",
        ),
        ("fer 22.5.1",),
        "with moviepy older than 2",
    ),
    Peer("facex", ("facex==1.1.0",), ("facex",)),
    Peer(
        "deepface",
        (
            "deepface",
            "retina-face",
            "tf-keras",
            "gdown",
            "beautifulsoup4",
            "soupsieve",
            "lightphe",
            "lightecc",
            "lightdsa",
            "sympy",
            "mpmath",
        ),
        ("deepface",),
    ),
    Peer("emotiefflib", ("emotiefflib",), ("emotiefflib",)),
    Peer("hsemotion-onnx", ("hsemotion-onnx",), ("hsemotion-onnx",)),
    Peer("hsemotion", ("hsemotion",), ("hsemotion",), _NO_TORCH),
    Peer(
        "erml",
        ("erml", "pydantic", "pydantic-core", "annotated-types", "typing-inspection"),
        ("erml",),
    ),
    Peer("rmn", ("rmn",), ("rmn",), _NO_TORCH),
    Peer("py-feat", ("py-feat",), ("py-feat",), _NO_TORCH),
)
OURS = ("skfer", "skfer flip", "skfer ten", "skfer onnx", "skfer onnx flip")
# Which documented import of fer works: (what is installed, what is written first in its README).
FER_IMPORTS = (
    ("fer 25.10.3", "fer", "from fer import FER"),
    ("fer 25.10.3", "fer", "from fer.fer import FER"),
    ("fer 22.5.1, moviepy 1.0.3", "fer 22.5.1", "from fer import FER"),
)


class Environment:
    """A virtual environment for one peer, on top of the packages of this one."""

    def __init__(self, peer: Peer, work: Path):
        self.peer = peer
        self.folder = work / peer.name.replace(" ", "-")
        self.python = self.folder / "bin" / "python"
        self.downloads = work / "wheels"

    def make(self) -> None:
        """Make it unless it is there, complete, from the last time."""
        done = self.folder / "installed.txt"
        wanted = "\n".join(self.peer.requirements)
        if done.exists() and done.read_text() == wanted:
            return
        venv.create(self.folder, with_pip=True, clear=True)
        below = sysconfig.get_paths()["purelib"]
        own = next(self.folder.glob("lib/python*/site-packages"))
        (own / "packages_below.pth").write_text(f"{below}\n")
        pip = [str(self.python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
        subprocess.run(
            [*pip, "install", "--no-deps", *self.peer.requirements],
            check=True,
            capture_output=True,
            text=True,
        )
        done.write_text(wanted)

    def version(self) -> str:
        name = self.peer.requirements[0].split("=")[0]
        code = f"from importlib.metadata import version; print(version({name!r}))"
        return run_python(self.python, ["-c", code], self.folder).stdout.strip()

    def carries_weights(self) -> bool:
        """Whether any file of the distribution looks like a network's weights."""
        name = self.peer.requirements[0].split("=")[0]
        code = f"from importlib.metadata import files; print(*files({name!r}), sep='\\n')"
        listed = run_python(self.python, ["-c", code], self.folder).stdout.split("\n")
        return any(Path(file).suffix in WEIGHTS for file in listed)


def run_python(
    python: Path | str, arguments: Sequence[str], home: Path
) -> subprocess.CompletedProcess[str]:
    """Run it with a home of its own, so that nobody's cached weights are used or left behind."""
    variables = os.environ | {
        "HOME": str(home),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONWARNINGS": "ignore",
    }
    return subprocess.run(
        [str(python), *arguments],
        env=variables,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def run_system(
    system: str, python: Path | str, work: Path, pipeline: Path | None, times_only: bool
) -> dict:
    answer = work / "answer.json"
    answer.unlink(missing_ok=True)
    home = work / "home"
    home.mkdir(exist_ok=True)
    arguments = [str(HERE / "_peer.py"), system, str(work), str(answer)]
    arguments += ["--started", str(time.time())]
    arguments += ["--pipeline", str(pipeline)] if pipeline else []
    arguments += ["--times-only"] if times_only else []
    try:
        done = run_python(python, arguments, home)
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {TIMEOUT} seconds"}
    if not answer.exists():
        last = (done.stderr.strip().splitlines() or ["it wrote nothing"])[-1]
        return {"error": f"ended with code {done.returncode}: {last}"[:300]}
    return json.loads(answer.read_text())


def import_seconds(system: str, python: Path | str, work: Path) -> float | None:
    """Seconds of its import statement in new processes; None if it fails."""
    module = SYSTEMS[system]().module
    code = f"import time; s = time.perf_counter(); import {module}; print(time.perf_counter() - s)"
    seconds = []
    for _ in range(3):
        done = run_python(python, ["-c", code], work)
        if done.returncode:
            return None
        seconds.append(float(done.stdout.strip().splitlines()[-1]))
    return round(statistics.median(seconds), 3)


def merged(rounds: list[dict]) -> dict:
    """The first round, which has all figures, with the medians of all times."""
    result = dict(rounds[0])
    for name in result:
        if name.endswith("_seconds") or name == "faces_a_second":
            result[name] = statistics.median(found[name] for found in rounds if name in found)
    return result


def prepare(data: Path, work: Path, n_images: int | None) -> int:
    """The faces and the photo that every system gets, as plain files."""
    from skimage.data import astronaut

    from skfer.datasets import load_fer2013

    faces = load_fer2013(data, usage="PublicTest")
    work.mkdir(parents=True, exist_ok=True)
    images, labels = faces.images[:n_images], faces.labels[:n_images]
    np.savez(work / "faces.npz", images=images, labels=labels)
    cv2.imwrite(str(work / "photo.png"), cv2.cvtColor(astronaut(), cv2.COLOR_RGB2BGR))
    return len(images)


def ratios(systems: dict[str, dict]) -> dict[str, dict[str, dict]]:
    """Each skfer against each fer; above 1, or above 0 points, skfer is ahead."""
    ran = {name: found for name, found in systems.items() if "error" not in found}
    ours = {name: found for name, found in ran.items() if name.startswith("skfer")}
    fers = {name: found for name, found in ran.items() if name.startswith("fer")}
    return {
        name: {other: compared(found, fer) for other, fer in fers.items()}
        for name, found in ours.items()
    }


def compared(ours: dict, fer: dict) -> dict[str, float]:
    return {
        "accuracy_points": round(100 * (ours["accuracy"] - fer["accuracy"]), 2),
        "one_face": round(fer["one_face_seconds"] / ours["one_face_seconds"], 2),
        "one_face_to_own_call": round(fer["own_call_seconds"] / ours["one_face_seconds"], 2),
        "own_call": round(fer["own_call_seconds"] / ours["own_call_seconds"], 2),
        "faces_a_second": round(ours["faces_a_second"] / fer["faces_a_second"], 2),
        "photo": round(fer["photo_seconds"] / ours["photo_seconds"], 2),
        "ready": round(fer["ready_seconds"] / ours["ready_seconds"], 2),
    }


def fer_imports(environments: dict[str, Environment], work: Path) -> list[dict[str, str]]:
    """What fer's documented imports do."""
    found = []
    for title, peer, statement in FER_IMPORTS:
        if peer not in environments:
            continue
        done = run_python(environments[peer].python, ["-c", statement], work)
        lines = done.stderr.strip().splitlines()
        outcome = "works" if done.returncode == 0 else lines[-1].split(" (")[0]
        found.append({"installed": title, "statement": statement, "outcome": outcome})
    return found


def table(result: dict) -> str:
    """The systems that ran, in Markdown."""
    lines = [
        "| system | accuracy | one face, ms | own call, ms | faces a second | photo, ms |"
        " ready, s | import, s | peak memory, MB | on disk, MB |",
        "|---|" + "---:|" * 9,
    ]
    for name, found in result["systems"].items():
        if "error" in found:
            continue
        photo = f"{1000 * found['photo_seconds']:.0f}" if "photo_seconds" in found else "-"
        imported = found["import_seconds"]
        lines.append(
            f"| {name} {found['version']} | {found['accuracy']:.3f} "
            f"| {1000 * found['one_face_seconds']:.2f} | {1000 * found['own_call_seconds']:.2f} "
            f"| {found['faces_a_second']:.0f} | {photo} | {found['ready_seconds']:.1f} "
            f"| {'-' if imported is None else f'{imported:.2f}'} "
            f"| {found['peak_megabytes']:.0f} | {found['disk_megabytes']:.1f} |"
        )
    return "\n".join(lines)


def failures(result: dict) -> list[str]:
    return [
        f"{name} {found['version']}: {found['error']}".replace("  ", " ")
        for name, found in result["systems"].items()
        if "error" in found
    ]


def page(result: dict) -> str:
    """The whole result as a page of the documentation."""
    lines = [
        "# skfer beside its peers",
        "",
        f"Measured by `python benchmarks/peers.py` on {result['images']} faces of FER2013's "
        "PublicTest and one photo, in one run, the systems in turns.",
        "Accuracy is that of the network with its own scaling on the whole crop. *One face* is an "
        "aligned face by the quickest call there is, *own call* the same by the package's public "
        "call, *photo* a photo of 512 x 512 pixels to a label, *ready* a new process to its first "
        "label.",
        "",
        table(result),
        "",
        "skfer against fer; above 1, or above 0 points, skfer is ahead:",
        "",
        "| system | against | accuracy, points | one face | one face to fer's own call | own call "
        "| faces a second | photo | ready |",
        "|---|---|" + "---:|" * 7,
    ]
    lines += [
        f"| {name} | {other} | {found['accuracy_points']:+.1f} | {found['one_face']:.2f} "
        f"| {found['one_face_to_own_call']:.2f} | {found['own_call']:.2f} "
        f"| {found['faces_a_second']:.2f} | {found['photo']:.2f} | {found['ready']:.2f} |"
        for name, others in result["ratios_to_fer"].items()
        for other, found in others.items()
    ]
    for name, found in result["systems"].items():
        for call, beside in found.get("beside_keras", {}).items():
            lines += [
                "",
                f"{name}: {beside['ratio']:.2f} times the faces a second of `keras.Model.predict` "
                f"with a batch size of {call.rsplit('_', 1)[1]}, the same network in float32.",
            ]
    lines += ["", "fer's own call, which is told the box of the face, widens it by 10 pixels:", ""]
    lines += [
        f"- {name}: {found['own_call_accuracy']:.3f} on {found['own_call_images']} of the faces"
        for name, found in result["systems"].items()
        if name.startswith("fer") and "error" not in found
    ]
    lines += ["", "What fer's documented imports do:", ""]
    lines += [
        f"- {found['installed']}, `{found['statement']}`: {found['outcome']}"
        for found in result["fer_imports"]
    ]
    lines += ["", "What could not run on a machine without access to the network, and why:", ""]
    lines += [f"- {failure}" for failure in failures(result)]
    used = ", ".join(f"{name} {value}" for name, value in result["versions"].items())
    return "\n".join([*lines, "", f"With {used}.", ""])


def run(arguments: argparse.Namespace) -> dict:
    work = arguments.work.resolve()
    n_images = prepare(arguments.data, work, arguments.images)
    load = os.getloadavg()[0]
    systems: dict[str, dict] = {}
    pythons: dict[str, Path | str] = dict.fromkeys(
        [name for name in OURS if not arguments.only or "skfer" in arguments.only], sys.executable
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
            environment.make()
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
            if not environment.carries_weights():
                about[name]["weights"] = "its package carries no weights, they are downloaded"
    rounds: dict[str, list[dict]] = {name: [] for name in pythons}
    for turn in range(arguments.rounds):
        for name, python in pythons.items():
            if rounds[name] and "error" in rounds[name][0]:
                continue
            found = run_system(name, python, work, arguments.pipeline, turn > 0)
            rounds[name].append(found)
            print(f"round {turn + 1}, {name}: {said(found)}", flush=True)
    for name, found in rounds.items():
        systems[name] = about[name] | merged(found)
        if "error" not in systems[name]:
            systems[name]["import_seconds"] = import_seconds(name, pythons[name], work)
        else:
            why = [about[name][key] for key in ("note", "weights") if key in about[name]]
            systems[name]["error"] = "; ".join([systems[name]["error"], *why])
    return {
        "images": n_images,
        "rounds": arguments.rounds,
        "systems": systems,
        "ratios_to_fer": ratios(systems),
        "fer_imports": fer_imports(environments, work),
        "load_before": round(load, 1),
        "versions": _results.versions(),
    }


def said(found: dict) -> str:
    if "error" in found:
        return found["error"]
    accuracy = f"accuracy {found['accuracy']:.3f}, " if "accuracy" in found else ""
    return (
        f"{accuracy}one face {1000 * found['one_face_seconds']:.2f} ms, "
        f"own call {1000 * found['own_call_seconds']:.2f} ms, "
        f"{found['faces_a_second']:.0f} faces a second, photo {found.get('photo', '-')}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="FER2013")
    parser.add_argument("--work", type=Path, default=HERE / ".peers", help="the environments")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, help="only the first so many faces")
    parser.add_argument("--only", nargs="+", help="names of peers, or skfer")
    parser.add_argument(
        "--pipeline", type=Path, help="a Pipeline saved with joblib instead of the shipped one"
    )
    parser.add_argument("--table", type=Path, help="write a Markdown page, such as docs/peers.md")
    parser.add_argument("--name", default="peers", help="name of the JSON file")
    arguments = parser.parse_args()
    result = run(arguments)
    print("\n" + table(result) + "\n")
    for name, others in result["ratios_to_fer"].items():
        for other, found in others.items():
            print(f"{name} to {other}: {found}")
    for failure in failures(result):
        print(f"can't run: {failure}")
    if result["load_before"] > 0.5:
        print(f"not alone: the load was {result['load_before']} before; figures may be off")
    _results.write(arguments.name, result)
    if arguments.table:
        arguments.table.write_text(page(result))
        print(f"written to {arguments.table}")


if __name__ == "__main__":
    main()

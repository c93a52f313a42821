"""Virtual environments of the compared packages."""

from __future__ import annotations

import os
import subprocess
import sysconfig
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

WEIGHTS = {".h5", ".hdf5", ".keras", ".onnx", ".pt", ".pth", ".pkl", ".safetensors", ".tflite"}
TIMEOUT = 900  # seconds for one process


@dataclass(frozen=True)
class Peer:
    """Package with its requirements (without their dependencies) and its systems."""

    name: str
    requirements: tuple[str, ...]
    systems: tuple[str, ...]
    note: str = ""


_NO_TORCH = "torch and its dependencies (gigabytes) were not installed"
# Versions are pinned if a figure depends on them. moviepy 1 and its requirements are for fer only.
# Packages that need torch, which takes gigabytes, are tried without it: none contains weights.
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
    Peer(
        "fer 22.5.1 of today",
        (
            "fer==22.5.1",
            "setuptools<81",
            "moviepy",
            "decorator",
            "proglog",
            "imageio-ffmpeg",
            "python-dotenv",
        ),
        (),  # only whether it can be imported
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


class Environment:
    """Virtual environment of one package, on top of the packages of this one."""

    def __init__(self, peer: Peer, work: Path):
        self.peer = peer
        self.folder = work / peer.name.replace(" ", "-")
        self.python = self.folder / "bin" / "python"
        self.downloads = work / "wheels"

    def create(self) -> None:
        """Create the environment unless it is complete."""
        marker = self.folder / "installed.txt"
        requirements = "\n".join(self.peer.requirements)
        if marker.exists() and marker.read_text() == requirements:
            return
        venv.create(self.folder, with_pip=True, clear=True)
        site_packages = next(self.folder.glob("lib/python*/site-packages"))
        parent = sysconfig.get_paths()["purelib"]
        (site_packages / "parent_packages.pth").write_text(f"{parent}\n")
        pip = [str(self.python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
        subprocess.run(
            [*pip, "install", "--no-deps", *self.peer.requirements],
            check=True,
            capture_output=True,
            text=True,
        )
        marker.write_text(requirements)

    def version(self) -> str:
        name = self.peer.requirements[0].split("=")[0]
        code = f"from importlib.metadata import version; print(version({name!r}))"
        return run_python(self.python, ["-c", code], self.folder).stdout.strip()

    def contains_weights(self) -> bool:
        """Return whether a file of the distribution looks like weights of a network."""
        name = self.peer.requirements[0].split("=")[0]
        code = f"from importlib.metadata import files; print(*files({name!r}), sep='\\n')"
        paths = run_python(self.python, ["-c", code], self.folder).stdout.split("\n")
        return any(Path(path).suffix in WEIGHTS for path in paths)


def run_python(
    python: Path | str, arguments: Sequence[str], home: Path
) -> subprocess.CompletedProcess[str]:
    """Run Python with an empty home folder, so that no cached weights are used or left behind."""
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

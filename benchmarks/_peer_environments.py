"""The peers: what is installed for each, in a virtual environment of its own."""

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

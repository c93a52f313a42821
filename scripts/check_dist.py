"""Install the built wheel into an empty environment and predict a photo without a network.

    python scripts/check_dist.py dist photo.jpg

`make dist` builds the wheel. Opening a connection fails the check.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

PREDICT = """
import os, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
        print(f"{event}: {arguments}", flush=True)
        os._exit(1)  # an exception would only end a thread

sys.addaudithook(refuse)
from skfer import load_pretrained, list_pretrained

for name in (record["name"] for record in list_pretrained()):
    model = load_pretrained(name)
    (label,) = model.predict([sys.argv[1]])
    assert label in model.classes_
    print(f"{name}: {label}")
"""


def main() -> None:
    """Install the wheel, then predict the photo with each pretrained model."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dist", type=Path)
    parser.add_argument("photo", type=Path)
    arguments = parser.parse_args()
    (wheel,) = arguments.dist.glob("*.whl")
    print(f"{wheel.name}: {wheel.stat().st_size / 2**20:.1f} MB", flush=True)
    with tempfile.TemporaryDirectory(prefix="skfer-dist-") as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True)
        photo = arguments.photo.resolve()
        subprocess.run([python, "-I", "-c", PREDICT, photo], check=True, cwd=folder)


if __name__ == "__main__":
    main()

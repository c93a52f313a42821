"""Run the README or the getting-started page as written, in a clean clone.

    python scripts/newcomer.py docs/getting_started.md
    python scripts/newcomer.py README.md

Shell blocks run in one shell, and Python blocks in one interpreter between two shell blocks. The
photos that the README uses are created first.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
README_PHOTOS = """
import cv2
from pathlib import Path
from skfer.datasets import make_faces
from skimage.data import astronaut

cv2.imwrite("photo.jpg", cv2.cvtColor(astronaut(), cv2.COLOR_RGB2BGR))
faces = make_faces(240, classes=["happy", "sad", "surprise"], scene=True, random_state=0)
for number, (picture, label) in enumerate(zip(faces.images, faces.labels)):
    file = Path("photos", label, f"p{number % 20:02}-{number:03}.png")
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
"""


def make_script(page: Path) -> str:
    """Return the blocks of a page as one shell script."""
    text = page.read_text(encoding="utf-8")
    parts = ["set -ex"]
    is_readme = page.name == "README.md"
    session: list[str] = []

    def end_session() -> None:
        if session:
            parts.append("python - <<'END_OF_PYTHON'\n" + "\n".join(session) + "\nEND_OF_PYTHON")
            session.clear()

    for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S):
        if language == "python":
            session.append(block)
        elif language == "console":
            end_session()
            parts.append(block)
            if is_readme and "pip install" in block:
                parts.append(f"python - <<'END_OF_PYTHON'{README_PHOTOS}END_OF_PYTHON")
    end_session()
    return "\n".join(parts)


def main() -> None:
    """Clone the repository, run the page and print the time."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("page", type=Path, help="README.md or docs/getting_started.md")
    parser.add_argument("--show", action="store_true", help="print the script without running it")
    arguments = parser.parse_args()
    if arguments.show:
        print(make_script(arguments.page))
        return
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="skfer-newcomer-") as folder:
        clone = Path(folder) / "skfer"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        script = make_script(clone / arguments.page)
        code = subprocess.run(["bash", "-c", script], cwd=clone).returncode
    minutes = (time.perf_counter() - start) / 60
    print(f"{arguments.page}: exit code {code} after {minutes:.1f} minutes")
    sys.exit(code)


if __name__ == "__main__":
    main()

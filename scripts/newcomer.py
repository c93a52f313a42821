"""Do what the README and the getting-started page say, word for word, in a clean clone.

    python scripts/newcomer.py docs/getting_started.md
    python scripts/newcomer.py README.md

Commands go to one shell and Python to one interpreter after another, in the order of the page, as
someone would paste them. Photos that the README takes for granted are drawn first.
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
# What the README's reader has and a clean clone hasn't: photos and a video.
PHOTOS_OF_README = """
import av, cv2
from pathlib import Path
from skfer.datasets import make_faces

classes = ["happy", "sad", "surprise"]
drawn = make_faces(240, classes=classes, scene=True, color=True, random_state=1)
names = ["photo.jpg", "party.jpg", "portrait.png", "me1.jpg", "me2.jpg", "me3.jpg", "me4.jpg"]
for number, (picture, label) in enumerate(zip(drawn.images, drawn.labels)):
    folder = Path("photos", label)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:03}.png"] + names[number:number + 1]
    for path in paths:
        cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
with av.open("talk.mp4", "w") as out:
    stream = out.add_stream("libx264", rate=25)
    stream.height, stream.width = drawn.images[0].shape[:2]
    stream.pix_fmt = "yuv420p"
    for picture in drawn.images[:50]:
        out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    out.mux(stream.encode())
"""
# A server doesn't end by itself: it is asked how it is, and stopped.
SERVED = """
skfer serve & server=$!
for _ in $(seq 60); do curl -sf http://127.0.0.1:8000/api/v1/health && break; sleep 1; done
kill $server; wait $server || true
"""


def script_of(page: Path) -> str:
    """The blocks of a page as one shell script."""
    text = page.read_text(encoding="utf-8")
    parts = ["set -ex"]
    is_readme = page.name == "README.md"
    # Blocks of Python that follow each other are one session.
    session: list[str] = []

    def end_session() -> None:
        if session:
            parts.append("python - <<'END_OF_PYTHON'\n" + "\n".join(session) + "\nEND_OF_PYTHON")
            session.clear()

    for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S):
        if language == "python":
            session.append(block)
        elif language == "console" or (is_readme and not language):
            end_session()
            parts.append(block.replace("skfer serve\n", SERVED) if is_readme else block)
            if is_readme and "pip install" in block:
                parts.append('pip install ".[all]"')
                parts.append(f"python - <<'END_OF_PYTHON'{PHOTOS_OF_README}END_OF_PYTHON")
    end_session()
    return "\n".join(parts)


def main() -> None:
    """Clone, follow, say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("page", type=Path, help="README.md or docs/getting_started.md")
    parser.add_argument("--show", action="store_true", help="print the script, and run nothing")
    arguments = parser.parse_args()
    if arguments.show:
        print(script_of(arguments.page))
        return
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="skfer-newcomer-") as folder:
        clone = Path(folder) / "skfer"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        script = script_of(clone / arguments.page)
        code = subprocess.run(["bash", "-c", script], cwd=clone).returncode
    minutes = (time.perf_counter() - start) / 60
    print(f"{arguments.page}: ended {code} after {minutes:.1f} minutes")
    sys.exit(code)


if __name__ == "__main__":
    main()

"""Run the README or the getting-started page as written, in a clean clone.

    python scripts/newcomer.py docs/getting_started.md
    python scripts/newcomer.py README.md

Shell blocks run in one shell, and Python blocks in one interpreter between two shell blocks. Of the
README, the block of the getting-started page that draws photos runs after the installation.
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


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return the language and the text of each block of code."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)


def make_script(page: Path) -> str:
    """Return the blocks of a page as one shell script."""
    parts = ["set -ex"]
    is_readme = page.name == "README.md"
    session: list[str] = []

    def end_session() -> None:
        if session:
            parts.append("python - <<'END_OF_PYTHON'\n" + "\n".join(session) + "\nEND_OF_PYTHON")
            session.clear()

    for language, block in blocks(page):
        if language == "python":
            session.append(block)
        elif language == "console":
            end_session()
            parts.append(block)
            if is_readme and "pip install" in block:
                getting_started = blocks(page.parent / "docs" / "getting_started.md")
                session += [code for _, code in getting_started if "make_faces" in code]
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

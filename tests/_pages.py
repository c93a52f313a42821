"""Run the code of pages in docs/, and write the files that they use."""

import csv
import re
import shlex
from pathlib import Path

import cv2
import numpy as np
from _videos import picture, write_clip
from click.testing import CliRunner
from skimage.data import astronaut

from skfer.cli._app import app
from skfer.datasets import make_faces

DOCS = Path(__file__).parent.parent / "docs"
# Commands that need a camera or a browser.
SKIPPED = ("skfer serve", "skfer webcam")


def run_page(page, namespace, replacements=None):
    """Run the Python blocks of a page and the skfer commands of its console blocks.

    `replacements` maps slow code, which must occur once, to faster code.
    """
    text = (DOCS / page).read_text(encoding="utf-8")
    for slow, fast in (replacements or {}).items():
        assert text.count(slow) == 1, f"{page} contains {slow!r} {text.count(slow)} times"
        text = text.replace(slow, fast)
    blocks = re.finditer(r"^```(python|console)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for block in blocks:
        if block[1] == "console":
            run_commands(block[2], page)
            continue
        lines_before = text[: block.start(2)].count("\n")
        exec(compile("\n" * lines_before + block[2], str(DOCS / page), "exec"), namespace)
    return namespace


def run_commands(lines, page):
    """Run the skfer commands in console lines."""
    for command in lines.splitlines():
        if not command.startswith("skfer ") or command.startswith(SKIPPED):
            continue
        result = CliRunner().invoke(app, shlex.split(command)[1:], catch_exceptions=False)
        assert result.exit_code == 0, f"{page}: {command}\n{result.output}"


def write_photo(path):
    assert cv2.imwrite(str(path), cv2.cvtColor(astronaut(), cv2.COLOR_RGB2BGR))


def write_photos(folder, n=48):
    """Write fewer and smaller drawn photos than getting_started.md does."""
    faces = make_faces(n, classes=["happy", "sad", "surprise"], scene=(120, 160), random_state=0)
    for number, (scene, label) in enumerate(zip(faces.images, faces.labels, strict=True)):
        file = folder / label / f"p{number % 8:02}-{number:03}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(file), cv2.cvtColor(scene, cv2.COLOR_RGB2BGR))


def write_video(path):
    """Write a video of a drawn person; the last frames have no face."""
    scene = make_faces(1, scene=True, random_state=0).images[0]
    write_clip(path, [scene] * 6 + [picture(size=scene.shape[:2])] * 2)


def write_fer2013(folder):
    """Write fer2013.csv of drawn faces with three duplicates, and their votes."""
    faces = make_faces(112, random_state=0)
    usage = ["Training"] * 70 + ["PublicTest"] * 28 + ["PrivateTest"] * 14
    images, target = faces.images.copy(), faces.target.copy()
    images[70:73], target[70:73] = images[:3], target[:3]
    with (folder / "fer2013.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["emotion", "pixels", "Usage"])
        for code, image, part in zip(target, images, usage, strict=True):
            rows.writerow([code, " ".join(map(str, image.ravel())), part])
    choices = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear"]
    # The column of each code of FER2013, from angry to neutral.
    columns = np.array([4, 5, 6, 1, 3, 2, 0])[target]
    columns[::9] = 7  # contempt
    with (folder / "fer2013new.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["Usage", "Image name", *choices, "contempt", "unknown", "NF"])
        for number, (column, part) in enumerate(zip(columns, usage, strict=True)):
            votes = [0] * 10
            votes[column], votes[(column + 1) % 8] = 7, 3
            rows.writerow([part, f"fer{number:07}.png", *votes])

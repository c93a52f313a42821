from __future__ import annotations

import sys
from pathlib import Path

import cv2
import joblib
import pytest
from _videos import picture, write_clip
from click.testing import CliRunner

from skfer.cli._app import app
from skfer.datasets import make_faces


@pytest.fixture
def skfer():
    def run(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.fixture(scope="module")
def model(fitted_pipeline, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "tiny.joblib"
    joblib.dump(fitted_pipeline, path)
    return path


@pytest.fixture
def class_folder(tmp_path):
    """Drawn faces of 48 pixels in a folder for each class."""
    faces = make_faces(30, classes=["happy", "sad"], random_state=0)
    for index, (image, label) in enumerate(zip(faces.images, faces.labels, strict=True)):
        folder = tmp_path / "labelled" / label
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{index}.png"), image)
    return tmp_path / "labelled"


@pytest.fixture
def talk(tmp_path):
    """A video of a drawn person whose face Haar finds."""
    scene = make_faces(1, scene=True, random_state=0).images[0]
    return write_clip(tmp_path / "talk.mp4", [scene] * 6 + [picture(size=scene.shape[:2])] * 2)


@pytest.fixture
def command():
    """A function that returns the arguments of `subprocess` for a command."""
    # The module of the tests with the network of the model must be importable.
    tests = str(Path(__file__).parents[1])
    code = (
        # If the tests run as a background job, their children ignore SIGINT.
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"sys.path.insert(0, {tests!r}); from skfer.cli import main; main()"
    )
    return lambda *arguments: [sys.executable, "-c", code, *map(str, arguments)]

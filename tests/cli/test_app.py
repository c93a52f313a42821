from __future__ import annotations

import subprocess
import sys
import types

import click
import pytest

from skfer.cli._app import app
from skfer.datasets import make_faces

CLASSES = ["happy", "sad", "surprise"]
COMMANDS = sorted(app.commands)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(skfer, command):
    result = skfer(command, "--help")
    assert result.exit_code == 0
    assert f"skfer {command}" in result.stdout.split("Examples:")[1]
    for option in app.commands[command].params:
        if isinstance(option, click.Option):
            has_default = option.is_flag or option.required or option.default is not None
            optional = option.name in {"output", "csv", "folder", "timeline", "settings"}
            assert has_default or optional or "[default: " in option.help, option.name


def test_help():
    code = (
        "import sys; from skfer.cli import main\n"
        "try: main()\n"
        "finally: print([n for n in ('tensorflow', 'sklearn', 'cv2', 'av') if n in sys.modules])"
    )
    command = [sys.executable, "-c", code, "--help"]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert all(f"\n  {command} " in process.stdout for command in COMMANDS)
    assert "..." not in process.stdout.split("Commands:")[1]
    assert "  130  " in process.stdout
    assert process.stdout.splitlines()[-1] == "[]"


def test_module():
    command = [sys.executable, "-m", "skfer", "--version"]
    assert b"skfer, version" in subprocess.run(command, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["predict"], 2, "Missing argument"),
        (["predict", "a.jpg", "-o", "missing/faces.csv"], 2, "There is no folder 'missing'"),
        (["predict", "a.jpg", "--csv", "-o", "/dev/null"], 2, "'/dev/null' is a device or a pipe"),
        (["predict", "a.jpg", "--model", "unknown"], 2, "nor one of the pretrained models"),
        (["predict", "a.jpg", "--output", "faces.txt"], 2, "must end in .json"),
        (["predict", "a.jpg", "--model", __file__], 1, "was not written by skfer.save"),
        (["video", "missing.mp4"], 2, "does not exist"),
        (["train", ".", "--output", "m.joblib", "--set", "epochs"], 2, "NAME=VALUE"),
        (["train", ".", "--output", "m.skfer", "--weights", "fer2014"], 2, "neither a file nor"),
        (["train", ".", "--output", "m.skfer", "--network", "resnet99"], 2, "is not one of: cnn4"),
        (["video", __file__, "--detector", "unknown"], 1, "Unknown face detector 'unknown'"),
        (["webcam", "--every", "0"], 2, "--every"),
    ],
)
def test_errors(skfer, model, arguments, code, message):
    if arguments[0] == "video":
        arguments = [*arguments, "--model", model]
    result = skfer(*arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_output_replaces_no_input(skfer, tmp_path):
    file = tmp_path / "labels.csv"
    file.write_bytes(b"file,label")
    result = skfer("predict", file, "--csv", "-o", file)
    assert (result.exit_code, "is one of the photos" in result.stderr) == (2, True)
    result = skfer("train", file, "--columns", "file", "label", "-o", file)
    assert (result.exit_code, "is the data itself" in result.stderr) == (2, True)
    assert file.read_bytes() == b"file,label"


def test_serve(skfer, model, monkeypatch):
    served = {}
    page = types.ModuleType("skfer.web")
    page.serve = lambda pipeline, **options: served.update(options, pipeline=pipeline)
    monkeypatch.setitem(sys.modules, "skfer.web", page)
    monkeypatch.setattr(sys.modules["skfer"], "web", page, raising=False)
    result = skfer("serve", "--port", 9000, "--model", model, "--detector", "haar")
    assert result.exit_code == 0, result.stderr
    assert served.pop("pipeline").classes_.tolist() == CLASSES
    assert served == {"host": "127.0.0.1", "port": 9000, "detector": "haar"}


@pytest.mark.slow
def test_export(skfer, model, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    output = tmp_path / "model.onnx"
    result = skfer("export", "--model", model, "--output", output)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip() == str(output)
    face = make_faces(1, random_state=0).images[..., None]
    session = runtime.InferenceSession(str(output))
    (probabilities,) = session.run(["probabilities"], {"images": face})
    assert probabilities.shape == (1, len(CLASSES))

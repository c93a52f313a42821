from __future__ import annotations

import subprocess
import sys

import pytest

from skfer.datasets import make_faces

CLASSES = ["happy", "sad", "surprise"]
COMMANDS = ["predict", "video", "webcam", "train", "evaluate", "export", "serve"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(skfer, command):
    result = skfer(command, "--help")
    assert result.exit_code == 0
    assert f"skfer {command}" in result.stdout.split("Examples:")[1]


def test_help_lists_the_commands_and_the_exit_codes(skfer):
    result = skfer("--help")
    assert all(command in result.stdout for command in COMMANDS)
    assert "130" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["predict"], 2, "Missing argument"),
        (["predict", "a.jpg", "-o", "nowhere/faces.csv"], 2, "There is no folder 'nowhere'"),
        (["predict", "a.jpg", "--model", "nobody"], 2, "nor one of the pretrained models"),
        (["predict", "a.jpg", "--output", "faces.txt"], 2, "must end in .json"),
        (["predict", "a.jpg", "--model", __file__], 1, "no model that skfer.save wrote"),
        (["video", "nowhere.mp4"], 2, "does not exist"),
        (["train", ".", "--output", "m.joblib", "--set", "epochs"], 2, "NAME=VALUE"),
        (["video", __file__, "--detector", "nobody"], 1, "Unknown face detector 'nobody'"),
        (["webcam", "--every", "0"], 2, "--every"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(skfer, model, arguments, code, message):
    if arguments[0] == "video":
        arguments = [*arguments, "--model", model]
    result = skfer(*arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_serve_hands_the_model_on(skfer, model, monkeypatch):
    import types

    served = {}
    page = types.ModuleType("skfer.web")
    page.serve = lambda pipeline, **options: served.update(options, pipeline=pipeline)
    monkeypatch.setitem(sys.modules, "skfer.web", page)
    monkeypatch.setattr(sys.modules["skfer"], "web", page, raising=False)
    result = skfer("serve", "--port", 9000, "--model", model, "--detector", "haar")
    assert result.exit_code == 0, result.stderr
    assert served.pop("pipeline").classes_.tolist() == CLASSES
    assert served == {"host": "127.0.0.1", "port": 9000, "detector": "haar"}


def test_help_needs_no_tensorflow():
    code = (
        "import sys; from skfer.cli._app import app; app(['--help'], standalone_mode=False);"
        "print([name for name in ('tensorflow', 'sklearn', 'av') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_export_writes_onnx(skfer, model, tmp_path):
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

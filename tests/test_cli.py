from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import joblib
import pandas as pd
import pytest
from click.testing import CliRunner
from clips_for_tests import picture, write_clip

from skfer import load
from skfer.cli._app import app
from skfer.datasets import make_faces

TESTS = str(Path(__file__).parent)
CLASSES = ["happy", "sad", "surprise"]
COMMANDS = ["predict", "video", "webcam", "train", "evaluate", "export", "serve"]


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
    for place, (image, label) in enumerate(zip(faces.images, faces.labels, strict=True)):
        folder = tmp_path / "labelled" / label
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{place}.png"), image)
    return tmp_path / "labelled"


@pytest.fixture
def talk(tmp_path):
    """A clip of drawn people, in which Haar finds faces."""
    scene = make_faces(1, scene=True, random_state=0).images[0]
    return write_clip(tmp_path / "talk.mp4", [scene] * 6 + [picture(size=scene.shape[:2])] * 2)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(skfer, command):
    result = skfer(command, "--help")
    assert result.exit_code == 0
    assert f"skfer {command}" in result.stdout.split("Examples:")[1]


def test_help_lists_the_commands_and_the_exit_codes(skfer):
    result = skfer("--help")
    assert all(command in result.stdout for command in COMMANDS)
    assert "130" in result.stdout


def test_predict_prints_a_line_for_each_face(skfer, model, photo_files):
    result = skfer("predict", *photo_files, "--model", model)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) >= 4
    assert lines[0].startswith(f"{photo_files[0]}: face 0: ")
    assert "from people you trust" in result.stderr


def test_predict_prints_json(skfer, model, photo_files):
    result = skfer("predict", photo_files[0].parent, "--json", "--model", model)
    photos = json.loads(result.stdout)
    assert [photo["image"] for photo in photos] == sorted(map(str, photo_files))
    face = photos[0]["faces"][0]
    assert face["expression"] == max(face["probabilities"], key=face["probabilities"].get)
    assert sorted(face["probabilities"]) == CLASSES
    assert set(face["box"]) == {"x", "y", "width", "height"}


def test_a_name_is_a_model_whatever_lies_there(skfer, photo_files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ferplus").mkdir()
    result = skfer("predict", photo_files[0], "--json", "--model", "ferplus")
    assert result.exit_code == 0, result.stderr
    assert "contempt" in json.loads(result.stdout)[0]["faces"][0]["probabilities"]


@pytest.mark.parametrize("name", ["faces.csv", "faces.json", "faces.parquet"])
def test_predict_writes_a_file(skfer, model, photo_files, tmp_path, name):
    output = tmp_path / name
    result = skfer("predict", *photo_files, "--model", model, "--output", output)
    assert (result.exit_code, result.stdout) == (0, "")
    read = {"csv": pd.read_csv, "json": pd.read_json, "parquet": pd.read_parquet}
    table = read[output.suffix[1:]](output)
    assert table["image"].unique().tolist() == list(map(str, photo_files))


def test_predict_goes_on_after_a_photo_that_cannot_be_read(skfer, model, photo_files, tmp_path):
    broken = tmp_path / "broken (1) copy.jpg"
    broken.write_text("no image")
    missing = tmp_path / "missing.jpg"
    result = skfer("predict", broken, photo_files[0], missing, "--json", "--model", model)
    assert result.exit_code == 3
    photos = json.loads(result.stdout)
    assert [photo["image"] for photo in photos] == [
        str(path) for path in (broken, photo_files[0], missing)
    ]
    assert "decoded" in photos[0]["error"]
    assert photos[0]["faces"] == []
    assert photos[1]["faces"]
    assert "error" not in photos[1]
    assert f"{broken}: can't be decoded as an image." in result.stderr
    assert f"{missing}: can't be read: No such file" in result.stderr


def test_predict_draws_into_copies(skfer, model, photo_files, tmp_path):
    drawn = tmp_path / "drawn"
    result = skfer("predict", *photo_files, "--model", model, "--annotate", drawn)
    assert result.exit_code == 0
    assert sorted(path.name for path in drawn.iterdir()) == [
        *("gray.png", "part.jpg", "small.png", "whole.png")
    ]
    original, copy = (cv2.imread(str(path)) for path in (photo_files[0], drawn / "whole.png"))
    assert original.shape == copy.shape
    assert (original != copy).any()
    over_itself = skfer("predict", photo_files[0], "-m", model, "--annotate", photo_files[0].parent)
    assert over_itself.exit_code == 2
    assert "is one of the photos" in over_itself.stderr


def test_predict_draws_over_none_of_the_photos(skfer, model, photo_files, tmp_path):
    folder = tmp_path / "drawn"
    folder.mkdir()
    namesake = folder / photo_files[0].name
    namesake.write_bytes(photo_files[1].read_bytes())
    result = skfer("predict", photo_files[0], namesake, "-m", model, "--annotate", folder)
    assert result.exit_code == 2
    assert "is one of the photos" in result.stderr
    assert namesake.read_bytes() == photo_files[1].read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["predict"], 2, "Missing argument"),
        (["predict", "a.jpg", "-o", "nowhere/faces.csv"], 2, "There is no folder 'nowhere'"),
        (["predict", "a.jpg", "--model", "nobody"], 2, "nor one of the pretrained models"),
        (["predict", "a.jpg", "--output", "faces.txt"], 2, "has to end in .json"),
        (["predict", "a.jpg", "--model", __file__], 1, "no model that skfer.save wrote"),
        (["video", "nowhere.mp4"], 2, "does not exist"),
        (["train", ".", "--output", "m.joblib", "--set", "epochs"], 2, "NAME=VALUE"),
        (["video", __file__, "--detector", "nobody"], 1, "No face detector is called 'nobody'"),
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


def test_video_writes_what_was_asked_for(skfer, model, talk, tmp_path):
    output, rows, timeline = tmp_path / "drawn.mp4", tmp_path / "faces.csv", tmp_path / "time.png"
    result = skfer(
        *("video", talk, "--model", model, "--output", output),
        *("--csv", rows, "--timeline", timeline, "--every", 2, "--json", "--progress"),
    )
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert (summary["frames"], summary["frames_without_a_face"]) == (8, 2)
    assert sum(summary["faces"][0]["expressions"].values()) == 6
    assert pd.read_csv(rows)["frame"].unique().tolist() == list(range(8))
    assert cv2.imread(str(timeline)) is not None
    assert output.stat().st_size > 0
    assert "8/8" in result.stderr


def test_video_prints_rows(skfer, model, talk):
    result = skfer("video", talk, "--model", model)
    assert result.exit_code == 0, result.stderr
    header, *rows = result.stdout.splitlines()
    assert header.startswith("frame,timestamp,face_id,")
    assert len(rows) == 8
    assert "8 frames" in result.stderr


def test_video_that_is_cut_short(skfer, model, tmp_path):
    # Of another scene in each frame, so that half of the bytes are about half of the frames.
    scenes = list(make_faces(30, scene=(96, 128), random_state=0).images)
    cut = write_clip(tmp_path / "cut.mkv", scenes)
    content = cut.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    result = skfer("video", cut, "--model", model, "--json")
    assert result.exit_code == 3
    assert "breaks off after frame" in result.stderr
    assert json.loads(result.stdout)["frames"] < 30


def test_webcam_without_a_window(skfer, model, monkeypatch):
    scene = make_faces(1, scene=True, random_state=0).images[0]

    class Camera:
        def __init__(self, index):
            self.left = 5

        def isOpened(self):  # noqa: N802 - OpenCV's name
            return True

        def get(self, what):
            return 30.0

        def read(self):
            self.left -= 1
            return self.left >= 0, scene

        def release(self):
            pass

    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    result = skfer("webcam", "--no-window", "--model", model)
    assert result.exit_code == 0, result.stderr
    (line,) = result.stdout.splitlines()
    assert line.startswith("0.00 s: face 0: ")


def test_webcam_without_a_screen(skfer, model, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    result = skfer("webcam", "--model", model)
    assert result.exit_code == 2
    assert "--no-window" in result.stderr


def test_train_evaluate_predict(skfer, class_folder, photo_files, tmp_path):
    trained = tmp_path / "mine.skfer"
    result = skfer(
        *("train", class_folder, "--output", trained, "--epochs", 2, "--json"),
        *("--set", "classifier__learning_rate=0.01", "--set", "cropper__margin=0.1"),
    )
    assert result.exit_code == 0, result.stderr
    written = json.loads(result.stdout)
    assert written["classes"] == ["happy", "sad"]
    assert len(written["history"]["val_loss"]) == 2
    assert "epoch 2/2: loss " in result.stderr
    pipeline = load(trained)
    assert pipeline["cropper"].margin == 0.1
    assert pipeline["classifier"].callbacks is None

    scores = json.loads(skfer("evaluate", class_folder, "--model", trained, "--json").stdout)
    assert scores["images"] == 30
    assert sum(map(sum, scores["confusion"])) == 30
    text = skfer("evaluate", class_folder, "--model", trained, "--faces").stdout
    assert f"{scores['accuracy']:.3f}" in text
    predicted = skfer("predict", photo_files[0], "--model", trained)
    assert (predicted.exit_code, predicted.stderr) == (0, "")


def test_a_pickle_is_written_and_read_only_where_the_name_says_so(
    skfer, class_folder, photo_files, tmp_path
):
    trained = tmp_path / "mine.joblib"
    arguments = ("--epochs", 1, "--faces", "--size", 16)
    assert skfer("train", class_folder, "--output", trained, *arguments).exit_code == 0
    assert joblib.load(trained)["resizer"].size == 16
    read = skfer("predict", photo_files[0], "--model", trained)
    assert read.exit_code == 0
    assert "loading it is running code of whoever made it" in read.stderr

    trained.rename(tmp_path / "mine.skfer")
    refused = skfer("predict", photo_files[0], "--model", tmp_path / "mine.skfer")
    assert refused.exit_code == 1
    assert "is a pickle" in refused.stderr
    assert "ends in .joblib" in refused.stderr


def test_what_cannot_be_saved_is_told_before_the_fit(skfer, class_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("skfer.FacialExpressionClassifier.fit", lambda *_: pytest.fail("it fitted"))
    output = tmp_path / "mine.skfer"
    setting = "classifier__network_params={'dropout': 1j}"
    result = skfer("train", class_folder, "--output", output, "--set", setting)
    assert result.exit_code == 1
    assert "network_params is a builtins.complex" in result.stderr
    assert not output.exists()


def test_evaluate_names_a_class_that_the_model_does_not_know(skfer, class_folder, model):
    (class_folder / "sad").rename(class_folder / "bored")
    result = skfer("evaluate", class_folder, "--model", model)
    assert result.exit_code == 1
    assert "'bored', which the model does not know" in result.stderr


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


def test_without_click(monkeypatch):
    import skfer.cli

    monkeypatch.setitem(sys.modules, "click", None)
    with pytest.raises(SystemExit, match=r"skfer\[cli\]"):
        skfer.cli.main()


def command(*arguments):
    # The network of the model is a function of the tests' own, which another process must find.
    code = f"import sys; sys.path.insert(0, {TESTS!r}); from skfer.cli import main; main()"
    return [sys.executable, "-c", code, *map(str, arguments)]


@pytest.mark.slow
def test_in_a_pipe_nothing_but_json_comes_out(model, photo_files):
    done = subprocess.run(
        command("predict", *photo_files, "--json", "--model", model), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 4
    # The one line on standard error is ours, not TensorFlow's.
    (warning,) = done.stderr.splitlines()
    assert warning.startswith("Warning: ")


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_half_written(model, tmp_path):
    scene = make_faces(1, scene=True, random_state=0).images[0]
    clip = write_clip(tmp_path / "long.mp4", [scene] * 300)
    folder = tmp_path / "out"
    folder.mkdir()
    process = subprocess.Popen(
        command("video", clip, "-m", model, "-o", folder / "d.mp4", "--csv", folder / "f.csv"),
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and len(list(folder.iterdir())) < 2:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130, said
    assert "Interrupted." in said
    assert list(folder.iterdir()) == []

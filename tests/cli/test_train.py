from __future__ import annotations

import json
import shutil

import cv2
import joblib
import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Perceptron
from sklearn.pipeline import make_pipeline

from skfer import AbstainingClassifier, FaceCropper, load
from skfer.datasets import make_faces


@pytest.mark.slow
def test_train_evaluate_predict(skfer, class_folder, photo_files, tmp_path):
    trained = tmp_path / "mine.skfer"
    result = skfer(
        *(
            "train",
            class_folder,
            "--output",
            trained,
            "--epochs",
            2,
            "--set",
            "classifier__verbose=2",
            "--json",
        ),
        *("--set", "classifier__learning_rate=0.01", "--set", "cropper__margin=0.1"),
    )
    assert result.exit_code == 0, result.stderr
    written = json.loads(result.stdout)
    assert written["classes"] == ["happy", "sad"]
    assert len(written["history"]["val_loss"]) == 2
    assert "Epoch 2/2" in result.stderr
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


@pytest.mark.slow
def test_only_the_suffix_joblib_writes_and_reads_a_pickle(
    skfer, class_folder, photo_files, tmp_path
):
    trained = tmp_path / "mine.joblib"
    arguments = ("--epochs", 1, "--faces", "--size", 16)
    assert skfer("train", class_folder, "--output", trained, *arguments).exit_code == 0
    assert joblib.load(trained)["resizer"].size == 16
    read = skfer("predict", photo_files[0], "--model", trained)
    assert read.exit_code == 0
    assert "which can run any code while it is loaded" in read.stderr

    trained.rename(tmp_path / "mine.skfer")
    refused = skfer("predict", photo_files[0], "--model", tmp_path / "mine.skfer")
    assert refused.exit_code == 1
    assert "is a pickle" in refused.stderr
    assert "accepts the suffix .joblib" in refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize("installed", ["haar", pytest.param("yunet", marks=pytest.mark.real_data)])
def test_a_model_keeps_the_detector_of_its_training(
    skfer, tmp_path, monkeypatch, installed, request
):
    path = request.getfixturevalue("yunet_model") if installed == "yunet" else None
    monkeypatch.setattr("skfer.detection._yunet.installed_model", lambda: path)
    drawn = make_faces(8, classes=["happy", "sad"], scene=True, random_state=0)
    for number, (photo, label) in enumerate(zip(drawn.images, drawn.labels, strict=True)):
        (tmp_path / "photos" / label).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "photos" / label / f"{number}.png"), photo[..., ::-1])
    trained, of_faces = tmp_path / "mine.skfer", tmp_path / "faces.skfer"
    train = ("train", tmp_path / "photos", "--epochs", 1, "--validation", 0.25)
    result = skfer(*train, "--output", trained)
    assert result.exit_code == 0, result.stderr
    assert f"8 images, faces detected by {installed}; training" in result.stderr
    # The faces are given, so the model finds those of photos as the pretrained ones do.
    result = skfer(*train, "--faces", "--output", of_faces)
    assert result.exit_code == 0, result.stderr
    assert "8 images; training" in result.stderr
    assert load(trained)["cropper"].detector == installed
    assert load(of_faces)["cropper"].detector == "auto"


def test_a_model_that_cannot_be_saved_is_refused_early(skfer, class_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("skfer.FacialExpressionClassifier.fit", lambda *_: pytest.fail("it fitted"))
    output = tmp_path / "mine.skfer"
    setting = "classifier__network_params={'dropout': 1j}"
    result = skfer("train", class_folder, "--output", output, "--set", setting)
    assert result.exit_code == 1
    assert "network_params is a builtins.complex" in result.stderr
    assert not output.exists()


@pytest.fixture
def split_folder(class_folder):
    """The drawn faces under train/ and test/, and the folder of both."""
    root = class_folder.parent / "data"
    for part in ("train", "test"):
        shutil.copytree(class_folder, root / part)
    return root


@pytest.mark.parametrize("train", ["train", "Train", "TRAINING"])
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_other_classes_below_train_are_not_fer2013(
    skfer, split_folder, model, tmp_path, command, train
):
    output = tmp_path / "mine.skfer"
    arguments = {"train": ("--output", output), "evaluate": ("--model", model)}[command]
    for folder in list(split_folder.glob("*/*")):
        folder.rename(folder.with_name({"happy": "0", "sad": "1"}[folder.name]))
    (split_folder / "train").rename(split_folder / train)
    result = skfer(command, split_folder, *arguments)
    assert result.exit_code == 1
    assert f"give '{split_folder / train}'" in result.stderr
    assert not output.exists()


def test_a_folder_copy_of_fer2013_is_evaluated_on_its_test_part(skfer, split_folder, model):
    (split_folder / "train").rename(split_folder / "Training")
    result = skfer("evaluate", split_folder, "--model", model, "--faces", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["images"] == 30


def test_photos_below_train_are_not_fer2013(skfer, split_folder, tmp_path):
    photo = next((split_folder / "train" / "happy").iterdir())
    cv2.imwrite(str(photo), np.zeros((80, 80), np.uint8))
    result = skfer("train", split_folder, "--output", tmp_path / "mine.skfer")
    assert result.exit_code == 1
    assert f"give '{split_folder / 'train'}'" in result.stderr


def test_labels_from_a_table_and_from_file_names(skfer, class_folder, model):
    files = sorted(class_folder.glob("*/*.png"))
    codes = {"happy": 1, "sad": 2}
    lines = [f"{file.parent.name}/{file.name};{codes[file.parent.name]}" for file in files]
    table = class_folder.parent / "labels.csv"
    table.write_text("\n".join(["file;emotion", *lines]))

    def evaluate(*arguments):
        result = skfer("evaluate", *arguments, "--model", model, "--faces", "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    columns = ("--columns", "file", "emotion", "--images", class_folder)
    by_table = evaluate(table, *columns, "--codes", "affectnet")
    for number, file in enumerate(files):
        file.rename(file.with_name(f"{file.parent.name}-{number}.png"))
    by_name = evaluate(class_folder, "--names", "(?P<label>[a-z]+)-")
    assert by_table["images"] == by_name["images"] == 30
    assert by_table["confusion"] == by_name["confusion"]

    result = skfer("evaluate", table, "--model", model)
    assert result.exit_code == 1
    assert "--columns" in result.stderr


def test_parts_that_file_names_state(skfer, class_folder, model, tmp_path):
    folder = tmp_path / "aligned"
    folder.mkdir()
    lines = []
    for number, file in enumerate(sorted(class_folder.glob("*/*.png"))):
        name = f"{'test' if number % 3 == 0 else 'train'}_{number:05}.png"
        file.rename(folder / name)
        lines.append(f"{name} {4 if file.parent.name == 'happy' else 5}")
    table = tmp_path / "labels.txt"
    table.write_text("\n".join(lines))
    raf = (table, "--columns", "0", "1", "--images", folder, "--codes", "raf-db", "--faces")
    parts = ("--names", "raf-db")

    def n_images(*arguments):
        result = skfer("evaluate", *raf, *arguments, "--model", model, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)["images"]

    assert n_images() == 30
    assert n_images(*parts) == n_images(*parts, "--usage", "test") == 10
    assert n_images(*parts, "--usage", "Training") == 20
    result = skfer("evaluate", *raf, *parts, "--usage", "PublicTest", "--model", model)
    assert "no images of the part PublicTest; its parts are: Test, Training" in result.stderr
    result = skfer("evaluate", *raf, "--usage", "Training", "--model", model)
    assert result.exit_code == 2
    assert "is not divided into parts" in result.stderr
    result = skfer("train", *raf, *parts, "--output", tmp_path / "raf.skfer", "--epochs", 1)
    assert result.exit_code == 0, result.stderr
    assert "20 images, Training" in result.stderr


def test_evaluate_names_a_class_that_the_model_does_not_know(skfer, class_folder, model):
    (class_folder / "sad").rename(class_folder / "bored")
    result = skfer("evaluate", class_folder, "--model", model)
    assert result.exit_code == 1
    assert "'bored', which the model does not know" in result.stderr


def test_evaluate_refuses_a_model_that_gives_no_probabilities(skfer, class_folder, model):
    for last in (DummyRegressor(), Perceptron()):
        other = model.with_name("other.joblib")
        joblib.dump(make_pipeline(FaceCropper(), last.fit([[0.0], [1.0]], [0, 1])), other)
        result = skfer("evaluate", class_folder, "--model", other)
        assert result.exit_code == 1
        assert f"{type(last).__name__} has no predict_proba" in result.stderr


def test_evaluate_uses_the_detector_or_reports_that_it_cannot(skfer, class_folder, model):
    bare, around = model.with_name("bare.joblib"), model.with_name("around.joblib")
    pipeline = joblib.load(model)
    joblib.dump(pipeline[1:], bare)
    joblib.dump(AbstainingClassifier(pipeline, threshold=0.5), around)
    evaluate = ("evaluate", class_folder, "--detector", "haar")
    for arguments, why in (
        (("--model", bare), "no FaceCropper"),
        (("--model", model, "--faces"), "--faces skips the detection"),
    ):
        result = skfer(*evaluate, *arguments)
        assert result.exit_code == 2
        assert why in result.stderr
    # Without --faces, drawn faces of 48 pixels cause a warning.
    result = skfer("evaluate", class_folder, "--model", around, "--faces", "--json")
    assert result.exit_code == 0, result.stderr
    assert "no face found" not in result.stderr
    assert json.loads(result.stdout)["images"] == 30

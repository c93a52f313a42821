from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import joblib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import make_pipeline

from skfer import FaceCropper

CLASSES = ["happy", "sad", "surprise"]


def test_lines(skfer, model, photo_files):
    result = skfer("predict", *photo_files, "--model", model)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) >= 4
    assert lines[0].startswith(f"{photo_files[0]}: face 1: ")
    assert "only if you trust its author" in result.stderr


@pytest.mark.parametrize("recursive", [False, True])
def test_json_of_a_folder(skfer, model, photo_files, recursive):
    folder, files = photo_files[0].parent, sorted(map(str, photo_files))
    options = []
    if recursive:
        files += [str(folder / "z" / "y" / "photo.png")]
        (folder / "z" / "y").mkdir(parents=True)
        shutil.copy(photo_files[0], files[-1])
        options = ["--recursive"]
    for name in ("talk.MP4", "notes.txt", ".hidden"):
        (folder / name).touch()
    (folder / "more").mkdir()
    result = skfer("predict", folder, "--json", "--model", model, *options)
    others = "" if recursive else ", subfolders: 1 (read with --recursive)"
    assert f"Left out in {folder}: files of other types: 1{others}\n" in result.stderr
    assert (
        f"Videos are left out ({folder / 'talk.MP4'}). Read them with: skfer video" in result.stderr
    )
    photos = json.loads(result.stdout)
    assert [photo["image"] for photo in photos] == files
    face = photos[0]["faces"][0]
    assert face["expression"] == max(face["probabilities"], key=face["probabilities"].get)
    assert sorted(face["probabilities"]) == CLASSES
    assert set(face["box"]) == {"x", "y", "width", "height"}


@pytest.mark.slow
def test_model_with_the_name_of_a_folder(skfer, photo_files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ferplus").mkdir()
    result = skfer("predict", photo_files[0], "--json", "--model", "ferplus")
    assert result.exit_code == 0, result.stderr
    assert "contempt" in json.loads(result.stdout)[0]["faces"][0]["probabilities"]


@pytest.mark.parametrize("name", ["faces.csv", "faces.json", "faces.parquet"])
def test_output(skfer, model, photo_files, tmp_path, name):
    output = tmp_path / name
    result = skfer("predict", *photo_files, "--model", model, "--output", output)
    n_photos = len(photo_files)
    assert result.exit_code == 0
    assert result.stdout == f"{output}: {n_photos} photos, {n_photos} faces\n"
    read = {"csv": pd.read_csv, "json": pd.read_json, "parquet": pd.read_parquet}
    table = read[output.suffix[1:]](output)
    assert table["image"].unique().tolist() == list(map(str, photo_files))


def test_no_photo_can_be_read(skfer, model, tmp_path):
    missing = tmp_path / "missing.jpg"
    result = skfer("predict", missing, "--model", model)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "No such file" in result.stderr


def test_unreadable_photos(skfer, model, photo_files, tmp_path):
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


def test_annotate(skfer, model, photo_files, tmp_path):
    annotated = tmp_path / "annotated"
    result = skfer("predict", *photo_files, "--model", model, "--annotate", annotated)
    assert result.exit_code == 0
    names = ["gray.png", "part.jpg", "small.png", "whole.png"]
    assert sorted(path.name for path in annotated.iterdir()) == names
    original, copy = (cv2.imread(str(path)) for path in (photo_files[0], annotated / "whole.png"))
    assert original.shape == copy.shape
    assert (original != copy).any()


def test_annotate_and_overwrite(skfer, model, photo_files, tmp_path):
    folder = tmp_path / "annotated"
    folder.mkdir()
    other = folder / photo_files[0].name
    arguments = ("predict", photo_files[0], "-m", model, "--annotate", folder)

    other.write_bytes(photo_files[1].read_bytes())
    result = skfer(*arguments, other, "--overwrite")
    assert result.exit_code == 2
    assert "is one of the photos" in result.stderr
    assert other.read_bytes() == photo_files[1].read_bytes()
    result = skfer(*arguments)
    assert result.exit_code == 2
    assert "exists already" in result.stderr
    assert other.read_bytes() == photo_files[1].read_bytes()
    assert skfer(*arguments, "--overwrite").exit_code == 0
    assert cv2.imread(str(other)).shape == cv2.imread(str(photo_files[0])).shape


def test_results_without_copies(skfer, model, photo_files, tmp_path):
    (tmp_path / "notes.txt").touch()
    drawn = tmp_path / "notes.txt" / "drawn"
    result = skfer("predict", photo_files[0], "-m", model, "--csv", "--annotate", drawn)
    assert result.exit_code == 1
    assert "Not a directory" in result.stderr
    assert str(photo_files[0]) in result.stdout


def test_annotated_copy_too_wide_for_jpeg(skfer, model, tmp_path):
    Image.new("L", (70_000, 8)).save(tmp_path / "wide.jpg", "PNG")
    Image.new("L", (70, 80)).save(tmp_path / "a.jpg")
    result = skfer("predict", tmp_path, "-m", model, "--csv", "--annotate", tmp_path / "drawn")
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 3
    assert "wide.jpg is not written: a JPEG has at most 65,500 pixels" in result.stderr
    assert [path.name for path in (tmp_path / "drawn").iterdir()] == ["a.jpg"]


def test_annotated_photos_of_the_same_name(skfer, model, photo_files, tmp_path):
    folders = [tmp_path / name for name in ("a", "b")]
    for folder, photo in zip(folders, photo_files, strict=False):
        folder.mkdir()
        shutil.copy(photo, folder / "me.png")
    annotated = tmp_path / "annotated"
    result = skfer("predict", *folders, "-m", model, "--annotate", annotated)
    assert result.exit_code == 0, result.stderr
    shapes = [cv2.imread(str(annotated / name)).shape for name in ("me.png", "me_2.png")]
    assert shapes == [cv2.imread(str(folder / "me.png")).shape for folder in folders]


def test_formats_names_and_orientations(skfer, model, tmp_path, astronaut):
    folder = tmp_path / "Fête de l'été 🎉"
    folder.mkdir()
    bgr = cv2.cvtColor(astronaut, cv2.COLOR_RGB2BGR)
    files = {
        "an Ärmel.png": bgr,
        "b.webp": bgr,
        "c.gif": bgr,
        "d.png": np.dstack([bgr, np.full(bgr.shape[:2], 255, np.uint8)]),
        "e.png": bgr.astype(np.uint16) * 257,
        "tiny.png": cv2.resize(bgr, (10, 10)),
    }
    for name, image in files.items():
        encoded = cv2.imencode(Path(name).suffix, image)[1]
        (folder / name).write_bytes(encoded.tobytes())
    rotated = cv2.imencode(".jpg", np.ascontiguousarray(np.rot90(bgr)))[1].tobytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    length = (len(exif) + 2).to_bytes(2, "big")
    (folder / "f.jpg").write_bytes(rotated[:2] + b"\xff\xe1" + length + exif + rotated[2:])
    result = skfer("predict", folder, "-m", model, "--json", "--annotate", tmp_path / "annotated")
    assert result.exit_code == 0, result.stderr
    photos = {Path(photo["image"]).name: photo["faces"] for photo in json.loads(result.stdout)}
    assert photos.pop("tiny.png") == []
    assert sorted(photos) == ["an Ärmel.png", "b.webp", "c.gif", "d.png", "e.png", "f.jpg"]
    for name, faces in photos.items():
        assert faces[0]["box"]["x"] == pytest.approx(177, abs=9), name
    # The copy is upright without an orientation tag.
    as_stored = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    annotated = cv2.imread(str(tmp_path / "annotated" / "f.jpg"), as_stored)
    assert np.abs(annotated[300:, :150].astype(int) - bgr[300:, :150]).mean() < 20


@pytest.mark.slow
def test_standard_output(command, model, photo_files):
    process = subprocess.run(
        command("predict", *photo_files, "--json", "--model", model), capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    assert len(json.loads(process.stdout)) == 4
    (warning,) = process.stderr.splitlines()
    assert warning.startswith("Warning: ")


@pytest.mark.slow
def test_escaped_photo_names(skfer, model, photo_files, tmp_path):
    folder = tmp_path / "names"
    folder.mkdir()
    shutil.copy(photo_files[0], folder / "a.png")
    for name in (b"b\xff.png", b"c\x1b[2J.png", b"\n=1.png"):
        shutil.copy(photo_files[0], os.fsencode(folder) + b"/" + name)
    escaped = {"a.png", r"b\udcff.png", r"c\u001b[2J.png", r"\u000a=1.png"}
    text = skfer("predict", folder, "-m", model)
    assert text.exit_code == 0, text.output
    assert {
        line.partition(": face")[0].rpartition("/")[2] for line in text.stdout.splitlines()
    } == escaped
    table = pd.read_csv(io.StringIO(skfer("predict", folder, "-m", model, "--csv").stdout))
    assert {name.rpartition("/")[2] for name in table["image"]} == escaped
    result = skfer("predict", folder, "-m", model, "--json").stdout
    assert "\x1b" not in result
    assert len(json.loads(result)) == 4
    rows, annotated = tmp_path / "rows.parquet", tmp_path / "d"
    result = skfer("predict", folder, "-m", model, "-o", rows, "--annotate", annotated)
    assert result.exit_code == 0
    assert {name.rpartition("/")[2] for name in pd.read_parquet(rows)["image"]} == escaped
    assert len(list(annotated.iterdir())) == 4


@pytest.mark.slow
def test_escaped_class_names(skfer, class_folder, photo_files, tmp_path):
    (class_folder / "sad").rename(class_folder / "sad\x1b[2J")
    model = tmp_path / "model.skfer"
    trained = skfer("train", class_folder, "--output", model, "--epochs", "1", "--faces")
    assert trained.exit_code == 0, trained.output
    predict = ("predict", photo_files[0], "-m", model)
    results = [
        trained,
        skfer("evaluate", class_folder, "-m", model, "--faces"),
        *(skfer(*predict, *format) for format in ([], ["--csv"], ["--json"])),
        skfer("predict", tmp_path / "missing\x1b[2J.png", "-m", model),
    ]
    for result in results:
        assert "\x1b" not in result.output
    assert r"sad\u001b[2J" in results[1].output


@pytest.fixture
def landscapes(tmp_path):
    paths = [tmp_path / f"landscape{number}.png" for number in range(5)]
    for path in paths:
        cv2.imwrite(str(path), np.zeros((50, 80), np.uint8))
    return paths


def test_on_missing(skfer, model, photo_files, landscapes):
    arguments = ("predict", photo_files[0], *landscapes, "--model", model, "--on-missing")
    blank = skfer(*arguments[:-1])
    assert blank.exit_code == 0
    assert blank.stdout.splitlines()[1] == f"{landscapes[0]}: no face"
    names = ", ".join(map(str, landscapes[:3]))
    assert f"5 of 6 photos: no face found in {names} and 2 more;" in blank.stderr
    assert "--on-missing image" in blank.stderr
    whole = skfer(*arguments, "image")
    assert whole.stdout.startswith(blank.stdout.splitlines()[0])
    assert whole.stdout.count(": no face; whole photo: ") == 5
    assert "--on-missing blank" in whole.stderr
    errors = skfer(*arguments, "raise")
    assert errors.exit_code == 3
    assert errors.stdout == blank.stdout.splitlines(keepends=True)[0]
    assert f"Error: {landscapes[4]}: has no face" in errors.stderr


def test_a_photo_named_twice_has_two_answers(skfer, model, photo_files, landscapes, tmp_path):
    paths, options = [landscapes[0], photo_files[0]], ["--model", model]
    once = skfer("predict", *paths, *options)
    twice = skfer("predict", *paths, *paths, *options, "--annotate", tmp_path / "copies")
    assert twice.stdout == 2 * once.stdout
    assert "2 of 4 photos: no face found in" in twice.stderr
    assert len(list((tmp_path / "copies").iterdir())) == 2
    answers = json.loads(skfer("predict", *paths, *paths, *options, "--json").stdout)
    assert [answer["image"] for answer in answers] == [str(path) for path in 2 * paths]


def test_parquet_without_pyarrow(skfer, photo_files, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = skfer("predict", photo_files[0], "-m", "none", "-o", tmp_path / "faces.parquet")
    assert result.exit_code == 1
    assert 'pip install "skfer[parquet]"' in result.stderr  # before the model is loaded


def test_labels_that_are_no_text(skfer, photo_files, landscapes, tmp_path):
    classifier = DummyClassifier().fit(np.zeros((4, 1)), [True, True, False, True])
    joblib.dump(make_pipeline(FaceCropper("haar"), classifier), tmp_path / "model.joblib")
    paths, options = (photo_files[0], landscapes[0]), ("--model", tmp_path / "model.joblib")
    for name in ("faces.parquet", "faces.csv"):
        result = skfer("predict", *paths, *options, "--output", tmp_path / name)
        assert result.exit_code == 0, result.stderr
    table = pd.read_parquet(tmp_path / "faces.parquet")
    assert table["expression"].iloc[0] is True
    assert table["expression"].isna().iloc[1]
    assert ",True,0.75," in (tmp_path / "faces.csv").read_text()


def test_json_of_a_whole_photo(skfer, model, landscapes, tmp_path):
    arguments = ("predict", landscapes[0], "--model", model, "--json")
    [photo] = json.loads(skfer(*arguments).stdout)
    assert photo["faces"] == []
    assert "whole_image" not in photo
    annotated = tmp_path / "annotated"
    [photo] = json.loads(skfer(*arguments, "--on-missing", "image", "--annotate", annotated).stdout)
    assert photo["whole_image"] is True
    [face] = photo["faces"]
    assert face["box"] == {"x": 0, "y": 0, "width": 80, "height": 50}
    assert face["confidence"] is None
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert cv2.imread(str(annotated / "landscape0.png")).any()

import csv
import gzip
import importlib.util
import os
import shutil
from contextlib import nullcontext

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import PredefinedSplit

from skfer._images._batch import HEIC_SUFFIXES, IMAGE_SUFFIXES, read_image
from skfer.datasets import load_fer2013, load_image_folder
from skfer.distributed._dask import _image_files as predicted_files
from skfer.recognition import image_files

FER2013_NAMES = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
TARGET = [0, 3, 6, 5, 1]
USAGE = ["Training", "Training", "PublicTest", "PrivateTest", "PublicTest"]


@pytest.fixture
def faces():
    return np.random.default_rng(0).integers(0, 256, (5, 48, 48), np.uint8)


@pytest.fixture
def write_csv(tmp_path, faces):
    def write(name="fer2013.csv", header=("emotion", "pixels", "Usage"), change=None):
        path = tmp_path / name
        rows = [
            [code, " ".join(map(str, image.ravel())), part]
            for code, image, part in zip(TARGET, faces, USAGE, strict=True)
        ]
        if change:
            change(rows)
        open_file = gzip.open if name.endswith(".gz") else open
        with open_file(path, "wt", newline="") as file:
            csv.writer(file).writerows([header, *rows])
        return path

    return write


@pytest.fixture
def write_npz(tmp_path, faces):
    def write(**changes):
        path = tmp_path / "fer2013.npz"
        arrays = {"images": faces, "target": TARGET, "usage": USAGE, **changes}
        np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
        return path

    return write


@pytest.fixture
def write_images(tmp_path):
    def write(*names, folder="images", side=48):
        root = tmp_path / folder
        shutil.rmtree(root, ignore_errors=True)
        for number, name in enumerate(names):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), np.full((side, side), number, np.uint8))
        return root

    return write


@pytest.mark.parametrize("name", ["fer2013.csv", "FER2013.CSV", "fer2013.csv.gz", "fer2013"])
@pytest.mark.parametrize(
    "header",
    [
        ("emotion", "pixels", "Usage"),
        ("emotion", " pixels", " Usage"),
        ("\ufeffEMOTION", "Pixels", "usage"),
    ],
)
def test_csv_without_private_test(write_csv, faces, name, header):
    fer = load_fer2013(write_csv(name, header))
    development = [0, 1, 2, 4]
    np.testing.assert_array_equal(fer.images, faces[development])
    assert fer.images.dtype == np.uint8
    assert fer.target.tolist() == [0, 3, 6, 1]
    assert fer.labels.tolist() == ["angry", "happy", "neutral", "disgust"]
    assert fer.target_names.tolist() == FER2013_NAMES
    assert fer.usage.tolist() == ["Training", "Training", "PublicTest", "PublicTest"]
    assert "Training 2" in fer.DESCR


def test_official_split(write_csv):
    fer = load_fer2013(write_csv())
    ((train, test),) = PredefinedSplit(fer.test_fold).split()
    assert train.tolist() == fer.train_index.tolist() == [0, 1]
    assert test.tolist() == fer.public_test_index.tolist() == [2, 3]
    assert fer.private_test_index.size == 0


def test_tuple_of_images_and_labels(write_csv):
    images, labels = load_fer2013(write_csv(), return_X_y=True)
    assert images.shape == (4, 48, 48)
    assert labels.tolist() == ["angry", "happy", "neutral", "disgust"]


def test_table_without_usage_or_validation(write_csv):
    path = write_csv(header=("emotion", "pixels", "unknown"))
    assert load_fer2013(path).usage.tolist() == ["Training"] * 5
    fer = load_fer2013(write_csv(change=change_usage("train", "train", "test", "test", "test")))
    assert fer.public_test_index.tolist() == [2, 3, 4]


def test_chosen_parts(write_csv, faces):
    path = write_csv()
    final = load_fer2013(path, usage="PrivateTest")
    complete = load_fer2013(path, usage="all")
    training = load_fer2013(path, usage=["Training"])
    np.testing.assert_array_equal(final.images, faces[3:4])
    assert final.private_test_index.tolist() == [0]
    assert len(complete.images) == 5
    assert complete.private_test_index.tolist() == [3]
    # With a test_fold, PredefinedSplit would train on PrivateTest.
    assert complete.test_fold is None
    assert final.test_fold is None
    assert training.test_fold.tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda rows: rows[2].__setitem__(1, "1 2 3"), "line 4: 3 pixels, where 2304"),
        (lambda rows: rows[2].__setitem__(1, rows[2][1] + " x"), "line 4: a pixel is not a whole"),
        (lambda rows: rows[2].__setitem__(1, "300 " * 2304), "line 4: pixels from 300 to 300"),
        (lambda rows: rows[2].__setitem__(1, "-1 " * 2304), "line 4: pixels from -1 to -1"),
        (lambda rows: rows[4].__setitem__(0, 7), "line 6: emotion is 7"),
        (lambda rows: rows[4].__setitem__(0, "gloomy"), "line 6: emotion is 'gloomy'"),
        (lambda rows: rows[4].__setitem__(0, "2.5"), "line 6: emotion is '2.5'"),
        (lambda rows: rows[4].__setitem__(0, ""), "line 6: emotion is ''"),
        (lambda rows: rows[4].__setitem__(2, "holdout"), "line 6: usage is 'holdout'"),
        (lambda rows: rows[4].__setitem__(2, ""), "line 6: usage is ''"),
        (lambda rows: rows[2].__setitem__(1, "0.5 " * 2304), "line 4: a pixel is not a whole"),
        (lambda rows: rows[4].pop(), "line 6: it has only 2 columns"),
        (lambda rows: rows.clear(), "holds no images"),
        (lambda rows: rows.append(list("abcdef")), "line 7: "),
    ],
)
def test_damaged_csv(write_csv, change, problem):
    with pytest.raises(ValueError, match=problem):
        load_fer2013(write_csv(change=change))


def change_usage(*words):
    return lambda rows: [row.__setitem__(2, word) for row, word in zip(rows, words, strict=True)]


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("training", "training", "publictest", "privatetest", "publictest"), USAGE),
        (("TRAINING", " Training", "Public Test", "private_test", "PublicTest "), USAGE),
        (
            ("train", "train", "val", "test", "val"),
            ["Training", "Training", "Validation", "Test", "Validation"],
        ),
        (
            ("Train", "TRAIN", "valid", "Testing", "validation"),
            ["Training", "Training", "Validation", "Test", "Validation"],
        ),
    ],
)
@pytest.mark.parametrize("form", ["csv", "npz", "frame"])
def test_usage_names(write_csv, write_npz, form, words, parts):
    csv_file = write_csv(change=change_usage(*words))
    path = {
        "csv": csv_file,
        "npz": write_npz(usage=list(words)),
        "frame": pd.read_csv(csv_file),
    }[form]
    fer = load_fer2013(path)
    assert fer.usage.tolist() == [part for part in parts if part not in ("PrivateTest", "Test")]
    assert fer.train_index.tolist() == [0, 1]
    assert fer.test_fold.tolist() == [-1, -1, 0, 0]
    assert load_fer2013(path, usage="all").usage.tolist() == parts
    assert load_fer2013(path, usage="train").labels.tolist() == ["angry", "happy"]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_delimiters_and_empty_rows(write_csv, faces, delimiter):
    path = write_csv()
    table = pd.read_csv(path)[["Usage", "pixels", "emotion"]]
    text = table.to_csv(sep=delimiter) + delimiter * 3 + "\n\n"
    path.write_text(text, encoding="utf-8-sig")
    fer = load_fer2013(path, usage="all")
    np.testing.assert_array_equal(fer.images, faces)
    assert fer.target.tolist() == TARGET


@pytest.mark.parametrize(
    "codes",
    [
        ["0.0", "3.0", "6.0", "5.0", "1.0"],
        ["Angry", "HAPPY", "neutral", "surprise", "Disgust"],
    ],
)
def test_emotions_as_floats_or_names(write_csv, codes):
    def change(rows):
        for row, code in zip(rows, codes, strict=True):
            row[0] = code

    assert load_fer2013(write_csv(change=change), usage="all").target.tolist() == TARGET


def test_data_frames(write_csv, faces):
    table = pd.read_csv(write_csv())
    fer = load_fer2013(table, usage="all")
    np.testing.assert_array_equal(fer.images, faces)
    assert fer.usage.tolist() == USAGE
    table["pixels"] = [str(image.ravel().tolist()) for image in faces]
    np.testing.assert_array_equal(load_fer2013(table, usage="all").images, faces)
    table["pixels"] = list(faces.reshape(5, -1))
    np.testing.assert_array_equal(load_fer2013(table, usage="all").images, faces)
    table.loc[3, "emotion"] = 9
    with pytest.raises(ValueError, match="The table, row 3: emotion is 9"):
        load_fer2013(table)
    with pytest.raises(ValueError, match="The table holds no images"):
        load_fer2013(table[:0])


def test_npz(write_npz, faces):
    votes = np.arange(50).reshape(5, 10)
    fer = load_fer2013(write_npz(votes=votes, version=np.array(2)))
    np.testing.assert_array_equal(fer.images, faces[[0, 1, 2, 4]])
    np.testing.assert_array_equal(fer.votes, votes[[0, 1, 2, 4]])
    assert "version" not in fer
    # Arrays that are named as attributes of the result, in an npz that was made from one.
    fer = load_fer2013(write_npz(labels=[""] * 5, test_fold=np.arange(5)), usage="Training")
    assert fer.labels.tolist() == fer.target_names[fer.target].tolist()
    assert set(fer.test_fold.tolist()) == {-1}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"images": None}, "has no images"),
        ({"images": np.zeros((5, 48, 48))}, "float64; expected"),
        ({"images": np.zeros((5, 64, 64), np.uint8)}, r"\(5, 64, 64\) uint8; expected"),
        ({"target": [0, 1]}, "5 images, but target has shape"),
        ({"target": [0, 1, 2, 9, 3]}, "label of image 3 is 9"),
        ({"usage": [*USAGE[:3], "a", USAGE[4]]}, "image 3: usage is 'a'"),
        ({"target": np.array([0, 1, 2, 3, None])}, "of object; numbers and text are read"),
    ],
)
def test_damaged_npz(write_npz, changes, problem):
    with pytest.raises(ValueError, match=problem):
        load_fer2013(write_npz(**changes))


def test_fer2013_folders(write_images):
    root = write_images(
        "train/happy/1.png", "train/Angry/2.png", "TEST/sadness/3.jpg", "test2/sad/4.png"
    )
    fer = load_fer2013(root)
    assert fer.images.shape == (3, 48, 48)
    assert dict(zip(fer.labels, fer.usage, strict=True)) == {
        "angry": "Training",
        "happy": "Training",
        "sad": "Test",
    }
    assert [path.name for path in fer.paths[fer.train_index]] == ["2.png", "1.png"]
    assert fer.test_fold[fer.usage == "Test"].tolist() == [0]


def test_fer2013_folders_of_three_parts(write_images):
    root = write_images("train/sad/1.png", "val/sad/2.png", "test/sad/3.png")
    fer = load_fer2013(root)
    assert fer.usage[fer.public_test_index].tolist() == ["Validation"]
    assert "Test" not in fer.usage
    assert load_fer2013(root, usage="Test").images.max() == 2


def test_colour_files_of_fer2013(write_images):
    root = write_images("train/happy/1.png", folder="colour")
    cv2.imwrite(str(root / "train" / "happy" / "1.png"), np.full((48, 48, 3), 9, np.uint8))
    assert (load_fer2013(root).images == 9).all()


def test_invalid_fer2013_sources(write_images, tmp_path, write_csv):
    with pytest.raises(ValueError, match="no folder train; it holds happy"):
        load_fer2013(write_images("happy/1.png", folder="flat"))
    with pytest.raises(ValueError, match=r"1.png' is 64 x 64 pixels"):
        load_fer2013(write_images("train/happy/1.png", folder="large", side=64))
    with pytest.raises(ValueError, match=r"not FER2013's: contempt.* give '.*eight/train'"):
        load_fer2013(write_images("train/contempt/1.png", folder="eight"))
    with pytest.raises(ValueError, match=r"no file or folder '.*fer2013.csv'"):
        load_fer2013(tmp_path / "missing" / "fer2013.csv")
    with pytest.raises(ValueError, match="not a form of FER2013"):
        load_fer2013(write_csv("fer2013.txt"))
    with pytest.raises(ValueError, match="the parts here are PrivateTest, PublicTest, Training"):
        load_fer2013(write_csv(), usage="test")
    with pytest.raises(ValueError, match=r"no column emotion; .* test\.csv has none"):
        load_fer2013(write_csv(header=("id", "pixels", "usage")))
    with pytest.raises(ValueError, match=r"no column pixels; .*load_image_table"):
        load_fer2013(write_csv(header=("emotion", "path", "usage")))
    with pytest.raises(ValueError, match=r"no column emotion or pixels; .*'a', 'b', 'usage'"):
        load_fer2013(write_csv(header=("a", "b", "usage")))
    with pytest.raises(TypeError, match=r"of type Series; .* load_fer2013\(df\)"):
        load_fer2013(pd.read_csv(write_csv())["pixels"])


@pytest.mark.real_data
def test_real_fer2013(fer2013):
    assert fer2013.images.shape == (len(fer2013.labels), 48, 48)
    assert set(fer2013.labels) == set(FER2013_NAMES)
    assert (fer2013.usage[fer2013.train_index] == "Training").all()
    ((train, test),) = PredefinedSplit(fer2013.test_fold).split()
    assert len(train) > 28_000
    assert len(test) > 3_500
    assert len(fer2013.votes) == len(fer2013.images)


def test_labels_of_class_folders(write_images):
    root = write_images(
        "Happiness/b.png", "Happiness/a.JPG", "anger/subject 1/c.png", "karuna/d.png"
    )
    (root / "anger" / "notes.txt").touch()
    (root / "anger" / ".hidden.png").touch()
    (root / ".git").mkdir()
    (root / "readme.md").touch()
    data = load_image_folder(root)
    names = [path.relative_to(root).as_posix() for path in data.paths]
    assert names == ["anger/subject 1/c.png", "Happiness/a.JPG", "Happiness/b.png", "karuna/d.png"]
    assert data.labels.tolist() == ["angry", "happy", "happy", "karuna"]
    assert data.target.tolist() == [0, 1, 1, 2]
    assert data.target_names.tolist() == ["angry", "happy", "karuna"]
    assert "happy 2" in data.DESCR


def test_names_and_choice_of_classes(write_images):
    root = write_images("sad/1.png", "anger/2.png", "fear/3.jpg")
    (root / "fear" / "3.jpg").write_text("no image")  # images are not read
    paths, labels = load_image_folder(str(root), normalize=False, return_X_y=True)
    assert [path.name for path in paths] == ["2.png", "3.jpg", "1.png"]
    assert labels.tolist() == ["anger", "fear", "sad"]
    chosen = load_image_folder(root, classes=["sadness", "angry"])
    assert chosen.target_names.tolist() == ["sad", "angry"]
    assert chosen.target.tolist() == [0, 1]


def test_classes_without_images(write_images):
    root = write_images("sad/1.png", "fear/3.jpg")
    with pytest.warns(UserWarning, match="has no images"):
        data = load_image_folder(root, extensions=[".JPG"])
    assert [path.name for path in data.paths] == ["3.jpg"]
    root = write_images("sad/1.png", folder="incomplete")
    (root / "happy").mkdir()
    with pytest.warns(UserWarning, match=r"class 'happy' has no images: '.*happy'"):
        data = load_image_folder(root)
    assert data.target_names.tolist() == ["happy", "sad"]
    assert data.target.tolist() == [1]


# Suffixes that OpenCV cannot write, and the suffix of the same format.
WRITTEN_AS = {
    **dict.fromkeys([".dib"], ".bmp"),
    **dict.fromkeys([".jfif", ".jpe"], ".jpg"),
    **dict.fromkeys([".pnm"], ".ppm"),
}


def test_suffixes(tmp_path):
    folder = tmp_path / "sad"
    folder.mkdir()
    colour = np.zeros((16, 16, 3), np.uint8)
    for suffix in set(IMAGE_SUFFIXES) - set(HEIC_SUFFIXES):
        image = colour[..., 0] if suffix in (".pbm", ".pgm") else colour
        _, encoded = cv2.imencode(WRITTEN_AS.get(suffix, suffix), image)
        for name in (f"small{suffix}", f"LARGE{suffix.upper()}"):
            (folder / name).write_bytes(encoded.tobytes())
    (folder / "notes.txt").touch()
    files = load_image_folder(tmp_path).paths.tolist()
    assert len(files) == 2 * len(set(IMAGE_SUFFIXES) - set(HEIC_SUFFIXES)) == 32
    assert all(read_image(file, 0).shape[:2] == (16, 16) for file in files)
    assert image_files(folder) == image_files(str(folder)) == files
    assert predicted_files(folder) == [str(file) for file in files]


@pytest.mark.parametrize("installed", [True, False])
def test_heic_files(tmp_path, monkeypatch, installed):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name: (True if installed else None) if name == "pillow_heif" else find(name),
    )
    (tmp_path / "sad").mkdir()
    for name in ("a.jpg", "b.HEIC", "c.heif"):
        (tmp_path / "sad" / name).touch()
    warning = pytest.warns(UserWarning, match=r"2 HEIC files .*heif\]")
    with nullcontext() if installed else warning:
        data = load_image_folder(tmp_path)
    listed = [path.name for path in data.paths]
    assert listed == (["a.jpg", "b.HEIC", "c.heif"] if installed else ["a.jpg"])
    assert ("Ignored: 1 .heic, 1 .heif." in data.DESCR) is not installed


def test_ignored_files(write_images):
    root = write_images("sad/1.png", "sad/2.png", "happy/3.png")
    for name in ("sad/a.txt", "sad/b.TXT", "happy/clip.mp4", "happy/LICENSE", "readme.md"):
        (root / name).touch()
    data = load_image_folder(root)
    assert len(data.paths) == 3
    assert "Ignored: 2 .txt, 1 .md, 1 .mp4, 1 without a suffix." in data.DESCR


def test_folders_without_images(write_images):
    root = write_images(folder="raw")
    (root / "sad").mkdir(parents=True)
    (root / "sad" / "1.cr2").touch()
    with (
        pytest.warns(UserWarning, match="no images"),
        pytest.raises(ValueError, match=r"hold no images .*; they hold 1 \.cr2"),
    ):
        load_image_folder(root)


@pytest.mark.parametrize(
    ("files", "suggested"),
    [
        (("train/happy/1.png", "test/happy/2.png"), "train"),
        (("Train/happy/1.png", "Test/happy/2.png", "valid/happy/3.png"), "Train"),
        (("TRAINING/1/1.png", "PublicTest/1/2.png", "PrivateTest/1/3.png"), "TRAINING"),
        (("train_set/a/1.png", "val_set/a/2.png"), "train_set"),
        (("FER2013Test/1/1.png", "FER2013Train/1/2.png", "FER2013Valid/1/3.png"), "FER2013Train"),
        (("raf-train/1/1.png", "raf-valid/1/2.png"), "raf-train"),
        (("validation/a/1.png", "test/a/2.png"), "test"),
        (("train/train/happy/1.png",), "train/train"),
        (("images/train/happy/1.png", "images/validation/happy/2.png"), "images/train"),
        (("happy/1.png", "test/happy/2.png"), "test"),
    ],
)
@pytest.mark.parametrize("names", [None, r"(?P<label>\d)"])
def test_folders_of_parts(write_images, files, suggested, names):
    root = write_images(*files)
    with pytest.raises(
        ValueError, match=f"look like the parts .*Give '.*images/{suggested}', with"
    ):
        load_image_folder(root, names=names)


def test_classes_named_like_parts(write_images):
    with pytest.raises(ValueError, match=r"train' has no class folders: load_image_table"):
        load_image_folder(write_images("train/1.png", "test/2.png"))
    root = write_images("train/1.png", "bus/2.png", "test/3.png")
    data = load_image_folder(root, classes=["bus", "train"])
    assert data.labels.tolist() == ["bus", "train"]
    root = write_images("happy/train/1.png", "happy/test/2.png", folder="inside")
    assert load_image_folder(root).labels.tolist() == ["happy", "happy"]


def test_codes_of_class_folders(write_images):
    root = write_images("1/a.png", "4/b.png", "05/c.png")
    assert load_image_folder(root, codes="raf-db").labels.tolist() == ["happy", "sad", "surprise"]
    data = load_image_folder(root, codes={1: "calm", "4": "Joy", 5: None})
    assert data.labels.tolist() == ["Joy", "calm"]
    with pytest.raises(ValueError, match=r"folder '.*05': the label is '05'; the codes are 1 calm"):
        load_image_folder(root, codes={1: "calm", 4: "joy"})
    with pytest.raises(ValueError, match="codes='rafdb' must be one of"):
        load_image_folder(root, codes="rafdb")


@pytest.fixture
def kdef(write_images):
    names = [
        *("AF01/AF01ANS.JPG", "AF01/AF01AFFL.JPG", "BF01/BF01HAHR.JPG", "AM07/AM07NES.JPG"),
        *("AM07/AM07SAFR.JPG", "AM07/AM07SUS.JPG", "AM07/AM07DIHL.JPG"),
    ]
    return write_images(*names)


def test_names_of_kdef(kdef):
    data = load_image_folder(kdef, names="kdef")
    labels = {path.stem: label for path, label in zip(data.paths, data.labels, strict=True)}
    assert labels == {
        **{"AF01ANS": "angry", "AF01AFFL": "fear", "BF01HAHR": "happy", "AM07NES": "neutral"},
        **{"AM07SAFR": "sad", "AM07SUS": "surprise", "AM07DIHL": "disgust"},
    }
    row = [path.stem for path in data.paths].index("BF01HAHR")
    assert (data.subjects[row], data.view[row], data.session[row]) == ("F01", "HR", "B")
    assert set(data.subjects) == {"F01", "M07"}
    assert sorted(data.view) == ["FL", "FR", "HL", "HR", "S", "S", "S"]
    assert "labelled by file name" in data.DESCR


def test_files_with_another_name(kdef):
    (kdef / "AF01" / "AF31V.JPG").touch()
    (kdef / "AF01" / "readme.txt").touch()
    with pytest.warns(UserWarning, match=r"1 image files are left out: '.*AF31V.JPG' does not fit"):
        data = load_image_folder(kdef, names="kdef")
    assert len(data.paths) == 7
    assert "Ignored: 1 .txt, 1 with another name." in data.DESCR
    with pytest.raises(ValueError, match="No image has a label"):
        load_image_folder(kdef, names="jaffe")


def test_names_of_jaffe(write_images):
    root = write_images("KA.AN1.39.tiff", "KA.FE3.47.tiff", "YM.SU2.61.tiff", "KL-NE1-155.jpg")
    data = load_image_folder(root, names="jaffe")
    assert data.labels.tolist() == ["angry", "fear", "neutral", "surprise"]
    assert data.subjects.tolist() == ["KA", "KA", "KL", "YM"]


def test_custom_patterns_of_names(write_images):
    root = write_images(
        "Rafd090_01_Caucasian_female_angry_frontal.jpg",
        "Rafd090_02_Caucasian_male_fearful_left.jpg",
    )
    pattern = r"Rafd\d+_(?P<subject>\d+)_\w+?_(?P<sex>female|male)_(?P<label>[a-z]+)_"
    data = load_image_folder(root, names=pattern)
    assert data.labels.tolist() == ["angry", "fear"]
    assert (data.subjects.tolist(), data.sex.tolist()) == (["01", "02"], ["female", "male"])
    data = load_image_folder(root, names=pattern, codes={"angry": "bad", "fearful": None})
    assert data.labels.tolist() == ["bad"]
    with pytest.raises(ValueError, match="call the group 'target' something else"):
        load_image_folder(root, names=r"Rafd(?P<target>\d+).*_(?P<label>[a-z]+)_")
    with pytest.raises(ValueError, match=r"frontal\.jpg': the label is 'angry'; the codes are"):
        load_image_folder(root, names=pattern, codes={"a": "bad"})


def test_synonyms_in_codes_are_kept(write_images):
    joyful = load_image_folder(write_images("1/a.png", "Joy/b.png", folder="joy"), codes={1: "Joy"})
    assert joyful.labels.tolist() == ["Joy", "Joy"]


@pytest.mark.parametrize("classes", [["happy"], [], ["sad", "sadness"]])
def test_invalid_classes(write_images, classes):
    root = write_images("sad/1.png", "anger/2.png")
    with pytest.raises(ValueError, match=r"The classes in .* are: angry, sad"):
        load_image_folder(root, classes=classes)


def test_text_instead_of_a_list(write_images):
    root = write_images("sad/1.png", "anger/2.png")
    with pytest.raises(ValueError, match=r"extensions='.png' must be a list"):
        load_image_folder(root, extensions=".png")
    with pytest.raises(ValueError, match=r"classes='sad' must be a list"):
        load_image_folder(root, classes="sad")


def test_broken_links_are_ignored(write_images):
    root = write_images("sad/1.png", "anger/2.png")
    (root / "sad" / "moved.png").symlink_to("missing.png")
    assert load_image_folder(root).DESCR.endswith("Ignored: 1 broken link.")


@pytest.mark.parametrize("link", ["happy", "sad/deeper"])
def test_links_to_folders_are_refused(write_images, link):
    root = write_images("sad/1.png")
    os.symlink(root / "sad", root / link)
    with pytest.raises(ValueError, match="Links to folders"):
        load_image_folder(root)


def test_missing_flat_and_empty_folders(write_images, tmp_path):
    with pytest.raises(ValueError, match=r"no folder '.*missing'"):
        load_image_folder(tmp_path / "missing")
    with pytest.raises(ValueError, match="no class folders, it holds 2 files"):
        load_image_folder(write_images("1.png", "2.png", folder="flat"))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="no class folders, it holds nothing"):
        load_image_folder(empty)
    (empty / "sad").mkdir()
    with (
        pytest.warns(UserWarning, match="no images"),
        pytest.raises(ValueError, match="hold no images"),
    ):
        load_image_folder(empty)


def test_held_out_part_alone(tmp_path):
    path = tmp_path / "test.npz"
    images = np.zeros((2, 48, 48), np.uint8)
    np.savez(path, images=images, target=[0, 1], usage=["PrivateTest"] * 2)
    with pytest.raises(ValueError, match="only with usage='PrivateTest'"):
        load_fer2013(path)
    assert len(load_fer2013(path, usage="PrivateTest").images) == 2

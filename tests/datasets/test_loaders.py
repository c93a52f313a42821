from __future__ import annotations

import csv
import gzip
import importlib.util
import os

import cv2
import numpy as np
import pytest
from sklearn.model_selection import PredefinedSplit

from skfer._images import HEIC_SUFFIXES, IMAGE_SUFFIXES, read_image
from skfer.datasets import load_fer2013, load_image_folder
from skfer.distributed._predict_folder import _image_files as predicted_files
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
        opened = gzip.open if name.endswith(".gz") else open
        with opened(path, "wt", newline="") as file:
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
    """Writes small gray images under a folder and returns the folder."""

    def write(*names, folder="images", side=48):
        root = tmp_path / folder
        for number, name in enumerate(names):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), np.full((side, side), number, np.uint8))
        return root

    return write


# FER2013


@pytest.mark.parametrize("name", ["fer2013.csv", "FER2013.CSV", "fer2013.csv.gz"])
@pytest.mark.parametrize(
    "header",
    [
        ("emotion", "pixels", "Usage"),
        ("emotion", " pixels", " Usage"),
        ("\ufeffEMOTION", "Pixels", "usage"),
    ],
)
def test_csv_for_selecting_a_model(write_csv, faces, name, header):
    fer = load_fer2013(write_csv(name, header))

    development = [0, 1, 2, 4]
    np.testing.assert_array_equal(fer.images, faces[development])
    assert fer.images.dtype == np.uint8
    assert fer.target.tolist() == [0, 3, 6, 1]
    assert fer.labels.tolist() == ["angry", "happy", "neutral", "disgust"]
    assert fer.target_names.tolist() == FER2013_NAMES
    assert fer.usage.tolist() == ["Training", "Training", "PublicTest", "PublicTest"]
    assert "Training 2" in fer.DESCR


def test_official_split_is_ready_for_predefined_split(write_csv):
    fer = load_fer2013(write_csv())

    ((train, test),) = PredefinedSplit(fer.test_fold).split()

    assert train.tolist() == fer.train_index.tolist() == [0, 1]
    assert test.tolist() == fer.public_test_index.tolist() == [2, 3]
    assert fer.private_test_index.size == 0


def test_private_test_comes_only_when_it_is_asked_for(write_csv, faces):
    path = write_csv()

    final = load_fer2013(path, usage="PrivateTest")
    everything = load_fer2013(path, usage="all")
    training = load_fer2013(path, usage=["Training"])

    np.testing.assert_array_equal(final.images, faces[3:4])
    assert final.private_test_index.tolist() == [0]
    assert len(everything.images) == 5
    assert everything.private_test_index.tolist() == [3]
    # A PredefinedSplit would train on PrivateTest.
    assert everything.test_fold is None
    assert final.test_fold is None
    assert training.test_fold.tolist() == [-1, -1]


def test_images_and_labels_alone(write_csv):
    images, labels = load_fer2013(write_csv(), return_X_y=True)

    assert images.shape == (4, 48, 48)
    assert labels.tolist() == ["angry", "happy", "neutral", "disgust"]


def test_csv_without_usage_is_all_training(write_csv):
    path = write_csv(header=("emotion", "pixels", "unknown"))

    assert load_fer2013(path).usage.tolist() == ["Training"] * 5


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda rows: rows[2].__setitem__(1, "1 2 3"), "line 4: 3 pixels, where 2304"),
        (lambda rows: rows[2].__setitem__(1, rows[2][1] + " x"), "line 4: a pixel is no whole"),
        (lambda rows: rows[2].__setitem__(1, "300 " * 2304), "line 4: pixels from 300 to 300"),
        (lambda rows: rows[2].__setitem__(1, "-1 " * 2304), "line 4: pixels from -1 to -1"),
        (lambda rows: rows[4].__setitem__(0, 7), "line 6: emotion is 7"),
        (lambda rows: rows[4].__setitem__(0, "sad"), "line 6: .*'sad'"),
        (lambda rows: rows[4].pop(), "line 6: it has only 2 columns"),
        (lambda rows: rows.clear(), "holds no images"),
    ],
)
def test_damaged_csv_is_an_error_that_names_the_line(write_csv, change, problem):
    with pytest.raises(ValueError, match=problem):
        load_fer2013(write_csv(change=change))


def test_csv_without_its_columns_is_an_error_that_lists_them(write_csv):
    with pytest.raises(ValueError, match=r"no column emotion or pixels; .*'a', 'b', 'usage'"):
        load_fer2013(write_csv(header=("a", "b", "usage")))


def test_gzip_that_breaks_off_is_an_error(write_csv):
    path = write_csv("fer2013.csv.gz")
    path.write_bytes(path.read_bytes()[:-2000])

    with pytest.raises(ValueError, match=r"fer2013\.csv\.gz', line"):
        load_fer2013(path)


def test_npz_with_further_arrays(write_npz, faces):
    votes = np.arange(50).reshape(5, 10)

    fer = load_fer2013(write_npz(votes=votes, version=np.array(2)))

    np.testing.assert_array_equal(fer.images, faces[[0, 1, 2, 4]])
    np.testing.assert_array_equal(fer.votes, votes[[0, 1, 2, 4]])
    assert "version" not in fer


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"images": None}, "has no images"),
        ({"images": np.zeros((5, 48, 48))}, "float64; expected"),
        ({"images": np.zeros((5, 64, 64), np.uint8)}, r"\(5, 64, 64\) uint8; expected"),
        ({"target": [0, 1]}, "5 images, but target has shape"),
        ({"target": [0, 1, 2, 9, 3]}, "label of image 3 is 9"),
        ({"target": np.array([0, 1, 2, 3, None])}, "of object; numbers and text are read"),
    ],
)
def test_damaged_npz_is_an_error(write_npz, changes, problem):
    with pytest.raises(ValueError, match=problem):
        load_fer2013(write_npz(**changes))


def test_folder_copy(write_images):
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


def test_folder_copy_with_validation_holds_its_test_out(write_images):
    root = write_images("train/sad/1.png", "val/sad/2.png", "test/sad/3.png")

    fer = load_fer2013(root)

    assert fer.usage[fer.public_test_index].tolist() == ["Validation"]
    assert "Test" not in fer.usage
    assert load_fer2013(root, usage="Test").images.max() == 2


def test_folder_copy_saved_in_colour(write_images):
    root = write_images("train/happy/1.png")
    cv2.imwrite(str(root / "train" / "happy" / "1.png"), np.full((48, 48, 3), 9, np.uint8))

    assert (load_fer2013(root).images == 9).all()


def test_folders_that_are_no_fer2013(write_images):
    with pytest.raises(ValueError, match="no folder train; it holds happy"):
        load_fer2013(write_images("happy/1.png", folder="flat"))
    with pytest.raises(ValueError, match=r"1.png' is 64 x 64 pixels"):
        load_fer2013(write_images("train/happy/1.png", folder="large", side=64))
    with pytest.raises(ValueError, match="not FER2013's: contempt"):
        load_fer2013(write_images("train/contempt/1.png", folder="eight"))


def test_what_is_nowhere_or_no_fer2013(tmp_path, write_csv):
    with pytest.raises(ValueError, match=r"no file or folder '.*fer2013.csv'"):
        load_fer2013(tmp_path / "nowhere" / "fer2013.csv")
    with pytest.raises(ValueError, match="no form of FER2013"):
        load_fer2013(write_csv("fer2013.txt"))
    with pytest.raises(ValueError, match="the parts here are PrivateTest, PublicTest, Training"):
        load_fer2013(write_csv(), usage="test")


@pytest.mark.real_data
def test_real_fer2013(fer2013):
    assert fer2013.images.shape == (len(fer2013.labels), 48, 48)
    assert set(fer2013.labels) == set(FER2013_NAMES)
    assert (fer2013.usage[fer2013.train_index] == "Training").all()
    ((train, test),) = PredefinedSplit(fer2013.test_fold).split()
    assert len(train) > 28_000
    assert len(test) > 3_500
    assert len(fer2013.votes) == len(fer2013.images)


# A folder per class


def test_paths_and_labels_of_a_folder_per_class(write_images):
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


def test_names_as_they_are(write_images):
    root = write_images("Happiness/b.png", "anger/a.png")

    paths, labels = load_image_folder(str(root), normalize=False, return_X_y=True)

    assert [path.name for path in paths] == ["b.png", "a.png"]
    assert labels.tolist() == ["Happiness", "anger"]


def test_some_classes_in_an_order_of_ones_own(write_images):
    root = write_images("sad/1.png", "anger/2.png", "fear/3.png")

    data = load_image_folder(root, classes=["sadness", "angry"])

    assert data.target_names.tolist() == ["sad", "angry"]
    assert data.target.tolist() == [0, 1]


def test_extensions_of_ones_own(write_images):
    root = write_images("sad/1.png", "sad/2.jpg")

    data = load_image_folder(root, extensions=[".JPG"])

    assert [path.name for path in data.paths] == ["2.jpg"]


# A file's content, by the suffix that OpenCV writes it under.
WRITTEN_AS = {
    **dict.fromkeys([".dib"], ".bmp"),
    **dict.fromkeys([".jfif", ".jpe"], ".jpg"),
    **dict.fromkeys([".pnm"], ".ppm"),
}


def test_one_list_of_suffixes_in_every_reader_of_folders(tmp_path):
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
    assert image_files(folder) == files
    assert predicted_files(folder) == [str(file) for file in files]


@pytest.mark.parametrize("installed", [True, False])
def test_heic_is_listed_where_it_can_be_read(tmp_path, monkeypatch, installed):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name: (True if installed else None) if name == "pillow_heif" else find(name),
    )
    (tmp_path / "sad").mkdir()
    for name in ("a.jpg", "b.HEIC", "c.heif"):
        (tmp_path / "sad" / name).touch()

    listed = [path.name for path in load_image_folder(tmp_path).paths]

    assert listed == (["a.jpg", "b.HEIC", "c.heif"] if installed else ["a.jpg"])


def test_images_are_not_read(tmp_path):
    (tmp_path / "sad").mkdir()
    (tmp_path / "sad" / "broken.jpg").write_text("no image")

    assert len(load_image_folder(tmp_path).paths) == 1


def test_a_class_without_images_is_a_warning(write_images):
    root = write_images("sad/1.png")
    (root / "happy").mkdir()

    with pytest.warns(UserWarning, match=r"class 'happy' has no images: '.*happy'"):
        data = load_image_folder(root)

    assert data.target_names.tolist() == ["happy", "sad"]
    assert data.target.tolist() == [1]


def test_folders_without_classes_or_images(tmp_path, write_images):
    with pytest.raises(ValueError, match=r"no folder '.*nowhere'"):
        load_image_folder(tmp_path / "nowhere")
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


@pytest.mark.parametrize("classes", [["happy"], [], ["sad", "sadness"]])
def test_wrong_classes_are_an_error_that_lists_those_there_are(write_images, classes):
    root = write_images("sad/1.png", "anger/2.png")

    with pytest.raises(ValueError, match=r"The classes in .* are: angry, sad"):
        load_image_folder(root, classes=classes)


def test_links_out_of_the_folder_are_refused(tmp_path, write_images):
    root = write_images("sad/1.png")
    outside = tmp_path / "outside.png"
    outside.touch()
    os.symlink(root / "sad" / "1.png", root / "sad" / "again.png")
    assert len(load_image_folder(root).paths) == 2

    os.symlink(outside, root / "sad" / "out.png")
    with pytest.raises(ValueError, match=r"out.png' is a link to '.*outside.png'"):
        load_image_folder(root)


@pytest.mark.parametrize("where", ["happy", "sad/deeper"])
def test_links_to_folders_are_refused(write_images, where):
    root = write_images("sad/1.png")
    os.symlink(root / "sad", root / where)

    with pytest.raises(ValueError, match="Links to folders"):
        load_image_folder(root)

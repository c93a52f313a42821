import csv

import numpy as np
import pytest
from sklearn.model_selection import PredefinedSplit

from skfer.datasets import load_fer2013, load_ferplus

CLASSES = ["angry", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
CHOICES = [
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
    *("unknown", "NF"),
]
HEADER = ("Usage", "Image name", *CHOICES)


def ten_votes(**choices):
    return [choices.get(choice, 0) for choice in CHOICES]


# Usage, votes and the resulting label.
ROWS = [
    ("Training", ten_votes(happiness=10), "happy"),
    ("Training", ten_votes(NF=10), None),
    ("Training", ten_votes(surprise=6, fear=3, unknown=1), "surprise"),
    ("PublicTest", ten_votes(neutral=3, sadness=3, anger=2, unknown=2), "neutral"),
    ("PublicTest", ten_votes(neutral=2, unknown=8), None),
    ("PublicTest", ten_votes(contempt=4, neutral=2, unknown=4), "contempt"),
    ("PrivateTest", ten_votes(), None),
    ("PrivateTest", ten_votes(sadness=10), "sad"),
]
USAGE = [usage for usage, _, _ in ROWS]
VOTES = np.array([votes for _, votes, _ in ROWS], np.uint8)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (len(ROWS), 48, 48), np.uint8)


@pytest.fixture
def write_votes(tmp_path):
    def write(header=HEADER, change=None, encoding="utf-8"):
        rows = [
            [usage, f"fer{index:07}.png", *votes] for index, (usage, votes, _) in enumerate(ROWS)
        ]
        if change:
            change(rows)
        path = tmp_path / "fer2013new.csv"
        with path.open("w", newline="", encoding=encoding) as file:
            csv.writer(file).writerows([header, *rows])
        return path

    return write


@pytest.fixture
def write_faces(tmp_path, images):
    def write(name="fer2013.csv", with_usage=True):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        with path.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["emotion", "pixels", "Usage"][: 3 if with_usage else 2])
            for image, usage in zip(images, USAGE, strict=True):
                table.writerow([0, " ".join(map(str, image.ravel())), usage][: 2 + with_usage])
        return path

    return write


@pytest.fixture
def write_npz(tmp_path, images):
    def write(**changes):
        path = tmp_path / "fer2013.npz"
        arrays = {
            "images": images,
            "target": np.zeros(len(images), np.uint8),
            "usage": USAGE,
            "votes": VOTES,
            **changes,
        }
        np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
        return path

    return write


def test_votes_and_images(write_votes, write_faces, images):
    write_faces()
    faces = load_ferplus(write_votes())
    kept = [0, 2, 3, 5]
    np.testing.assert_array_equal(faces.images, images[kept])
    assert faces.row.tolist() == kept
    assert faces.labels.tolist() == ["happy", "surprise", "neutral", "contempt"]
    assert faces.target_names.tolist() == CLASSES
    assert faces.target_names[faces.target].tolist() == faces.labels.tolist()
    assert faces.usage.tolist() == ["Training", "Training", "PublicTest", "PublicTest"]
    assert faces.n_dropped == 2
    assert "2 images are left out" in faces.DESCR
    assert "PublicTest 2, Training 2" in faces.DESCR
    assert sorted(faces.target_names) == faces.target_names.tolist()
    assert faces.votes.dtype == np.uint8
    #        angry cont disg fear happy neut sad surprise
    expected = [
        [0, 0, 0, 0, 10, 0, 0, 0],
        [0, 0, 0, 3, 0, 0, 0, 6],
        [2, 0, 0, 0, 0, 3, 3, 0],
        [0, 4, 0, 0, 0, 2, 0, 0],
    ]
    np.testing.assert_array_equal(faces.votes, expected)


def test_tuple_of_images_and_labels(write_votes, write_faces):
    write_faces()
    faces = load_ferplus(write_votes())
    X, y = load_ferplus(write_votes(), return_X_y=True)
    np.testing.assert_array_equal(X, faces.images)
    np.testing.assert_array_equal(y, faces.labels)


def test_equal_votes(write_votes, write_faces):
    ties = [
        ten_votes(sadness=5, anger=5),
        ten_votes(surprise=5, neutral=5),
        ten_votes(disgust=4, unknown=4, neutral=2),
        ten_votes(fear=4, NF=4, neutral=2),
        ten_votes(unknown=4, neutral=3, sadness=3),
    ]

    def change(rows):
        for row, votes in zip(rows, ties, strict=False):
            row[2:] = votes

    write_faces()
    faces = load_ferplus(write_votes(change=change), usage="all")
    assert faces.labels[:4].tolist() == ["angry", "neutral", "disgust", "fear"]
    assert faces.row[:5].tolist() == [0, 1, 2, 3, 5]
    np.testing.assert_array_equal(faces.votes.argmax(axis=1), faces.target)


def test_usage(write_votes, write_faces):
    write_faces()
    path = write_votes()
    faces = load_ferplus(path)
    final = load_ferplus(path, usage="PrivateTest")
    everything = load_ferplus(path, usage="all")
    training = load_ferplus(path, usage=["Training"])
    ((train, test),) = PredefinedSplit(faces.test_fold).split()
    assert train.tolist() == faces.train_index.tolist() == [0, 1]
    assert test.tolist() == faces.public_test_index.tolist() == [2, 3]
    assert faces.private_test_index.size == 0
    assert (final.labels.tolist(), final.n_dropped) == (["sad"], 1)
    assert everything.row.tolist() == [0, 2, 3, 5, 7]
    assert everything.test_fold is None
    assert training.test_fold.tolist() == [-1, -1]
    assert training.n_dropped == 1
    with pytest.raises(ValueError, match="the parts here are PrivateTest, PublicTest, Training"):
        load_ferplus(path, usage="test")


def test_places_of_the_images(write_votes, write_npz, write_faces, tmp_path):
    faces = write_faces("images/faces.csv")
    votes = write_votes()
    expected = load_ferplus(votes, fer2013=faces)
    with pytest.raises(ValueError, match=r"no fer2013.csv, fer2013.csv.gz or fer2013.npz.*votes"):
        load_ferplus(votes)
    npz = write_npz(votes=None)
    for bunch in (
        load_ferplus(tmp_path),
        load_ferplus(str(votes)),
        load_ferplus(tmp_path, fer2013=npz),
        load_ferplus(write_npz()),
    ):
        assert set(bunch) == set(expected)
        for name in ("images", "labels", "votes", "row", "usage", "test_fold"):
            np.testing.assert_array_equal(bunch[name], expected[name])


def test_npz_of_some_rows(write_votes, write_npz, images):
    rows = np.array([0, 3, 4, 7])
    npz = write_npz(
        images=images[rows],
        target=np.zeros(4, int),
        usage=np.array(USAGE)[rows],
        votes=None,
        row=rows,
    )
    faces = load_ferplus(write_votes(), fer2013=npz)
    np.testing.assert_array_equal(faces.images, images[[0, 3]])
    assert faces.row.tolist() == [0, 3]
    assert faces.labels.tolist() == ["happy", "neutral"]
    assert faces.n_dropped == 1


def test_header_variants_and_missing_usage(write_votes, write_faces):
    write_faces(with_usage=False)
    faces = load_ferplus(write_votes([f" {name.upper()}" for name in HEADER], encoding="utf-8-sig"))
    # The file with the images has no usage, so that of the votes is used.
    assert faces.usage.tolist() == ["Training", "Training", "PublicTest", "PublicTest"]


def test_missing_columns(write_votes, write_faces):
    faces = write_faces()
    header = [name for name in HEADER if name not in ("Usage", "fear")]
    with pytest.raises(ValueError, match=r"line 1: no column Usage, fear; the columns are \['Ima"):
        load_ferplus(write_votes(header))
    with pytest.raises(ValueError, match=r"line 1: no column neutral, .*'emotion', 'pixels'"):
        load_ferplus(faces)


def test_rows_that_do_not_match_the_images(write_votes, write_faces, write_npz):
    write_faces()
    with pytest.raises(ValueError, match=r"has 7 rows and .* 8 images"):
        load_ferplus(write_votes(change=lambda rows: rows.pop()))
    with pytest.raises(ValueError, match=r"Row 2 .* PublicTest in .*new.csv' and of Training in"):
        load_ferplus(write_votes(change=lambda rows: rows.insert(2, rows.pop(3))))
    with pytest.raises(ValueError, match=r"image of row 8 of fer2013.csv, but .* only 8 rows"):
        load_ferplus(write_votes(), fer2013=write_npz(row=np.arange(1, 9)))
    with pytest.raises(ValueError, match=r"row is \(8,\) float64; expected the rows"):
        load_ferplus(write_votes(), fer2013=write_npz(row=np.arange(8.0)))


def test_missing_and_ambiguous_files(tmp_path, write_votes, write_npz, write_faces):
    with pytest.raises(ValueError, match=r"no file .*fer2013new.csv.*microsoft/FERPlus"):
        load_ferplus(tmp_path)
    with pytest.raises(ValueError, match=r"no file .*votes.csv.*microsoft/FERPlus"):
        load_ferplus(tmp_path / "votes.csv")
    with pytest.raises(ValueError, match=r"no file or folder '.*faces.csv'"):
        load_ferplus(write_votes(), fer2013=tmp_path / "faces.csv")
    with pytest.raises(ValueError, match=r"no votes of 8 rows.*microsoft/FERPlus.*fer2013='"):
        load_ferplus(write_npz(votes=None))
    with pytest.raises(ValueError, match=r"fer2013='.*fer2013.csv' can't be used too"):
        load_ferplus(write_npz(), fer2013=write_faces())
    with pytest.raises(ValueError, match=r"fer2013='.*' is a folder, whose images are in no order"):
        load_ferplus(write_votes(), fer2013=tmp_path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda rows: rows[1].__setitem__(5, "many"), "line 3: .*'many'"),
        (lambda rows: rows[1].__setitem__(5, -1), "line 3: votes from -1 to 10; 0 to 255"),
        (lambda rows: rows[1].__setitem__(5, 256), "line 3: votes from 0 to 256"),
        (lambda rows: rows[1].pop(), "line 3: it has only 11 columns"),
        (lambda rows: rows.clear(), "holds no votes"),
    ],
)
def test_damaged_votes(write_votes, write_faces, change, problem):
    write_faces()
    with pytest.raises(ValueError, match=problem):
        load_ferplus(write_votes(change=change))


@pytest.mark.parametrize(
    ("votes", "problem"),
    [
        (VOTES[:, :8], r"votes is \(8, 8\) uint8; expected \(8, 10\) whole numbers"),
        (VOTES / 10, r"votes is \(8, 10\) float64; expected"),
        (VOTES.astype(int) - 1, "votes from -1 to 9"),
        (VOTES[:3], "no votes of 8 rows"),
    ],
)
def test_damaged_votes_in_npz(write_npz, votes, problem):
    with pytest.raises(ValueError, match=problem):
        load_ferplus(write_npz(votes=votes))


@pytest.mark.real_data
def test_real_ferplus(fer2013_file):
    faces = load_ferplus(fer2013_file)
    assert set(faces.labels) == set(CLASSES)
    assert faces.votes.shape == (len(faces.images), 8)
    assert (faces.votes.sum(axis=1) <= 10).all()
    assert 0 < faces.n_dropped < 0.01 * len(faces.images)
    # Most votes agree with the labels of FER2013.
    fer = load_fer2013(fer2013_file)
    labels = fer.labels[np.searchsorted(fer.row, faces.row)]
    assert 0.6 < np.mean(labels == faces.labels) < 0.9


OTHER_NAMES = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}


def test_other_names_of_usage(write_faces, write_votes, images):
    table = write_votes()
    faces = write_faces()
    expected = load_ferplus(table)
    text = faces.read_text()
    for part, name in OTHER_NAMES.items():
        text = text.replace(part, name)
    faces.write_text(text)
    loaded = load_ferplus(table)
    assert loaded.usage.tolist() == expected.usage.tolist()
    assert "PrivateTest" not in loaded.usage
    file = table.with_name("all.npz")
    usage = [OTHER_NAMES[part] for part in USAGE]
    np.savez(file, images=images, target=np.zeros(len(ROWS), int), votes=VOTES, usage=usage)
    assert load_ferplus(file).usage.tolist() == expected.usage.tolist()

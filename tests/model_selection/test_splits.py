import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn import config_context
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    PredefinedSplit,
    StratifiedGroupKFold,
    cross_validate,
    learning_curve,
)
from sklearn.utils import Bunch

from skfer.datasets import clip_names, load_fer2013, load_image_folder, make_faces
from skfer.model_selection import HeldOutGuard, fer2013_split


@pytest.fixture(scope="module")
def faces():
    return make_faces(90, classes=["happy", "sad"], size=32, random_state=0)


@pytest.fixture(scope="module")
def test_set(faces):
    return faces.images[60:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, faces):
    root = tmp_path_factory.mktemp("ck")
    for label in ("happy", "sad"):
        (root / label).mkdir()
        images = faces.images[faces.labels == label]
        for number in range(36):
            person, frame = divmod(number, 3)
            clip = 1 if label == "happy" else 2
            name = f"S{person + 10:03d}_{clip:03d}_{frame + 5:08d}.png"
            cv2.imwrite(str(root / label / name), images[number])
    return root


@pytest.mark.parametrize("splitter", [GroupKFold(4), StratifiedGroupKFold(4)])
@pytest.mark.parametrize("name", ["subjects", "clips"])
def test_groups_of_a_folder(folder, splitter, name):
    data = load_image_folder(folder, names="ck+")
    groups = data[name]
    folds = cross_validate(
        DummyClassifier(), data.paths, data.labels, groups=groups, cv=splitter, return_indices=True
    )["indices"]
    assert len(folds["train"]) == 4
    for train, test in zip(folds["train"], folds["test"], strict=True):
        assert not set(groups[train]) & set(groups[test])
        assert set(groups[train]) | set(groups[test]) == set(groups)


def test_subjects_clips_and_frames_of_file_names(folder):
    data = load_image_folder(folder, names="ck+")
    assert len(set(data.subjects)) == 12
    assert len(set(data.clips)) == 24
    assert sorted(set(data.frames.tolist())) == [5, 6, 7]
    assert "subjects" not in load_image_folder(folder)


def test_clip_is_the_subject_without_a_group(folder):
    data = load_image_folder(folder, names=r"(?P<subject>S\d+)_")
    assert len(set(data.subjects)) == 12
    np.testing.assert_array_equal(data.clips, data.subjects)
    assert set(data.frames.tolist()) == {-1}
    optional = r"(?P<subject>[a-z]+)(?P<clip>-[a-z]+)?(?:-(?P<frame>\d+))?\."
    names = clip_names(["anna.jpg", "anna-b.jpg", "bob-3.jpg"], optional)
    assert names.clip.tolist() == ["anna", "-b", "bob"]
    assert names.frame.tolist() == [-1, -1, 3]


@pytest.mark.parametrize(
    ("paths", "pattern", "message"),
    [
        (["S010_004_00000017.png", "a.png"], "ck+", r"paths\[1\] \('a.png'\) does not fit"),
        (["anna-x.jpg"], r"(?P<subject>[a-z]+)-(?P<frame>\w+)", "'anna-x.jpg'.* does not fit"),
        ([f"S010_004_{2**63}.png"], "ck+", "does not fit"),
        (["a.png"], "(?P<person>.)", "a group called subject"),
        (["a.png"], "(", "is not a regular expression"),
        (["a.png"], "ck", "a group called subject"),
    ],
)
def test_invalid_file_names(paths, pattern, message):
    with pytest.raises(ValueError, match=message):
        clip_names(paths, pattern)


def test_guard_refuses_held_out_images(faces, test_set):
    search = GridSearchCV(
        DummyClassifier(), {"strategy": ["prior", "uniform"]}, cv=HeldOutGuard(test_set, cv=3)
    )
    search.fit(faces.images[:60], faces.labels[:60])
    assert search.n_splits_ == 3
    with pytest.raises(ValueError, match=r"30 of the 90 images are held out .* them X\[60\]"):
        search.fit(faces.images, faces.labels)
    with pytest.raises(ValueError, match="2 of the 12 images are held out"):
        learning_curve(DummyClassifier(), faces.images[50:62], faces.labels[50:62], cv=search.cv)


def test_guard_reuses_a_generator_of_splits(faces, test_set):
    guard = HeldOutGuard(test_set, cv=KFold(3).split(np.zeros(60)))
    for _ in range(2):
        assert len(list(guard.split(faces.images[:60], faces.labels[:60]))) == 3


def test_guard_of_lists_of_rows(faces, test_set):
    guard = HeldOutGuard(test_set, cv=[([0, 1, 2], [3, 4])])
    ((train, test),) = guard.split(faces.images[:60])
    assert (train.tolist(), test.tolist()) == ([0, 1, 2], [3, 4])


def test_guard_refuses_held_out_groups(faces, test_set):
    people = np.repeat([f"S{number}" for number in range(9)], 10)
    guard = HeldOutGuard(test_set, cv=GroupKFold(2), groups_held_out=people[60:])
    assert len(list(guard.split(faces.images[:60], faces.labels[:60], people[:60]))) == 2
    assert guard.held_out(faces.images[:2], ["S8", "S1"]).tolist() == [True, False]
    with pytest.raises(ValueError, match="10 of the 60 images"):
        next(guard.split(faces.images[:60], faces.labels[:60], ["S8"] * 10 + ["S1"] * 50))


def test_images_are_compared_by_pixels(test_set, tmp_path):
    guard = HeldOutGuard(test_set)
    path = tmp_path / "face.png"
    cv2.imwrite(str(path), test_set[7])
    changed = test_set[3].copy()
    changed[0, 0] ^= 1
    assert guard.held_out([changed, path, test_set[0][..., None]]).tolist() == [False, True, True]
    with pytest.raises(ValueError, match=r"X\[1\] \('.*face.png'\)"):
        next(guard.split([changed, path], ["happy", "sad"]))


def test_colour_images_are_compared_in_gray():
    photos = np.random.default_rng(0).integers(0, 256, (6, 40, 50, 3), dtype=np.uint8)
    guard = HeldOutGuard(photos[:3])
    gray = np.stack([cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY) for photo in photos])
    for images in (photos / 255, gray):
        assert guard.held_out(images).tolist() == [True] * 3 + [False] * 3


def test_guard_leaves_held_out_images_out(faces, test_set):
    guard = HeldOutGuard(test_set, cv=3, on_held_out="leave_out")
    folds = list(guard.split(faces.images, faces.labels))
    assert len(folds) == guard.get_n_splits(faces.images, faces.labels) == 3
    for train, test in folds:
        assert max(*train, *test) < 60
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(60))
    with pytest.raises(ValueError, match="on_held_out='skip' must be"):
        HeldOutGuard(test_set, on_held_out="skip")


def test_guard_of_a_predefined_split(faces, test_set):
    split = PredefinedSplit(np.arange(60) % 3 - 1)
    guarded = HeldOutGuard(test_set, cv=split).split(faces.images[:60], faces.labels[:60])
    for expected, actual in zip(split.split(), guarded, strict=True):
        np.testing.assert_array_equal(expected[0], actual[0])
        np.testing.assert_array_equal(expected[1], actual[1])


REPRESENTATIONS = {
    "uint8": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "float16": lambda X: (X / 255).astype(np.float16),
    "int64": lambda X: X.astype(np.int64),
    "[0, 1]": lambda X: X / 255,
    "[-1, 1]": lambda X: (X / 127.5 - 1).astype(np.float32),
    "channel axis": lambda X: X[..., np.newaxis],
    "RGB": lambda X: np.repeat(X[..., np.newaxis], 3, axis=-1),
    "RGB in [0, 1]": lambda X: np.repeat(X[..., np.newaxis] / 255, 3, axis=-1),
    "list of floats": lambda X: list(X / 255),
    "flat rows": lambda X: X.reshape(len(X), -1).astype(float),
    "flat rows in [0, 1]": lambda X: X.reshape(len(X), -1) / 255,
    "flat uint8 rows": lambda X: X.reshape(len(X), -1),
    "list of rows": lambda X: (X / 255).reshape(len(X), -1).tolist(),
    "Pillow": lambda X: [Image.fromarray(image) for image in X],
    "Pillow RGB": lambda X: [Image.fromarray(image).convert("RGB") for image in X],
    "bytes": lambda X: [cv2.imencode(".png", image)[1].tobytes() for image in X],
}


@pytest.mark.parametrize("convert", REPRESENTATIONS.values(), ids=REPRESENTATIONS)
def test_representations_of_the_same_images(faces, test_set, convert):
    images, guard = convert(faces.images), HeldOutGuard(test_set)
    assert guard.held_out(images).tolist() == [False] * 60 + [True] * 30
    assert HeldOutGuard(images[60:]).held_out(faces.images).sum() == 30
    with pytest.raises(ValueError, match="30 of the 90 images are held out"):
        next(guard.split(images, faces.labels))


def test_features_are_compared_exactly():
    features = np.random.default_rng(0).normal(scale=1e-3, size=(40, 1024))
    guard = HeldOutGuard(features[30:])
    assert guard.held_out(features).tolist() == [False] * 30 + [True] * 10
    sparse = np.zeros((40, 1024))
    sparse[np.arange(40), np.arange(40)] = 1e-3
    assert HeldOutGuard(sparse[30:]).held_out(sparse).sum() == 10


COUNTS = np.array([[2, 1], [2, 3], [0, 5]])


@pytest.mark.parametrize(
    ("held_out", "data"),
    [
        (COUNTS[2:], COUNTS.astype(np.float32)),
        (COUNTS[2:].astype(float), COUNTS.tolist()),
        (np.array([[0, "5"]], dtype=object), np.array(COUNTS, dtype=object)),
        ([[-0.0, 5.0]], pd.DataFrame({"a": COUNTS[:, 0], "b": COUNTS[:, 1] / 1})),
    ],
)
def test_representations_of_the_same_features(held_out, data):
    assert HeldOutGuard(held_out).held_out(data).tolist() == [False, False, True]


def test_features_that_are_no_numbers():
    with pytest.raises(ValueError, match="could not convert"):
        HeldOutGuard(np.array([["a", 1]], dtype=object))


@pytest.fixture(scope="module")
def small_fer2013(tmp_path_factory):
    path = tmp_path_factory.mktemp("fer") / "fer2013.npz"
    images = np.random.default_rng(0).integers(0, 256, (30, 48, 48), np.uint8)
    usage = np.repeat(["Training", "PublicTest", "PrivateTest"], [16, 8, 6])
    np.savez(path, images=images, target=np.arange(30) % 7, usage=usage)
    return path


def test_fer2013_split_uses_the_official_parts(small_fer2013):
    data = load_fer2013(small_fer2013)
    ((train, test),) = fer2013_split(data).split()
    np.testing.assert_array_equal(train, data.train_index)
    np.testing.assert_array_equal(test, data.public_test_index)
    assert isinstance(fer2013_split(Bunch(test_fold=[-1, 0])), PredefinedSplit)


def test_fer2013_split_refuses_the_held_out_part(small_fer2013):
    with pytest.raises(ValueError, match="6 images of the part that is held out"):
        fer2013_split(load_fer2013(small_fer2013, usage="all"))
    with pytest.raises(ValueError, match="faces holds PublicTest alone"):
        fer2013_split(load_fer2013(small_fer2013, usage="PublicTest"))
    with pytest.raises(ValueError, match="it is of type dict"):
        fer2013_split({})


def test_guard_of_private_test(small_fer2013):
    private = load_fer2013(small_fer2013, usage="PrivateTest")
    complete = load_fer2013(small_fer2013, usage="all")
    guard = HeldOutGuard(private.images, cv=2)
    with pytest.raises(ValueError, match="6 of the 30 images are held out"):
        next(guard.split(complete.images, complete.labels))


def test_groups_are_routed_to_the_guard(faces):
    X, y, people = faces.images[:60], faces.labels[:60], np.arange(60) % 10
    search = GridSearchCV(DummyClassifier(), {"strategy": ["prior"]}, cv=GroupKFold(2))
    with config_context(enable_metadata_routing=True):
        guard = HeldOutGuard(faces.images[60:], cv=GroupKFold(2))
        result = cross_validate(search, X, y, cv=guard, params={"groups": people})
        assert len(result["test_score"]) == 2
        guard = HeldOutGuard(faces.images[60:], cv=2, groups_held_out=[0, 1])
        with pytest.raises(ValueError, match="12 of the 60 images are held out"):
            cross_validate(search, X, y, cv=guard, params={"groups": people})

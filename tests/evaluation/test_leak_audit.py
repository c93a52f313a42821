import cv2
import numpy as np
import pytest
from sklearn import config_context

from skfer import FaceCropper
from skfer._images._batch import LazyImage
from skfer.datasets import make_faces
from skfer.evaluation import _leak_audit, leak_audit


@pytest.fixture(scope="module")
def faces():
    return make_faces(120, random_state=0, size=64)


@pytest.fixture(scope="module")
def train(faces):
    return faces.images[:80]


def cropped(image):
    change = np.float32([[1.06, 0, -5], [0, 1.06, 1]])
    return cv2.warpAffine(image, change, image.shape[::-1], borderMode=cv2.BORDER_REFLECT)


def recompressed(image):
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])
    return cv2.imdecode(data, cv2.IMREAD_UNCHANGED)


def darker(image):
    return np.clip(image * 0.6 + 30, 0, 255).astype(np.uint8)


def smaller(image):
    return cv2.resize(image, (40, 40), interpolation=cv2.INTER_AREA)


@pytest.mark.slow
@pytest.mark.parametrize("change", [cropped, recompressed, darker, smaller])
def test_near_copies(train, change):
    audit = leak_audit(train, [change(image) for image in train[10:20]])
    assert audit.pairs["train"].tolist() == list(range(10, 20))
    assert set(audit.pairs["kind"]) == {"near copy"}
    assert audit.pairs["similarity"].between(0.85, 1).all()


def test_mirrored_copies(train):
    mirrored = darker(train[:10])[:, :, ::-1]
    audit = leak_audit(train, mirrored)
    assert audit.pairs["train"].tolist() == list(range(10))
    assert set(audit.pairs["kind"]) == {"mirrored copy"}
    assert not leak_audit(train, mirrored, mirror=False).leaked.any()


def test_different_faces(train, faces):
    # Drawn faces are more similar to each other than photos of people.
    audit = leak_audit(train, faces.images[80:], similarity=0.9)
    kinds = ("copy", "near copy", "mirrored copy", "group", "leaked")
    assert audit.counts == {"train": 80, "test": 40} | dict.fromkeys(kinds, 0)
    assert audit.pairs.empty
    assert not audit.leaked.any()


def test_copies_in_files_and_bytes(train, tmp_path):
    path = tmp_path / "face.png"
    cv2.imwrite(str(path), train[3])
    repeated = [*train, train[3]]
    audit = leak_audit(repeated, [path, path.read_bytes(), train[5][..., np.newaxis]])
    assert audit.pairs["kind"].tolist() == ["copy"] * 3
    assert audit.pairs["train"].tolist() == [3, 3, 5]
    assert audit.pairs["copies"].tolist() == [2, 2, 1]


def test_constant_images(train):
    blank = np.full((64, 64), 30, np.uint8)
    audit = leak_audit([*train, blank], [blank, blank + 40])
    assert audit.pairs[["test", "kind"]].to_numpy().tolist() == [[0, "copy"]]


def test_labels_of_copies(train):
    audit = leak_audit(train, train[:2], y_train=["sad"] * 80, y_test=["sad", "happy"])
    labels = audit.pairs[["label_test", "label_train"]].to_numpy().tolist()
    assert labels == [["sad", "sad"], ["happy", "sad"]]


def test_shared_groups(train, faces):
    audit = leak_audit(
        train,
        faces.images[80:84],
        groups_train=["S1"] * 40 + ["S2"] * 40,
        groups_test=["S2", "S3", "S3", "S2"],
    )
    assert audit.groups.to_dict("records") == [{"group": "S2", "train": 40, "test": 2}]
    assert audit.leaked.tolist() == [True, False, False, True]
    assert (audit.counts["group"], audit.counts["leaked"]) == (2, 2)


def test_chunks_change_nothing(train, monkeypatch):
    audit = leak_audit(train, darker(train[20:60]))
    monkeypatch.setattr(_leak_audit, "_CHUNK", 3)
    assert audit.pairs.equals(leak_audit(train, darker(train[20:60])).pairs)
    assert len(audit.pairs) == 40


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"similarity": 0}, "similarity=0 must be above 0"),
        ({"n_candidates": 0}, "n_candidates=0 must be"),
        ({"groups_train": ["a"] * 80}, "groups_test is None"),
        ({"groups_train": ["a"], "groups_test": ["a"]}, "inconsistent numbers"),
    ],
)
def test_invalid_arguments(train, options, message):
    with pytest.raises(ValueError, match=message):
        leak_audit(train, train[:1], **options)


@pytest.mark.slow
@pytest.mark.real_data
def test_copies_in_fer2013(fer2013):
    training, test = (
        fer2013.images[rows] for rows in (fer2013.train_index, fer2013.public_test_index)
    )
    # n_candidates limits the detailed comparisons; copies are searched in all images.
    audit = leak_audit(training, test[:120], mirror=False, n_candidates=2)
    copies = {image.tobytes() for image in training}
    exact = [image.tobytes() in copies for image in test[:120]]
    assert audit.counts["copy"] == sum(exact) > 3
    assert audit.counts["near copy"] > 1.5 * audit.counts["copy"]


@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X.astype(np.float32),
        lambda X: X / 255,
        lambda X: X / 127.5 - 1,
        lambda X: np.repeat(X[..., np.newaxis], 3, axis=-1),
        lambda X: X.reshape(len(X), -1) / 255,
    ],
    ids=["float32", "[0, 1]", "[-1, 1]", "RGB", "flat rows"],
)
def test_copies_in_other_representations(convert):
    images = make_faces(12, size=48, random_state=0).images
    assert leak_audit(images, convert(images)).counts["copy"] == 12


def test_copies_among_crops_that_are_cut_on_access():
    images = make_faces(30, classes=["happy", "sad"], random_state=0).images.astype(np.float32)
    with config_context(working_memory=1):
        crops = FaceCropper(whole_below=64).transform(images)
    assert any(isinstance(crop, LazyImage) for crop in crops)
    assert leak_audit(crops[:20], crops[10:]).counts["copy"] == 10
    assert leak_audit(crops[:10], crops[20:]).counts["copy"] == 0

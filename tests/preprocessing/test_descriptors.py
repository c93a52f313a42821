import pickle
import sys

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline

from skfer import GrayscaleResizer, HOGDescriptor, LBPDescriptor
from skfer.datasets import make_faces

DESCRIPTORS = [HOGDescriptor(), LBPDescriptor()]
both = pytest.mark.parametrize("descriptor", DESCRIPTORS, ids=["hog", "lbp"])


@pytest.fixture(scope="module")
def faces():
    return make_faces(240, classes=["happy", "surprise"], random_state=0)


@pytest.fixture
def photos(astronaut):
    parts = [astronaut[y : y + 60, x : x + 50] for y, x in ((60, 160), (130, 200), (80, 220))]
    return np.stack(parts) // 2 + np.uint8(40)


@pytest.mark.parametrize(
    ("descriptor", "shape", "n_features"),
    [
        (HOGDescriptor(), (48, 48), 7 * 7 * 4 * 8),
        (HOGDescriptor(9, pixels_per_cell=8), (48, 48), 5 * 5 * 4 * 9),
        (HOGDescriptor(pixels_per_cell=(12, 6), cells_per_block=(1, 2)), (48, 48), 4 * 7 * 2 * 8),
        (HOGDescriptor(cells_per_block=1), (53, 47), 8 * 7 * 8),  # incomplete cells are left out
        (HOGDescriptor(), (5, 60), 1 * 9 * 4 * 8),  # enlarged to the height of a block
        (LBPDescriptor(), (48, 48), 36 * 59),
        (LBPDescriptor(method="uniform", grid=1), (48, 48), 10),
        (LBPDescriptor(4, method="default", grid=(2, 3)), (20, 31), 6 * 16),
        (LBPDescriptor(16, 2.5, method="uniform", grid=4), (30, 30), 16 * 18),
        (LBPDescriptor(grid=8), (3, 40), 64 * 59),  # enlarged to the rows of the grid
    ],
)
def test_number_of_features(descriptor, shape, n_features):
    images = np.random.default_rng(0).random((3, *shape))
    features = descriptor.fit_transform(images)
    assert features.shape == (3, n_features)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


@pytest.mark.parametrize(("axis", "bin_of_gradient"), [(1, 0), (0, 4)])
def test_hog_of_an_edge(axis, bin_of_gradient):
    # The gradient is at 0 degrees for a vertical edge, and at 90 for a horizontal edge.
    image = np.zeros((12, 12), np.uint8)
    image[(slice(None), slice(6, None)) if axis == 1 else slice(6, None)] = 200
    features = HOGDescriptor(8, pixels_per_cell=12, cells_per_block=1).fit_transform([image])
    expected = np.zeros((1, 8))
    expected[0, bin_of_gradient] = 1
    np.testing.assert_allclose(features, expected, atol=1e-6)


def test_hog_of_a_constant_image():
    assert not HOGDescriptor().fit_transform(np.full((1, 48, 48), 77, np.uint8)).any()


@pytest.mark.parametrize("block_norm", ["L1", "L1-sqrt", "L2", "L2-Hys"])
def test_hog_ignores_contrast(photos, block_norm):
    hog, gray = HOGDescriptor(block_norm=block_norm), photos[..., 0] // 2
    np.testing.assert_allclose(hog.fit_transform(2 * gray), hog.transform(gray), atol=1e-5)


def test_lbp_of_a_dot():
    image = np.zeros((3, 3), np.uint8)
    image[1, 1] = 9
    features = LBPDescriptor(4, 1, method="default", grid=3).fit_transform([image])
    patterns = features.reshape(9, 16).argmax(axis=1)
    # The bits of neighbours that are as bright or brighter are 1; edge pixels are repeated.
    np.testing.assert_array_equal(patterns, [15, 15, 15, 15, 0, 15, 15, 15, 15])


def test_lbp_has_a_histogram_for_each_cell():
    image = np.zeros((20, 20), np.uint8)
    image[:10, 10:] = np.random.default_rng(0).integers(0, 256, (10, 10))
    features = LBPDescriptor(8, 1, method="uniform", grid=2).fit_transform([image])
    histograms = features.reshape(4, 10)
    np.testing.assert_allclose(histograms.sum(axis=1), 1, rtol=1e-6)
    # Constant cell: all 8 points are as bright as the pixel, except next to the noise.
    assert histograms[2, 8] == 1
    assert histograms[1, 8] < 0.3
    assert histograms[0, 8] >= 0.9


def test_uniform_lbp_ignores_rotation(photos):
    lbp = LBPDescriptor(8, 1, method="uniform", grid=1)
    image = photos[0, :50, :, 0]
    upright, turned = lbp.fit_transform([image, np.rot90(image)])
    np.testing.assert_allclose(upright, turned, atol=0.01)


def test_names_of_features(faces):
    union = FeatureUnion([("edges", HOGDescriptor()), ("texture", LBPDescriptor(grid=2))])
    names = union.fit(faces.images[:4]).get_feature_names_out()
    assert names[0] == "edges__hogdescriptor0"
    assert names[-1] == f"texture__lbpdescriptor{4 * 59 - 1}"
    assert len(names) == 1568 + 4 * 59


@pytest.mark.parametrize("n_points", [1, 2, 3, 8, 12, 24])
@pytest.mark.parametrize("method", ["nri_uniform", "uniform"])
def test_lbp_patterns(n_points, method):
    noise = np.random.default_rng(0).integers(0, 256, (2, 40, 40), np.uint8)
    features = LBPDescriptor(n_points, method=method, grid=1).fit_transform(noise)
    np.testing.assert_allclose(features.sum(axis=1), 1, rtol=1e-5)
    assert features[:, -1].any() or n_points < 4  # all patterns of 3 points are uniform


@both
def test_brightness_and_dtype(descriptor, photos):
    gray = photos[..., 1]
    features = descriptor.fit(gray).transform(gray)
    for images in (
        gray + np.uint8(30),
        gray / 255,
        gray.astype(np.float32),
        np.repeat(gray[..., np.newaxis], 3, axis=-1),
    ):
        np.testing.assert_array_equal(descriptor.transform(images), features)
    floats = (photos / 255).astype(np.float32)
    before = floats.copy()
    np.testing.assert_array_equal(descriptor.transform(photos), descriptor.transform(floats))
    np.testing.assert_array_equal(floats, before)


@pytest.mark.slow
@both
def test_calls_are_equivalent(descriptor, photos, tmp_path):
    paths = [tmp_path / f"{index}.png" for index in range(len(photos))]
    for path, photo in zip(paths, photos, strict=True):
        assert cv2.imwrite(str(path), cv2.cvtColor(photo, cv2.COLOR_RGB2BGR))
    features = descriptor.fit(paths).transform(paths)
    assert descriptor.image_shape_ == (60, 50)
    for images in (photos, list(photos), pd.Series(paths), [path.read_bytes() for path in paths]):
        np.testing.assert_array_equal(descriptor.transform(images), features)
    np.testing.assert_array_equal(descriptor.transform(paths[::-1]), features[::-1])
    np.testing.assert_array_equal(
        np.concatenate([descriptor.transform([path]) for path in paths]), features
    )
    for other in (pickle.loads(pickle.dumps(descriptor)), clone(descriptor).set_params(n_jobs=2)):
        np.testing.assert_array_equal(other.fit(paths).transform(paths), features)


@pytest.mark.slow
def test_grid_search_with_both_descriptors(faces, tmp_path):
    pipeline = Pipeline(
        [
            ("resizer", GrayscaleResizer(24)),
            ("features", FeatureUnion([("hog", HOGDescriptor()), ("lbp", LBPDescriptor())])),
            ("classifier", LogisticRegression(C=10)),
        ],
        memory=str(tmp_path),
    )
    grid = {"features__lbp__grid": [2, 3], "features__hog": [HOGDescriptor(4), "drop"]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(faces.images[:80], faces.labels[:80])
    assert (search.cv_results_["mean_test_score"] > 0.7).all()
    assert search.score(faces.images[80:], faces.labels[80:]) > 0.8


@both
def test_pandas_output(descriptor, faces):
    fitted = clone(descriptor).fit(faces.images[:4])
    plain = fitted.transform(faces.images[:4])
    table = fitted.set_output(transform="pandas").transform(faces.images[:4])
    assert isinstance(table, pd.DataFrame)
    assert table.columns.tolist() == fitted.get_feature_names_out().tolist()
    np.testing.assert_array_equal(table.to_numpy(), plain)


@both
def test_images_of_another_size(descriptor, photos):
    fitted = clone(descriptor).fit(photos)
    with pytest.raises(
        ValueError, match=r"X\[0\] has the size \(50, 60\), .* of \(60, 50\). Put an"
    ):
        fitted.transform(photos.transpose(0, 2, 1, 3))
    with pytest.raises(ValueError, match=r"X\[1\] has the size \(9, 9\)"):
        fitted.transform([photos[0], np.zeros((9, 9))])
    assert fitted.transform(photos[..., 0]).shape == fitted.transform(photos).shape


@both
def test_unreadable_files(descriptor, photos, tmp_path):
    path = tmp_path / "missing.png"
    with pytest.raises(ValueError, match=r"X\[1\] .*missing.png.* can't be read"):
        clone(descriptor).fit_transform([photos[0], path])
    with pytest.raises(ValueError, match=r"X\[0\] .*missing.png.* can't be read"):
        clone(descriptor).fit([path])


@both
def test_unfitted_descriptor(descriptor, photos):
    with pytest.raises(NotFittedError, match=type(descriptor).__name__):
        clone(descriptor).transform(photos)


@both
def test_missing_package(descriptor, photos, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(ImportError, match=r'Descriptor needs .*pip install "skfer\[features\]"'):
        clone(descriptor).fit(photos)


@pytest.mark.parametrize(
    "descriptor",
    [
        HOGDescriptor(0),
        HOGDescriptor(pixels_per_cell=0),
        HOGDescriptor(pixels_per_cell=(4,)),
        HOGDescriptor(pixels_per_cell=(4.0, 4)),
        HOGDescriptor(cells_per_block=(2, True)),
        HOGDescriptor(block_norm="L3"),
        LBPDescriptor(0),
        LBPDescriptor(25),
        LBPDescriptor(radius=0),
        LBPDescriptor(radius=1e5),
        LBPDescriptor(method="var"),
        LBPDescriptor(grid=(6, 0)),
        LBPDescriptor(grid="6x6"),
    ],
    ids=str,
)
def test_invalid_parameters(descriptor, photos):
    (name,) = {
        name
        for name, value in descriptor.get_params().items()
        if value is not type(descriptor)().get_params()[name]
    }
    with pytest.raises(ValueError, match=name):
        descriptor.fit(photos)

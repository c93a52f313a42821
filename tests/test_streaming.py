"""Equal results if the images exceed `working_memory`."""

import gc
import os
import pickle
import resource
import tempfile
import tracemalloc
from pathlib import Path

import cv2
import joblib
import numpy as np
import pytest
from _utils import tiny_network
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import config_context
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from skfer import FaceCropper, FacialExpressionClassifier, GrayscaleResizer, ImageResizer
from skfer._images._dense import empty_images, set_image
from skfer._storage import file_array, iter_blocks, release_pages
from skfer.datasets import make_faces
from skfer.detection import HaarDetector, YuNetDetector

# Haar misses three of the photos.
pytestmark = pytest.mark.filterwarnings("ignore:.* no face found")

linux_only = pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="reads /proc")

# working_memory in MiB, of which a sixteenth is for crops: for none, some or all of them.
NOTHING, LITTLE, MUCH = 0, 0.5, 1024


@pytest.fixture(scope="module")
def scene_files(tmp_path_factory):
    """Files of 30 photos with one face each, and their labels."""
    scenes = make_faces(30, classes=["happy", "sad"], scene=(96, 128), random_state=0)
    folder = tmp_path_factory.mktemp("scenes")
    paths = [folder / f"{number}.png" for number in range(len(scenes.images))]
    for path, image in zip(paths, scenes.images, strict=True):
        assert cv2.imwrite(str(path), image[..., ::-1])
    return paths, scenes.labels


@pytest.fixture(scope="module")
def faces():
    return make_faces(40, classes=["happy", "sad"], random_state=0)


def classifier(**parameters):
    return FacialExpressionClassifier(
        tiny_network, epochs=2, batch_size=16, random_state=0, **parameters
    )


photos = st.lists(
    arrays(
        np.uint8,
        st.tuples(*[st.integers(1, 20)] * 2) | st.tuples(*[st.integers(1, 9)] * 2, st.just(3)),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(
    photos, st.sampled_from([NOTHING, MUCH]), st.integers(1, 3), st.sampled_from(["gray", "rgb"])
)
def test_resizer(batch, memory, n_jobs, color):
    expected = [ImageResizer(8, color=color).transform([image])[0] for image in batch]
    with config_context(working_memory=memory):
        resized = ImageResizer(8, color=color, n_jobs=n_jobs).transform(batch)
    np.testing.assert_array_equal(resized, expected)
    assert resized.dtype == np.uint8
    resized[0] = 0  # must be writable


@pytest.mark.parametrize("memory", [NOTHING, LITTLE])
@pytest.mark.parametrize("form", ["paths", "bytes", "arrays", "dense"])
def test_lazy_crops(scene_files, memory, form):
    paths, _ = scene_files
    images = [cv2.imread(str(path))[..., ::-1] for path in paths]
    X = {
        "paths": paths,
        "bytes": [path.read_bytes() for path in paths],
        "arrays": images,
        "dense": np.stack(images),
    }[form]
    expected = FaceCropper(margin=0.2).transform(X)
    with config_context(working_memory=memory):
        lazy = FaceCropper(margin=0.2, n_jobs=2).transform(X)
    assert lazy.shape == expected.shape == (len(paths),)
    n_arrays = sum(isinstance(crop, np.ndarray) for crop in lazy)
    assert n_arrays == 0 if memory == NOTHING else 0 < n_arrays < len(paths)
    for crop, array in zip(lazy, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(crop), array)


def test_lazy_aligned_crops(astronaut, yunet_model):
    cropper = FaceCropper(YuNetDetector(yunet_model), align=True, margin=0.1)
    X = [astronaut, np.zeros((20, 20), np.uint8), astronaut[:, ::-1]]
    with pytest.warns(UserWarning, match="1 of 3 images: no face"):
        expected = cropper.transform(X)
    with config_context(working_memory=0), pytest.warns(UserWarning, match="1 of 3"):
        lazy = cropper.transform(X)
    for crop, array in zip(lazy, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(crop), array)


@pytest.mark.parametrize("on_missing", ["image", "blank"])
def test_lazy_crops_of_missing_faces(astronaut, on_missing):
    X = [np.full((50, 40, 3), 7, np.uint8), astronaut, np.full((30, 30), 9, np.uint8)]
    cropper = FaceCropper(on_missing=on_missing, whole_below=32)
    with config_context(working_memory=0), pytest.warns(UserWarning, match="1 of 3 images"):
        lazy = cropper.transform(X)
    # Changed parameters do not affect the existing crops.
    cropper.set_params(margin=2.0, on_missing="image")
    assert np.asarray(lazy[0]).tolist() == (X[0] * (on_missing == "image")).tolist()
    assert np.asarray(lazy[1]).shape == (103, 103, 3)
    assert np.asarray(lazy[2]).tolist() == X[2].tolist()


def test_detection_once_for_each_image(scene_files):
    paths, _ = scene_files
    images = []

    class CountingDetector:
        def detect(self, image):
            images.append(image)
            return HaarDetector().detect(image)

    with config_context(working_memory=0):
        crops = FaceCropper(CountingDetector()).transform(paths)
        assert GrayscaleResizer(24).transform(crops).shape == (len(paths), 24, 24, 1)
    assert len(images) == len(paths)


def test_pickles_of_lazy_crops(scene_files):
    with config_context(working_memory=0):
        lazy = FaceCropper().transform(scene_files[0][:2])
    expected = np.asarray(lazy[1])
    assert len(joblib.hash(lazy)) == 32
    copy = pickle.loads(pickle.dumps(lazy))
    assert isinstance(copy[1], np.ndarray)
    np.testing.assert_array_equal(copy[1], expected)


@pytest.mark.parametrize("step", [FaceCropper(n_jobs=2), GrayscaleResizer(n_jobs=2)])
@pytest.mark.parametrize("memory", [NOTHING, MUCH])
def test_unreadable_files(scene_files, tmp_path, step, memory):
    paths = list(scene_files[0])
    paths[13] = tmp_path / "broken.jpg"
    paths[13].write_text("no photo")

    with config_context(working_memory=memory), pytest.raises(ValueError, match=r"X\[13\].*broken"):
        step.transform(paths)


def test_file_deleted_after_detection(scene_files, tmp_path):
    paths = list(scene_files[0][:3])
    paths[1] = tmp_path / "deleted.png"
    paths[1].write_bytes(scene_files[0][1].read_bytes())
    with config_context(working_memory=0):
        crops = FaceCropper().transform(paths)
        paths[1].unlink()
        with pytest.raises(ValueError, match=r"^X\[1\] \(.*deleted.png.*can't be read"):
            GrayscaleResizer().transform(crops)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_joblib_backends(scene_files, backend):
    paths, _ = scene_files
    expected = GrayscaleResizer(24).transform(FaceCropper().transform(paths))
    with joblib.parallel_config(backend, n_jobs=2):
        resized = GrayscaleResizer(24).transform(FaceCropper().transform(paths))
    np.testing.assert_array_equal(resized, expected)


@pytest.fixture(scope="module")
def fitted(scene_files):
    """A pipeline fitted on photos in memory, and its probabilities."""
    paths, labels = scene_files
    steps = [("cropper", FaceCropper()), ("resizer", GrayscaleResizer(24))]
    pipeline = Pipeline([*steps, ("classifier", classifier(validation_fraction=0.2))])
    return pipeline.fit(paths, labels), pipeline.predict_proba(paths)


@pytest.mark.slow
def test_pipeline(scene_files, fitted):
    paths, labels = scene_files
    expected, probabilities = fitted
    with config_context(working_memory=0):
        pipeline = clone(expected).set_params(cropper__n_jobs=2, resizer__n_jobs=2)
        pipeline.fit(paths, labels)
        assert pipeline[-1].history_ == expected[-1].history_
        np.testing.assert_array_equal(pipeline.predict_proba(paths), probabilities)
        np.testing.assert_array_equal(expected.predict_proba(paths), probabilities)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["r", "c"])
def test_classifier_with_memory_maps(faces, tmp_path, mode):
    np.save(tmp_path / "images.npy", faces.images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode=mode)
    weights = np.linspace(0, 1, len(mapped))  # 0 removes the first image
    expected = classifier().fit(faces.images, faces.labels, weights)
    from_file = classifier().fit(mapped, faces.labels, weights)
    assert from_file.history_ == expected.history_
    np.testing.assert_array_equal(
        from_file.predict_proba(mapped), expected.predict_proba(faces.images)
    )


@pytest.mark.slow
def test_memory_of_fit_and_predict():
    images = np.zeros((4000, 64, 64), np.uint8)
    images[::2] = 255
    labels = np.arange(len(images)) % 2
    weights = np.ones(len(images))
    weights[0] = 0
    classifier = FacialExpressionClassifier(
        tiny_network, epochs=1, batch_size=500, validation_fraction=0.1, random_state=0
    )
    tracemalloc.start()
    try:
        classifier.fit(images, labels, weights).predict(images)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < images.nbytes  # no copy of the images


@linux_only
def test_memory_of_file_arrays():
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    with config_context(working_memory=0):
        images = empty_images((4000, 128, 128, 1), np.uint8)  # 66 MB
    before = resident()
    for index in range(len(images)):
        set_image(np.full((128, 128, 1), index % 256, np.uint8), images, index)
    assert [int(part[-1, 0, 0, 0]) for part in iter_blocks(images)] == [255, 255, 255, 3999 % 256]
    release_pages(images)
    assert resident() - before < images.nbytes / 4
    np.testing.assert_array_equal(images[:, 7, 7, 0], np.arange(len(images)) % 256)


@pytest.mark.slow
@linux_only
def test_lifetime_of_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def is_mapped():
        gc.collect()
        return str(tmp_path) in Path("/proc/self/maps").read_text()

    with config_context(working_memory=0):
        resized = GrayscaleResizer(24).transform(np.zeros((5, 48, 48), np.uint8))
    assert is_mapped()
    assert list(tmp_path.iterdir()) == []
    view = resized[1:3]
    del resized
    assert is_mapped()
    del view
    assert not is_mapped()


def test_full_disk():
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, before[1]))
    try:
        with pytest.raises(OSError, match=r"no room for a temporary file of 2\.3 GB.*TMPDIR"):
            file_array((10**6, 48, 48, 1), np.uint8)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_copy_on_write_memory_maps(tmp_path, monkeypatch):
    monkeypatch.setattr("skfer._storage._PART", 2)
    np.save(tmp_path / "images.npy", np.zeros((9, 64, 64), np.uint8))
    mapped = np.load(tmp_path / "images.npy", mmap_mode="c")
    mapped[...] = 5
    for part in iter_blocks(mapped):
        assert (part == 5).all()
    assert (mapped == 5).all()

import ctypes
import gc
import os
import pickle
import random
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from skfer import FacialExpressionClassifier, list_pretrained, load_pretrained
from skfer.datasets import make_faces
from skfer.metrics import apply_temperature
from skfer.weights import read_record


@pytest.fixture(scope="module")
def fer2013_pipeline():
    return load_pretrained("fer2013")


@pytest.mark.slow
def test_predictions_of_photos(fer2013_pipeline, astronaut, photo_files):
    assert fer2013_pipeline.predict([astronaut]).tolist() == ["happy"]
    probabilities = fer2013_pipeline.predict_proba(photo_files)
    assert probabilities.shape == (len(photo_files), 7)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    pipeline = load_pretrained("ferplus")
    assert "contempt" in pipeline.classes_
    assert pipeline.predict([astronaut]).tolist() == ["happy"]


@pytest.mark.slow
def test_fit_of_other_classes(fer2013_pipeline):
    faces = make_faces(12, classes=["happy", "sad"], random_state=0)
    classifier = clone(fer2013_pipeline["classifier"]).set_params(
        epochs=1, fine_tune={"frozen_epochs": 1}, random_state=0
    )
    classifier.fit(faces.images, np.where(faces.labels == "happy", "cheerful", "sad"))
    assert classifier.classes_.tolist() == ["cheerful", "sad"]
    expected = fer2013_pipeline["classifier"].network_.get_weights()
    assert np.array_equal(classifier.network_.get_weights()[0], expected[0])


@pytest.mark.parametrize("name", ["fer2013", "ferplus"])
def test_small_models(name, astronaut):
    base, small = load_pretrained(name), load_pretrained(name, size="small")
    assert small.classes_.tolist() == base.classes_.tolist()
    assert small.predict([astronaut]).tolist() == ["happy"]
    n_weights = {model["name"]: model["n_weights"] for model in list_pretrained()}
    assert n_weights[f"{name}-small"] < 0.3 * n_weights[name]
    np.testing.assert_array_equal(
        load_pretrained(f"{name}-small").predict_proba([astronaut]),
        small.predict_proba([astronaut]),
    )


@pytest.mark.slow
@pytest.mark.parametrize("network", [None, "mini_resnet"])
def test_fit_starts_from_small_weights(network):
    faces = make_faces(12, classes=["happy", "sad"], random_state=0)
    classifier = FacialExpressionClassifier(
        network,
        weights="fer2013-small",
        epochs=1,
        fine_tune={"frozen_epochs": 1},
        random_state=0,
    )
    classifier.fit(faces.images, faces.labels)
    small = load_pretrained("fer2013", size="small")["classifier"]
    np.testing.assert_array_equal(
        classifier.network_.get_weights()[0], small.network_.get_weights()[0]
    )


@pytest.mark.slow
def test_fitted_further():
    faces = make_faces(14, random_state=0)
    pretrained = load_pretrained("fer2013", size="small")["classifier"]
    before = pretrained.predict_proba(faces.images)
    pretrained.partial_fit(faces.images, faces.labels)
    assert pretrained.n_iter_ == 1
    assert not np.array_equal(pretrained.predict_proba(faces.images), before)
    pretrained = load_pretrained("fer2013", size="small")["classifier"]
    pretrained.set_params(warm_start=True, epochs=1, fine_tune={"frozen_epochs": 1})
    weights = pretrained.network_.get_weights()
    pretrained.fit(faces.images, faces.labels)
    fitted = pretrained.network_.get_weights()
    assert np.array_equal(fitted[0], weights[0])
    assert not np.array_equal(fitted[-1], weights[-1])


def test_list_of_models():
    models = {model["name"]: model for model in list_pretrained()}
    assert set(models) == {"fer2013", "fer2013-small", "ferplus", "ferplus-small"}
    assert models["fer2013"]["n_weights"] == 1_551_567
    assert 0.5 < models["ferplus"]["accuracy"]["PublicTest"] < 1


def test_unknown_names_and_sizes():
    with pytest.raises(ValueError, match="no weights 'affectnet'; there are fer2013, "):
        load_pretrained("affectnet")
    with pytest.raises(ValueError, match=r"size='tiny' must be one of \['base', 'small'\]"):
        load_pretrained("fer2013", size="tiny")
    with pytest.raises(ValueError, match="no weights 'affectnet-small'"):
        load_pretrained("affectnet", size="small")


def test_weights_of_another_network():
    classifier = FacialExpressionClassifier("little_vgg", weights="fer2013")
    with pytest.raises(ValueError, match=r"'mini_resnet' and \(48, 48, 1\)"):
        classifier.fit(np.zeros((4, 48, 48), np.uint8), ["a", "b", "a", "b"])


def test_failed_fit_keeps_the_temperature():
    pretrained = load_pretrained("fer2013")["classifier"]
    with pytest.raises(ValueError, match="at least 2 classes"):
        pretrained.fit(make_faces(4, random_state=0).images, ["happy"] * 4)
    assert pretrained.temperature_ == read_record("fer2013").temperature


@pytest.fixture(scope="module")
def public_test(fer2013):
    rows = fer2013.public_test_index
    return fer2013.images[rows], fer2013.labels[rows]


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize("name", ["fer2013", "fer2013-small"])
def test_accuracy_equals_the_record(name, public_test):
    record = next(model for model in list_pretrained() if model["name"] == name)
    found = load_pretrained(name)["classifier"].score(*public_test)
    assert found == pytest.approx(record["accuracy"]["PublicTest"], abs=0.001)


@pytest.mark.slow
@pytest.mark.real_data
def test_aligned_faces_are_not_cropped(fer2013_pipeline, public_test):
    images, labels = public_test[0][:500], public_test[1][:500]
    without = Pipeline([("cropper", "passthrough"), *fer2013_pipeline.steps[1:]])
    assert fer2013_pipeline.score(images, labels) == without.score(images, labels)


@pytest.mark.slow
def test_temperature():
    X = make_faces(3, random_state=0).images
    pretrained = load_pretrained("fer2013")["classifier"]
    temperature = read_record("fer2013").temperature
    assert pretrained.temperature is None
    assert pretrained.temperature_ == temperature != 1
    calibrated = pretrained.predict_proba(X)
    unpickled = pickle.loads(pickle.dumps(pretrained))
    np.testing.assert_array_equal(unpickled.predict_proba(X), calibrated)
    pretrained.set_params(temperature=1)
    np.testing.assert_allclose(
        apply_temperature(pretrained.predict_proba(X), temperature), calibrated, 1e-4
    )


@pytest.mark.slow
def test_global_random_states_are_unchanged():
    def states():
        kind, keys, position, *_ = np.random.get_state()  # noqa: NPY002
        return kind, keys.tolist(), position, random.getstate()

    before = states()
    pipeline = load_pretrained("fer2013")
    pipeline["classifier"].predict(make_faces(2, random_state=0).images)
    pickle.loads(pickle.dumps(pipeline))
    assert states() == before


@pytest.mark.slow
def test_memory_of_loading():
    def megabytes():
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # returns free memory to the system
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    for _ in range(10):
        load_pretrained("fer2013")
    before = megabytes()
    for _ in range(50):
        load_pretrained("fer2013")
    assert megabytes() - before < 25  # each network takes 6

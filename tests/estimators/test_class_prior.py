import _utils
import numpy as np
import pytest
from sklearn.base import clone

import skfer
from skfer import FacialExpressionClassifier, load_pretrained
from skfer.datasets import make_faces
from skfer.metrics import apply_class_prior, apply_temperature

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def faces():
    faces = make_faces(60, classes=["happy", "sad", "surprise"], size=24, random_state=0)
    n_images = {"happy": 18, "sad": 6, "surprise": 6}
    rows = np.concatenate(
        [np.flatnonzero(faces.labels == name)[:n] for name, n in n_images.items()]
    )
    return faces.images[rows], faces.labels[rows]


def classifier(**parameters):
    return FacialExpressionClassifier(_utils.tiny_network, epochs=1, random_state=0, **parameters)


@pytest.fixture(scope="module")
def fitted(faces):
    return classifier().fit(*faces)


@pytest.mark.parametrize("class_prior", ["uniform", [0.1, 0.2, 0.7], np.array([1, 1, 3])])
def test_prior_with_temperature(faces, fitted, class_prior):
    images, _ = faces
    plain = clone(fitted).fit(*faces)
    proba = apply_temperature(plain.predict_proba(images), 2.0)
    plain.set_params(class_prior=class_prior, temperature=2.0)
    shares = [1, 1, 1] if isinstance(class_prior, str) else class_prior
    expected = apply_class_prior(proba, [0.6, 0.2, 0.2], shares)
    adapted = plain.predict_proba(images)
    np.testing.assert_allclose(adapted, expected, rtol=1e-5)
    assert adapted.dtype == np.float32
    assert (plain.predict(images) == plain.classes_[expected.argmax(axis=1)]).all()


@pytest.mark.parametrize(
    ("parameters", "fit_arguments", "expected"),
    [
        ({}, {}, [0.6, 0.2, 0.2]),
        ({"class_weight": "balanced"}, {}, [1 / 3, 1 / 3, 1 / 3]),
        ({"class_weight": {"happy": 1, "sad": 3, "surprise": 0}}, {}, [0.5, 0.5, 0]),
        ({"oversample": True}, {}, [1 / 3, 1 / 3, 1 / 3]),
        ({"label_smoothing": 0.5}, {}, [0.3 + 1 / 6, 0.1 + 1 / 6, 0.1 + 1 / 6]),
        ({}, {"sample_weight": [1] * 18 + [2] * 6 + [1] * 6}, [0.5, 1 / 3, 1 / 6]),
        ({}, {"votes": [[2, 1, 1]] * 30}, [0.5, 0.25, 0.25]),
    ],
)
def test_training_prior(faces, parameters, fit_arguments, expected):
    model = classifier(**parameters).fit(*faces, **fit_arguments)
    np.testing.assert_allclose(model.class_prior_, expected, atol=1e-6)


@pytest.mark.parametrize("parameters", [{}, {"class_weight": "balanced"}, {"oversample": True}])
def test_images_of_weight_zero(faces, parameters):
    images, labels = faces
    weights = np.r_[np.zeros(17), np.ones(13)]
    model = classifier(**parameters).fit(images, labels, sample_weight=weights)
    without = classifier(**parameters).fit(images[17:], labels[17:])
    np.testing.assert_allclose(model.class_prior_, without.class_prior_)
    expected = [1 / 3, 1 / 3, 1 / 3] if parameters else [1 / 13, 6 / 13, 6 / 13]
    np.testing.assert_allclose(model.class_prior_, expected, atol=1e-6)


def test_partial_fit_averages_priors(faces):
    images, labels = faces
    model = classifier(classes=["happy", "sad", "surprise"])
    model.partial_fit(images[:18], labels[:18])
    np.testing.assert_allclose(model.class_prior_, [1, 0, 0])
    model.partial_fit(images[18:], labels[18:])
    np.testing.assert_allclose(model.class_prior_, [0.6, 0.2, 0.2])
    assert model.n_samples_seen_ == 30


def test_prior_of_a_keras_file_must_be_given(faces, tmp_path, fitted):
    images, _ = faces
    path = tmp_path / "model.keras"
    fitted.network_.save(path)
    model = FacialExpressionClassifier.from_keras(
        path, classes=fitted.classes_.tolist(), class_prior="uniform", pixel_range=(0, 255)
    )
    with pytest.raises(ValueError, match="class_prior_ = shares"):
        model.predict_proba(images)
    model.class_prior_ = np.array([0.6, 0.2, 0.2])
    np.testing.assert_allclose(model.predict_proba(images).sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("class_prior", "message"),
    [
        ([0.5, 0.5], r"class_prior has the shape \(2,\)"),
        ([1.0, -1.0, 1.0], r"class_prior\[1\] is -1"),
        ("equal", "class_prior='equal' must be 'uniform'"),
    ],
)
def test_invalid_priors(faces, fitted, class_prior, message):
    model = clone(fitted).fit(*faces).set_params(class_prior=class_prior)
    with pytest.raises(ValueError, match=message):
        model.predict_proba(faces[0])


def test_saved_prior(tmp_path):
    model = load_pretrained()["classifier"].set_params(class_prior=[1, 2, 3, 4, 3, 2, 1])
    images = make_faces(8, random_state=0).images
    skfer.save(model, tmp_path / "model.skfer")
    loaded = skfer.load(tmp_path / "model.skfer")
    np.testing.assert_array_equal(loaded.class_prior_, model.class_prior_)
    np.testing.assert_allclose(loaded.predict_proba(images), model.predict_proba(images), atol=1e-6)


@pytest.mark.parametrize("name", ["fer2013", "ferplus"])
def test_priors_of_shipped_weights(name):
    images = make_faces(8, random_state=0).images
    model = load_pretrained(name)["classifier"]
    assert model.class_prior_.sum() == pytest.approx(1, abs=1e-4)
    plain = model.predict_proba(images)
    adapted = model.set_params(class_prior="uniform").predict_proba(images)
    disgust = list(model.classes_).index("disgust")
    assert (adapted[:, disgust] > plain[:, disgust]).all()

import os
import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest
from _utils import small_network, tiny_network
from sklearn.frozen import FrozenEstimator

import skfer
from skfer import ExpressionEmbedder, FacialAffectRegressor, FacialExpressionClassifier
from skfer.datasets import make_faces
from skfer.inspection import grad_cam, saliency
from skfer.networks import build_network, register_network
from skfer.networks._keras_settings import import_keras, standard_keras

SETTINGS = {
    "mixed_float16": lambda: keras.config.set_dtype_policy("mixed_float16"),
    "mixed_bfloat16": lambda: keras.config.set_dtype_policy("mixed_bfloat16"),
    "float64": lambda: keras.config.set_floatx("float64"),
    "float16": lambda: keras.config.set_floatx("float16"),
    "channels_first": lambda: keras.config.set_image_data_format("channels_first"),
}


def settings():
    config = keras.config
    return config.dtype_policy().name, config.floatx(), config.image_data_format()


@pytest.fixture(params=SETTINGS.values(), ids=SETTINGS)
def other_settings(request):
    before = settings()
    request.param()
    during = settings()
    assert during != before
    yield
    after = settings()
    keras.config.set_dtype_policy(before[0])
    keras.config.set_floatx(before[1])
    keras.config.set_image_data_format(before[2])
    assert after == during


@pytest.fixture(scope="module")
def faces():
    return make_faces(24, classes=["happy", "sad"], size=24, random_state=0)


@pytest.fixture(scope="module", autouse=True)
def _named_network():
    register_network("small_network", small_network)  # files of skfer.save hold its name


def classifier(**parameters):
    return FacialExpressionClassifier(
        "small_network", epochs=2, batch_size=8, random_state=0, **parameters
    )


@pytest.fixture(scope="module")
def expected(faces):
    fitted = classifier().fit(faces.images, faces.labels)
    return fitted, fitted.predict_proba(faces.images)


@pytest.mark.slow
def test_fit_ignores_global_settings(other_settings, faces, expected):
    fitted = classifier().fit(faces.images, faces.labels)
    proba = fitted.predict_proba(faces.images)
    assert proba.dtype == np.float32
    np.testing.assert_allclose(proba, expected[1], atol=1e-6)
    assert {layer.compute_dtype for layer in fitted.network_.layers[-1].layers} == {"float32"}
    half = classifier(mixed_precision="bfloat16").fit(faces.images, faces.labels)
    np.testing.assert_allclose(half.predict_proba(faces.images), expected[1], atol=0.05)
    half.partial_fit(faces.images, faces.labels)
    ratings = np.linspace(-1, 1, 24)
    regressor = FacialAffectRegressor(tiny_network, epochs=1, loss="concordance", random_state=0)
    assert regressor.fit(faces.images, ratings).predict(faces.images).shape == (24,)


@pytest.mark.slow
def test_fitted_network_ignores_global_settings(other_settings, faces, expected, tmp_path):
    fitted, proba = expected
    X = faces.images
    unpickled = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_allclose(unpickled.predict_proba(X), proba, atol=1e-6)
    restored = skfer.load(skfer.save(fitted, tmp_path / "model.skfer"))
    np.testing.assert_allclose(restored.predict_proba(X), proba, atol=1e-6)
    assert skfer.export_onnx(unpickled, tmp_path / "model.onnx").is_file()
    unpickled.set_params(backend="onnx", test_time_augmentation="flip")
    restored.set_params(test_time_augmentation="flip")
    np.testing.assert_allclose(unpickled.predict_proba(X), restored.predict_proba(X), atol=1e-5)
    for explain in (grad_cam, saliency):
        maps = explain(restored, X[:2]).maps
        assert maps.dtype == np.float32
        assert maps.max() > 0
    features = ExpressionEmbedder(FrozenEstimator(restored)).fit(X).transform(X)
    assert features.dtype == np.float32
    assert features.shape == (24, 8)


@pytest.mark.slow
def test_shipped_weights_ignore_global_settings(other_settings):
    images = make_faces(4, random_state=0).images
    proba = skfer.load_pretrained()[-1].predict_proba(images)
    with standard_keras():
        np.testing.assert_allclose(
            proba, skfer.load_pretrained()[-1].predict_proba(images), atol=1e-6
        )
    network = build_network("mini_xception", (48, 48, 1), 3)
    assert network.input_shape == (None, 48, 48, 1)
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}


def test_settings_are_restored_after_an_error():
    before = settings()
    with pytest.raises(RuntimeError), standard_keras(), standard_keras():
        raise RuntimeError
    assert settings() == before


def test_other_backends(monkeypatch):
    import_keras()
    monkeypatch.setattr(keras.config, "backend", lambda: "torch")
    with pytest.raises(ImportError, match=r"set to the backend torch.*KERAS_BACKEND=tensorflow"):
        import_keras()
    code = "from skfer.networks import build_network; build_network('cnn4', (16, 16, 1), 2)"
    process = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"KERAS_BACKEND": "jax"},
    )
    assert "ImportError: Keras is set to the backend jax" in process.stderr

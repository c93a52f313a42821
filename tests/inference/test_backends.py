import pickle
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf
from _utils import small_network
from sklearn.frozen import FrozenEstimator

from skfer import ExpressionEmbedder, FacialExpressionClassifier, load_pretrained
from skfer._inference._keras import KerasBackend, WeightMonitor, keras_backend, largest_batch
from skfer.datasets import make_faces


@pytest.fixture(scope="module")
def fitted(faces):
    classifier = FacialExpressionClassifier(small_network, epochs=2, augment=None, random_state=0)
    return classifier.fit(faces.images, faces.labels)


@pytest.fixture(params=["keras", "onnx"])
def classifier(request, fitted):
    return pickle.loads(pickle.dumps(fitted)).set_params(backend=request.param)


def keras_outputs(classifier, images):
    return classifier.network_.predict(images[..., np.newaxis], verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize("views", [None, "flip", "ten"])
@pytest.mark.parametrize("n_images", [1, 70])
def test_onnx_equals_keras(fitted, faces, views, n_images):
    images = faces.images[:n_images]
    by_keras = fitted.set_params(test_time_augmentation=views, backend="keras")
    expected = by_keras.predict_proba(images)
    by_onnx = fitted.set_params(backend="onnx").predict_proba(images)
    fitted.set_params(test_time_augmentation=None, backend="keras")
    assert by_onnx.dtype == expected.dtype
    assert by_onnx.shape == expected.shape == (n_images, 3)
    np.testing.assert_allclose(by_onnx, expected, atol=1e-5)


def test_outputs_and_pickles(classifier, faces):
    before = pickle.dumps(classifier)
    expected = keras_outputs(classifier, faces.images)
    np.testing.assert_allclose(classifier.predict_proba(faces.images), expected, atol=1e-5)
    parts = np.array_split(faces.images, 10)
    with ThreadPoolExecutor(4) as pool:
        proba = np.concatenate(list(pool.map(classifier.predict_proba, parts)))
    np.testing.assert_allclose(proba, expected, atol=1e-5)
    expected = classifier.predict_proba(faces.images)
    after = pickle.dumps(classifier)
    assert len(after) == pytest.approx(len(before), abs=100)
    loaded = pickle.loads(after)
    assert loaded.backend == classifier.backend
    np.testing.assert_allclose(loaded.predict_proba(faces.images), expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["keras", "onnx"])
def test_float_and_uint8_images(faces, backend):
    classifier = FacialExpressionClassifier(
        small_network, epochs=1, random_state=0, backend=backend
    )
    scaled = (faces.images / 255).astype(np.float32)
    classifier.fit(scaled, faces.labels)
    np.testing.assert_allclose(
        classifier.predict_proba(scaled), classifier.predict_proba(faces.images), atol=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("views", [None, "flip"])
def test_int8(fitted, faces, views):
    classifier = pickle.loads(pickle.dumps(fitted)).set_params(test_time_augmentation=views)
    expected = classifier.predict_proba(faces.images)
    classifier.set_params(backend="onnx-int8")
    proba = classifier.predict_proba(faces.images)
    assert proba.shape == expected.shape
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-5)
    assert 0 < np.abs(proba - expected).max() < 0.05
    loaded = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(loaded.predict_proba(faces.images), proba)


@pytest.mark.slow
@pytest.mark.real_data
def test_int8_on_fer2013(fer2013):
    images = fer2013.images[fer2013.test_fold == 0][:200]
    shipped = load_pretrained("fer2013")["classifier"].set_params(test_time_augmentation=None)
    expected = shipped.predict_proba(images)
    proba = shipped.set_params(backend="onnx-int8").predict_proba(images)
    # If 8-bit sums saturate, as on processors without VNNI, 12 % of the labels change.
    assert (proba.argmax(axis=1) != expected.argmax(axis=1)).mean() < 0.05
    assert np.median(np.abs(proba - expected)) < 0.004


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_int8_with_float_images(scale):
    # Images in colour, not square, and too small for a drawn face: calibration resizes its faces.
    faces = make_faces(60, classes=["happy", "sad"], size=20, color=True, random_state=0)
    images = (faces.images[:, 4:16] / 255 * scale).astype(np.float32)
    classifier = FacialExpressionClassifier(small_network, epochs=2, random_state=0)
    expected = classifier.fit(images, faces.labels).predict_proba(images)
    proba = classifier.set_params(backend="onnx-int8").predict_proba(images)
    assert 0 < np.abs(proba - expected).max() < 0.05


@pytest.mark.slow
def test_changed_weights(classifier, faces):
    before = classifier.predict_proba(faces.images)
    *others, last = classifier.network_.get_weights()
    classifier.network_.set_weights([*others, last[::-1] + [0.5, 0, 0]])
    after = classifier.predict_proba(faces.images)
    assert np.abs(after - before).max() > 0.05
    np.testing.assert_allclose(after, keras_outputs(classifier, faces.images), atol=1e-5)
    before = classifier.predict_proba(faces.images)
    classifier.partial_fit(faces.images, faces.labels)
    after = classifier.predict_proba(faces.images)
    assert np.abs(after - before).max() > 1e-4
    np.testing.assert_allclose(after, keras_outputs(classifier, faces.images), atol=1e-5)


def test_weight_monitor():
    network = keras.Sequential([keras.Input((8, 8, 32)), keras.layers.Conv2D(64, 3)])
    monitor = WeightMonitor(network)
    assert monitor.changed()
    assert not monitor.changed()
    kernel, bias = network.get_weights()
    for axis, n_channels in ((2, 32), (3, 64)):
        for channel in range(n_channels):
            pruned = np.moveaxis(kernel.copy(), axis, 0)
            pruned[channel] = 0
            network.set_weights([np.moveaxis(pruned, 0, axis), bias])
            assert monitor.changed()
            assert not monitor.changed()


@pytest.mark.slow
def test_features_of_onnx_and_int8(fitted, faces):
    embedder = ExpressionEmbedder(FrozenEstimator(fitted)).fit(faces.images)
    fitted.set_params(backend="keras")
    expected = embedder.transform(faces.images)
    fitted.set_params(backend="onnx")
    by_onnx = embedder.transform(faces.images)
    fitted.set_params(backend="keras")
    np.testing.assert_allclose(by_onnx, expected, rtol=1e-4, atol=1e-5)
    frozen = pickle.loads(pickle.dumps(fitted))
    embedder = ExpressionEmbedder(FrozenEstimator(frozen)).fit(faces.images)
    expected = embedder.transform(faces.images)
    frozen.set_params(backend="onnx-int8")
    proba = embedder.transform(faces.images)
    assert 0 < np.abs(proba - expected).max() < 0.05 * np.abs(expected).max()


def test_batches_and_invalid_parameters(faces, monkeypatch, fitted):
    for side, lowest, highest in [(24, 64, 64), (2048, 1, 4)]:
        network = small_network((side, side, 1), 2)
        graph = tf.function(network).get_concrete_function(tf.TensorSpec(network.input_shape))
        assert lowest <= largest_batch(graph) <= highest
    network, images = small_network((24, 24, 1), 2), faces.images[:5, ..., np.newaxis]
    expected = KerasBackend(network)(images)
    monkeypatch.setattr("skfer._inference._keras.largest_batch", lambda graph: 2)
    np.testing.assert_allclose(KerasBackend(network)(images), expected, atol=1e-6)
    monkeypatch.setattr("skfer._inference._onnx_graph.MAX_IMAGES", 2)
    np.testing.assert_allclose(keras_backend(network, "onnx")(images), expected, atol=1e-6)
    classifier = pickle.loads(pickle.dumps(fitted)).set_params(test_time_augmentation="five")
    for backend in ("keras", "onnx"):
        with pytest.raises(ValueError, match="test_time_augmentation must be one of"):
            classifier.set_params(backend=backend).predict(faces.images)
    classifier = pickle.loads(pickle.dumps(fitted)).set_params(backend="onnx-int4")
    with pytest.raises(ValueError, match="backend must be one of"):
        classifier.predict(faces.images)


class Double(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs


def network_with_custom_layer(input_shape, n_outputs):
    images = keras.Input(input_shape)
    x = keras.layers.Flatten()(Double()(images))
    return keras.Model(images, keras.layers.Dense(n_outputs, activation="softmax")(x))


def test_pickles_and_auto_backend(faces):
    classifier = FacialExpressionClassifier(
        network_with_custom_layer, epochs=1, random_state=0
    ).fit(faces.images, faces.labels)
    expected = keras_outputs(classifier, faces.images)
    np.testing.assert_allclose(classifier.predict_proba(faces.images), expected, atol=1e-5)
    for backend in ("keras", "onnx", "onnx-int8"):
        proba = classifier.set_params(backend=backend).predict_proba(faces.images)
        np.testing.assert_allclose(proba, expected, atol=0.05 if "int8" in backend else 1e-5)
    loaded = pickle.loads(pickle.dumps(classifier.set_params(backend="auto")))
    np.testing.assert_allclose(loaded.predict_proba(faces.images), expected, atol=1e-5)
    one, two = (load_pretrained()["classifier"]._network for _ in range(2))
    session = one.session()
    assert one.input_shape == (48, 48, 1)
    assert two.session() is one.session() is session
    assert load_pretrained("ferplus")["classifier"]._network.session() is session

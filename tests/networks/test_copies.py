import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from skfer.networks._copies import (
    copy_network,
    has_strided_pointwise,
    network_from_state,
    network_state,
)
from skfer.networks._layers import all_layers


def functional(size=12, padding="same", strides=2, channels=4):
    image = keras.Input((size, size, 1))
    x = layers.Conv2D(channels, 3, activation="relu")(image)
    shortcut = layers.Conv2D(6, 1, strides=strides, padding=padding, name="shortcut")(x)
    x = layers.Conv2D(6, 3, strides=strides, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.GlobalAveragePooling2D()(layers.Add()([x, shortcut]))
    return keras.Model(
        image, layers.Dense(3, activation="softmax", name="end")(x), name="functional"
    )


def sequential(size=12, padding="valid"):
    return keras.Sequential(
        [
            keras.Input((size, size, 1)),
            layers.Conv2D(4, 3),
            layers.Conv2D(6, 1, strides=(2, 1), padding=padding, activation="relu", use_bias=False),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
            layers.Softmax(),
        ]
    )


def nested():
    inner = keras.Sequential(
        [keras.Input((12, 12, 1)), layers.Conv2D(4, 1, strides=3), layers.Flatten()]
    )
    image = keras.Input((12, 12, 1))
    return keras.Model(image, layers.Dense(3, activation="softmax")(inner(image)))


def global_pooling_last():
    image = keras.Input((12, 12, 1))
    x = layers.Conv2D(3, 3)(image)
    return keras.Model(image, layers.Activation("softmax")(layers.GlobalAveragePooling2D()(x)))


def normalization_after_dense():
    image = keras.Input((12, 12, 1))
    x = layers.BatchNormalization()(layers.Dense(3)(layers.Flatten()(image)))
    return keras.Model(image, layers.Softmax()(x))


def images(size=12):
    return np.random.default_rng(0).random((5, size, size, 1), dtype=np.float32)


@pytest.mark.parametrize(
    "model",
    [
        lambda: functional(),
        lambda: functional(size=13, padding="valid"),
        lambda: functional(size=14, strides=3, channels=1),
        lambda: sequential(),
        lambda: sequential(size=11, padding="same"),
        nested,
    ],
)
def test_strided_pointwise_convolutions_are_replaced(model):
    model = model()
    before = model.get_weights()
    copy = copy_network(model)
    assert has_strided_pointwise(model)
    assert not has_strided_pointwise(copy)
    size = model.input_shape[1]
    np.testing.assert_allclose(copy(images(size)), model(images(size)), atol=1e-5)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_copied_layers():
    model = functional()
    model.get_layer("shortcut").trainable = False
    copy = copy_network(model)
    assert not copy.get_layer("shortcut").trainable
    assert copy.get_layer("end").trainable
    copy.get_layer("end").set_weights([np.zeros((6, 3)), np.zeros(3)])
    assert model.get_layer("end").get_weights()[0].any()
    factor = 3.0
    image = keras.Input((12, 12, 1))
    x = layers.Lambda(lambda pixels: pixels * factor)(image)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 1, strides=2)(x))
    model = keras.Model(image, x)
    np.testing.assert_allclose(copy_network(model)(images()), model(images()), rtol=1e-5)

    class Scaled(layers.Layer):
        def __init__(self, factor):
            super().__init__(name="scaled")
            self.factor = factor

        def call(self, x):
            return x * self.factor

    image = keras.Input((12, 12, 1))
    model = keras.Model(image, layers.Conv2D(4, 1, strides=2)(Scaled(2.0)(image)))
    with pytest.raises(ValueError, match=r"layer 'scaled' \(Scaled\) can't be copied"):
        copy_network(model)
    image = keras.Input((12, 12, 1))
    x = layers.Flatten()(layers.Conv2D(2, 3)(image))
    with pytest.raises(ValueError, match="can't be given 5 outputs"):
        copy_network(keras.Model(image, x, name="flat"), 5)


@pytest.mark.parametrize(
    "model", [functional, sequential, nested, global_pooling_last, normalization_after_dense]
)
def test_new_head_keeps_other_weights(model):
    model = model()
    copy = copy_network(model, 5)
    assert copy.output_shape == (None, 5)
    np.testing.assert_allclose(np.sum(copy(images()), axis=1), 1, atol=1e-5)
    kept = {weight.path: weight.numpy() for layer in all_layers(model) for weight in layer.weights}
    for layer in all_layers(copy):
        for weight in layer.weights:
            old = kept[weight.path]
            if old.shape == weight.shape and "dense" not in weight.path:
                np.testing.assert_array_equal(weight.numpy(), old)


FIT = """
import sys
import keras
import numpy as np
from keras import layers
from skfer import FacialExpressionClassifier

def network(input_shape=(64, 64, 1), n_outputs=7):
    return keras.Sequential([
        keras.Input(input_shape),
        layers.Conv2D(8, 3),
        layers.Conv2D(16, 1, strides=2, padding="same", use_bias=False),
        layers.GlobalAveragePooling2D(),
        layers.Dense(n_outputs, activation="softmax"),
    ])

X = np.random.default_rng(0).integers(0, 256, (70, 64, 64), dtype=np.uint8)
y = np.arange(70) % 7
model = network()
expected = np.asarray(model(X[..., None] / np.float32(255)))
model.save(sys.argv[1])
for source in (sys.argv[1], model):
    classifier = FacialExpressionClassifier.from_keras(source, classes=range(7), epochs=1)
    np.testing.assert_allclose(classifier.predict_proba(X), expected, atol=1e-5)
    classifier.fit(X, y)
FacialExpressionClassifier(network, epochs=1).fit(X, y)
print("fitted")
"""


@pytest.mark.slow
def test_fit_of_strided_pointwise_convolutions(tmp_path):
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FIT, tmp_path / "model.keras"],
        capture_output=True,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert (process.returncode, process.stdout) == (0, "fitted\n"), process.stderr[-2000:]


@pytest.mark.parametrize("axis", [-1, None])
def test_adapted_normalization(axis):
    normalization = layers.Normalization(axis=axis)
    normalization.adapt(images() * 200)
    image = keras.Input((12, 12, 1))
    x = layers.Dense(3, activation="softmax")(layers.Flatten()(normalization(image)))
    network = keras.Model(image, x)
    expected = np.asarray(network(images()))
    np.testing.assert_allclose(np.asarray(copy_network(network)(images())), expected, atol=1e-6)
    rebuilt = network_from_state(network_state(network), lambda n_outputs: network)
    np.testing.assert_allclose(np.asarray(rebuilt(images())), expected, atol=1e-6)

import keras
import numpy as np
import pytest
from keras import layers

from skfer.networks import build_network
from skfer.networks._layers import (
    feature_extractor,
    feature_map_layer,
    freeze_base,
    freeze_batch_norm,
    freeze_below,
    head_layers,
    run_with_feature_map,
)


@pytest.fixture
def nested():
    base = keras.Sequential(
        [keras.Input((16, 16, 1)), layers.Conv2D(4, 3, name="inside"), layers.BatchNormalization()],
        name="base",
    )
    head = keras.Sequential(
        [keras.Input((4,)), layers.Dense(6, name="six"), layers.Dense(3), layers.Softmax()]
    )
    return keras.Sequential([keras.Input((16, 16, 1)), base, layers.GlobalMaxPooling2D(), head])


def n_trainable(network):
    return sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)


@pytest.mark.parametrize(
    ("name", "with_weights", "n_features", "map_shape"),
    [
        ("cnn4", 5, 512, (6, 6, 512)),
        ("little_vgg", 5, 64, (6, 6, 256)),
        ("mini_resnet", 1, 256, (6, 6, 256)),
        ("mini_xception", 1, 128, (3, 3, 7)),
        ("plain_cnn", 2, 128, (12, 12, 128)),
    ],
)
def test_heads_and_feature_maps(name, with_weights, n_features, map_shape):
    network = build_network(name, (48, 48, 1), 7)
    assert sum(bool(layer.weights) for layer in head_layers(network)) == with_weights
    images = np.random.default_rng(0).random((3, 48, 48, 1), np.float32)
    assert np.asarray(feature_extractor(network)(images)).shape == (3, n_features)
    assert feature_map_layer(network).output.shape == (None, *map_shape)


def test_freezing_and_features(nested):
    freeze_base(nested)
    assert n_trainable(nested) == 4 * 6 + 6 + 6 * 3 + 3
    freeze_below(nested, "inside")
    freeze_batch_norm(nested)
    assert n_trainable(nested) == 3 * 3 * 4 + 4 + 4 * 6 + 6 + 6 * 3 + 3
    nested.get_layer("base").trainable = False
    freeze_below(nested, 4)
    assert n_trainable(nested) == 3 * 3 * 4 + 4 + 2 * 4 + 4 * 6 + 6 + 6 * 3 + 3
    network = build_network("cnn4", (48, 48, 1), 7)
    freeze_below(network, 2)
    assert [layer.name for layer in network.layers if layer.trainable and layer.weights] == [
        layer.name for layer in network.layers if layer.weights
    ][-2:]
    with pytest.raises(ValueError, match="first_layer=99 is more than the 5 layers"):
        freeze_below(build_network("plain_cnn", (48, 48, 1), 2), 99)
    images = np.random.default_rng(0).random((3, 16, 16, 1), np.float32)
    last = nested.layers[-1].layers[-2]
    outputs = keras.ops.softmax(last(feature_extractor(nested)(images)))
    np.testing.assert_allclose(np.asarray(outputs), np.asarray(nested(images)), rtol=1e-5)


@pytest.fixture
def nested_body():
    base = keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            layers.Conv2D(4, 3, name="inside"),
            layers.BatchNormalization(name="last"),
            layers.MaxPooling2D(name="pooling"),
            layers.Dropout(0.5),
        ],
        name="base",
    )
    image = keras.Input((16, 16, 1))
    outputs = layers.Dense(3, activation="softmax")(layers.Flatten()(base(image)))
    body = keras.Model(image, outputs, name="body")
    pixels = keras.Input((16, 16, 1))
    return keras.Model(pixels, body(layers.Rescaling(1 / 255, name="scaling")(pixels)))


def test_nested_feature_maps(nested_body):
    images = np.random.default_rng(0).uniform(0, 255, (5, 16, 16, 1)).astype(np.float32)
    layer = feature_map_layer(nested_body)
    assert layer.name == "last"
    n_nodes = len(layer._inbound_nodes)
    channels, outputs = run_with_feature_map(nested_body, layer, images)
    base = nested_body.layers[-1].layers[1]
    expected = base.layers[1](base.layers[0](images / np.float32(255)), training=False)
    np.testing.assert_allclose(channels, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(outputs, nested_body(images, training=False), rtol=1e-5)
    assert len(layer._inbound_nodes) == n_nodes
    assert feature_map_layer(nested_body, "inside").name == "inside"
    with pytest.raises(ValueError, match=r"layer='insides' is not a layer .* Similar .* inside"):
        feature_map_layer(nested_body, "insides")
    with pytest.raises(ValueError, match=r"gives no feature map .* inside, last, pooling"):
        feature_map_layer(nested_body, "scaling")
    network = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Rescaling(2.0),
            layers.Flatten(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    with pytest.raises(ValueError, match="no feature map"):
        feature_map_layer(network)

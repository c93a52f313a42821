import keras
import numpy as np
import pytest
from keras import layers

from skfer.networks import build_network
from skfer.networks._layers import feature_map_layer, run_with_feature_map


@pytest.fixture
def nested():
    """A base, a pooling and a head in a model inside another."""
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


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("cnn4", (6, 6, 512)),
        ("little_vgg", (6, 6, 256)),
        ("mini_resnet", (6, 6, 256)),
        ("mini_xception", (3, 3, 7)),
        ("plain_cnn", (12, 12, 128)),
    ],
)
def test_the_last_map_is_taken_before_it_is_pooled(name, shape):
    layer = feature_map_layer(build_network(name, (48, 48, 1), 7))
    assert layer.output.shape == (None, *shape)


def test_a_layer_in_a_model_in_a_model_is_run(nested):
    images = np.random.default_rng(0).uniform(0, 255, (5, 16, 16, 1)).astype(np.float32)
    layer = feature_map_layer(nested)
    assert layer.name == "last"
    n_nodes = len(layer._inbound_nodes)
    channels, outputs = run_with_feature_map(nested, layer, images)
    base = nested.layers[-1].layers[1]
    expected = base.layers[1](base.layers[0](images / np.float32(255)), training=False)
    np.testing.assert_allclose(channels, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(outputs, nested(images, training=False), rtol=1e-5)
    assert len(layer._inbound_nodes) == n_nodes


def test_a_layer_by_its_name(nested):
    assert feature_map_layer(nested, "inside").name == "inside"
    with pytest.raises(ValueError, match=r"layer='insides' is no layer .* Similar .* inside"):
        feature_map_layer(nested, "insides")
    with pytest.raises(ValueError, match=r"gives no feature map .* inside, last, pooling"):
        feature_map_layer(nested, "scaling")


def test_images_and_what_is_only_scaled_are_no_feature_maps():
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

import keras
import numpy as np
import pytest
from keras import layers

from skfer.networks import build_network
from skfer.networks._layers import (
    feature_extractor,
    freeze_base,
    freeze_batch_norm,
    freeze_below,
    head_layers,
)


@pytest.fixture
def nested():
    """A base, a pooling and a head in one Sequential, as many save theirs."""
    base = keras.Sequential(
        [keras.Input((16, 16, 1)), layers.Conv2D(4, 3, name="inside"), layers.BatchNormalization()],
        name="base",
    )
    head = keras.Sequential(
        [keras.Input((4,)), layers.Dense(6, name="six"), layers.Dense(3), layers.Softmax()]
    )
    return keras.Sequential([keras.Input((16, 16, 1)), base, layers.GlobalMaxPooling2D(), head])


def trained(network):
    return sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)


@pytest.mark.parametrize(
    ("name", "with_weights"), [("cnn4", 5), ("mini_resnet", 1), ("mini_xception", 1)]
)
def test_the_head_begins_after_the_last_feature_map(name, with_weights):
    head = head_layers(build_network(name, (48, 48, 1), 7))
    assert sum(bool(layer.weights) for layer in head) == with_weights


def test_models_inside_a_model_are_taken_apart(nested):
    freeze_base(nested)
    assert trained(nested) == 4 * 6 + 6 + 6 * 3 + 3
    freeze_below(nested, "inside")
    freeze_batch_norm(nested)
    assert trained(nested) == 3 * 3 * 4 + 4 + 4 * 6 + 6 + 6 * 3 + 3


def test_what_was_frozen_as_a_whole_can_be_trained_again(nested):
    nested.get_layer("base").trainable = False
    freeze_below(nested, 4)
    assert trained(nested) == 3 * 3 * 4 + 4 + 2 * 4 + 4 * 6 + 6 + 6 * 3 + 3


def test_the_last_so_many_layers_are_those_with_weights():
    network = build_network("cnn4", (48, 48, 1), 7)
    freeze_below(network, 2)
    assert [layer.name for layer in network.layers if layer.trainable and layer.weights] == [
        layer.name for layer in network.layers if layer.weights
    ][-2:]


def test_more_layers_than_there_are():
    with pytest.raises(ValueError, match="first_layer=99 is more than the 5 layers"):
        freeze_below(build_network("plain_cnn", (48, 48, 1), 2), 99)


@pytest.mark.parametrize(
    ("name", "n_features"),
    [("cnn4", 512), ("little_vgg", 64), ("mini_resnet", 256), ("mini_xception", 128)],
)
def test_features_are_what_the_last_layer_sees(name, n_features):
    network = build_network(name, (48, 48, 1), 7)
    images = np.random.default_rng(0).random((3, 48, 48, 1), np.float32)
    assert np.asarray(feature_extractor(network)(images)).shape == (3, n_features)


def test_the_last_layer_makes_the_answer_from_the_features(nested):
    images = np.random.default_rng(0).random((3, 16, 16, 1), np.float32)
    last = nested.layers[-1].layers[-2]
    answer = keras.ops.softmax(last(feature_extractor(nested)(images)))
    np.testing.assert_allclose(np.asarray(answer), np.asarray(nested(images)), rtol=1e-5)

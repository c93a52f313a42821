import numpy as np
import pytest
from _utils import small_network, tiny_network

from skfer.networks import _registry, build_network, list_networks, register_network

OWN = ["cnn4", "cnn5", "little_vgg", "mini_resnet", "mini_xception", "plain_cnn", "small_cnn"]


@pytest.mark.parametrize(
    ("name", "n_outputs", "options", "n_parameters"),
    [
        ("cnn4", 7, {}, 4_478_727),
        ("little_vgg", 5, {}, 1_328_037),
        ("mini_xception", 7, {}, 58_423),
        # Our choice of filters and units: the study states none.
        ("plain_cnn", 8, {}, 683_656),
        ("cnn5", 8, {}, 1_701_384),
        ("mini_resnet", 7, {}, 1_551_567),
        ("mini_resnet", 7, {"width": 0.5}, 390_507),
        ("small_cnn", 7, {}, 104_103),
    ],
)
def test_number_of_parameters(name, n_outputs, options, n_parameters):
    network = build_network(name, (48, 48, 1), n_outputs, **options)
    assert network.count_params() == n_parameters
    if name == "cnn4":  # all but the batch statistics
        assert sum(np.prod(w.shape) for w in network.trainable_weights) == 4_474_759


@pytest.mark.slow
@pytest.mark.parametrize("name", [*OWN, "vgg16", "resnet50v2", "inceptionv3", "efficientnetb0"])
@pytest.mark.parametrize("input_shape", [(48, 48, 1), (40, 56, 3), (1, 10, 1)])
def test_outputs_are_probabilities(name, input_shape):
    network = build_network(name, input_shape, 8)
    images = np.random.default_rng(0).random((3, *input_shape), np.float32)
    probabilities = np.asarray(network(images))
    assert probabilities.shape == (3, 8)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_activation_and_dropout():
    network = build_network("cnn4", (48, 48, 1), 7, activation="elu", dropout=0.4)
    activations = [layer.activation.__name__ for layer in network.layers if "activ" in layer.name]
    assert activations == ["elu"] * 6
    assert {layer.rate for layer in network.layers if "dropout" in layer.name} == {0.4}


def test_default_activation():
    network = build_network("little_vgg", (48, 48, 1), 5, activation=None)
    assert "elu" in {getattr(layer, "activation", str).__name__ for layer in network.layers}


def test_unknown_network():
    with pytest.raises(ValueError, match=r"'litle_vgg'.*cnn4, cnn5.*mean 'little_vgg'"):
        build_network("litle_vgg", (48, 48, 1), 7)


def test_register_network(monkeypatch):
    monkeypatch.setattr(_registry, "_REGISTERED", dict(_registry._REGISTERED))
    register_network("my_cnn", small_network)
    register_network("my_cnn", tiny_network)
    assert "my_cnn" in list_networks()
    assert build_network("my_cnn", (8, 8, 1), 2).name == "tiny_network"
    with pytest.raises(ValueError, match="'cnn4' is the name of a network of skfer"):
        register_network("cnn4", tiny_network)
    with pytest.raises(ValueError, match="letters, digits"):
        register_network("my.h5", tiny_network)
    with pytest.raises(ValueError, match="must be callable"):
        register_network("mine", "cnn4")

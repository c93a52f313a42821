import keras
import numpy as np
import pytest

from skfer._inference import OnnxBackend, OnnxNetwork
from skfer._inference._keras import export_network, prediction_function
from skfer._inference._onnx_graph import UnsupportedLayerError, build_onnx_model, read_onnx_model
from skfer.networks import build_network, list_networks
from skfer.networks._allowed_layers import NetworkLimits
from skfer.networks._description import build_described, describe_network
from skfer.networks._layers import all_layers

SMALL = ["cnn4", "cnn5", "little_vgg", "mini_resnet", "mini_xception", "plain_cnn", "small_cnn"]
# The other networks take up to a minute each.
LARGE = ["efficientnetb0", "inceptionv3", "resnet50", "resnet50v2", "vgg16"]
MARKS = {name: "slow" if name in LARGE else "zoo" for name in list_networks()}


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


def add_scaling(body):
    pixels = keras.Input(body.input_shape[1:], name="pixels")
    network = keras.Model(pixels, body(keras.layers.Rescaling(1 / 255, name="scaling")(pixels)))
    rng = np.random.default_rng(0)
    for layer in all_layers(network):
        # The initial statistics of batch normalisation, 0 and 1, would hide an error.
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([w + rng.uniform(-0.1, 0.1, w.shape) for w in layer.get_weights()])
    return network


def assert_equal_outputs(network, atol=1e-5):
    highest = 255 if "scaling" in [layer.name for layer in network.layers] else 1
    images = np.random.default_rng(0).uniform(0, highest, (3, *network.input_shape[1:]))
    images = images.astype(np.float32)
    expected = np.asarray(network(images, training=False))
    exported = export_network(network)
    np.testing.assert_allclose(OnnxBackend(exported)(images), expected, atol=atol)
    assert exported.input_shape == network.input_shape[1:]
    assert exported.output_shape == expected.shape[1:]
    return exported


@pytest.mark.parametrize(
    "name",
    [
        name if name in SMALL else pytest.param(name, marks=getattr(pytest.mark, MARKS[name]))
        for name in list_networks()
    ],
)
def test_networks(name):
    shape = (48, 48, 1) if name in SMALL else (75, 75, 3)
    assert_equal_outputs(add_scaling(build_network(name, shape, 7)))


def test_small_images_activations_and_views():
    for name in ["small_cnn", "mini_xception"]:
        assert_equal_outputs(add_scaling(build_network(name, (10, 12, 3), 3)))
    names = ["elu", "gelu", "leaky_relu", "relu6", "selu", "swish"]
    layers = [keras.layers.Conv2D(4, 3, activation=name) for name in names]
    layers += [keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]
    assert_equal_outputs(keras.Sequential([keras.Input((24, 24, 1)), *layers]))
    network = add_scaling(build_network("mini_xception", (24, 24, 1), 3))
    images = np.random.default_rng(0).uniform(0, 255, (5, 24, 24, 1)).astype(np.float32)
    for views in ["flip", "ten"]:
        expected = np.asarray(prediction_function(network, views)(images))
        outputs = OnnxBackend(export_network(network), views)(images)
        np.testing.assert_allclose(outputs, expected, atol=1e-6)


LAYERS = {
    "padding": [keras.layers.ZeroPadding2D(((1, 2), (0, 3))), keras.layers.Conv2D(4, 3, strides=2)],
    "cropping": [
        keras.layers.Cropping2D(((1, 2), (0, 3))),
        keras.layers.AveragePooling2D(3, 2, "same"),
    ],
    "groups": [
        keras.layers.Conv2D(6, 3, groups=3, dilation_rate=2, padding="same", use_bias=False)
    ],
    "depthwise": [keras.layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2, padding="same")],
    "separable": [keras.layers.SeparableConv2D(5, (3, 5), padding="same", activation="relu")],
    "parametric": [keras.layers.PReLU(shared_axes=(1, 2)), keras.layers.LeakyReLU(0.3)],
    "upsampling": [keras.layers.UpSampling2D((2, 3)), keras.layers.ELU(0.5)],
    "resized": [keras.layers.ZeroPadding2D(((15, 16), (0, 0))), keras.layers.Resizing(1, 9)],
    "limited": [keras.layers.ReLU(max_value=2.0, negative_slope=0.0)],
    "normalized": [
        keras.layers.LayerNormalization(),
        keras.layers.GlobalMaxPooling2D(keepdims=True),
    ],
    "reshaped": [keras.layers.Reshape((5, -1, 6)), keras.layers.Dense(4, "tanh")],
}


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_layers(layers):
    network = keras.Sequential([keras.Input((10, 15, 3)), *map(copy_layer, layers)])
    if "Reshape" in [type(layer).__name__ for layer in layers]:
        network = keras.Sequential([keras.Input((10, 9, 1)), *map(copy_layer, layers)])
    network.add(keras.layers.Flatten())
    network.add(keras.layers.Dense(3, activation="softmax"))
    assert_equal_outputs(network)


def copy_layer(layer):
    return type(layer).from_config(layer.get_config())


def test_merged_branches_and_nested_models():
    inner = keras.Sequential([keras.Input((8, 8, 4)), keras.layers.Conv2D(4, 3, padding="same")])
    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 1)(images)
    y = inner(x)
    merged = [
        keras.layers.Add()([x, y]),
        keras.layers.Average()([x, y]),
        keras.layers.Subtract()([x, y]),
        keras.layers.Maximum()([x, y]),
        keras.layers.Multiply()([x, keras.layers.GlobalAveragePooling2D(keepdims=True)(y)]),
    ]
    x = keras.layers.Concatenate()(merged)
    x = keras.layers.Concatenate(axis=1)([x, x])
    outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(x))
    assert_equal_outputs(keras.Model(images, keras.ops.take(outputs, [2, 0, 1], axis=-1)))


def test_features_and_rebuilt_network():
    network = add_scaling(build_network("little_vgg", (24, 24, 1), 3))
    images = np.random.default_rng(0).uniform(0, 255, (4, 24, 24, 1)).astype(np.float32)
    features = OnnxBackend(export_network(network), features=True)(images)
    kernel, bias = network.layers[-1].layers[-1].get_weights()
    logits = features @ kernel + bias
    expected = np.log(np.asarray(network(images, training=False)))
    np.testing.assert_allclose(
        logits - logits.mean(1, keepdims=True),
        expected - expected.mean(1, keepdims=True),
        atol=1e-4,
    )
    network = add_scaling(build_network("mini_xception", (24, 24, 1), 3))
    rebuilt = build_described(*export_network(network).read())
    images = np.random.default_rng(0).uniform(0, 255, (3, 24, 24, 1)).astype(np.float32)
    np.testing.assert_array_equal(rebuilt(images), network(images))
    assert [layer.name for layer in rebuilt.layers] == [layer.name for layer in network.layers]


def test_shared_layers_and_limits():
    body = build_network("small_cnn", (24, 24, 1), 3)
    other = keras.models.clone_model(body)
    other.set_weights([*body.get_weights()[:-2], *(w + 0.1 for w in body.get_weights()[-2:])])
    networks = {"one": describe_network(body), "two": describe_network(other)}
    shared = build_onnx_model(networks, half_precision=True)
    single = build_onnx_model({"one": networks["one"]}, half_precision=True)
    assert len(shared) < 1.2 * len(single)
    assert len(single) < 0.6 * len(build_onnx_model({"one": networks["one"]}))
    for name, network in (("one", body), ("two", other)):
        images = np.random.default_rng(0).uniform(0, 1, (3, 24, 24, 1)).astype(np.float32)
        outputs = OnnxBackend(OnnxNetwork(shared, name))(images)
        np.testing.assert_allclose(outputs, network(images, training=False), atol=1e-3)
        _, arrays = read_onnx_model(shared, name)
        for array, weights in zip(arrays, network.get_weights(), strict=True):
            np.testing.assert_allclose(array, weights, rtol=1e-3, atol=1e-6)
    images = keras.Input((64, 64, 1))
    x = keras.layers.UpSampling2D(64)(images)
    x = keras.layers.UpSampling2D(2)(x)
    network = keras.Model(images, keras.layers.GlobalAveragePooling2D()(x))
    description = {"network": describe_network(network)}
    assert build_onnx_model(description)
    with pytest.raises(ValueError, match="exceeds the limit"):
        build_onnx_model(description, limits=NetworkLimits())


@pytest.mark.parametrize(
    ("layer", "problem"),
    [
        (keras.layers.Lambda(lambda x: x), "Lambda"),
        (keras.layers.Conv2DTranspose(3, 2), "Conv2DTranspose"),
        (keras.layers.UpSampling2D(2, interpolation="bilinear"), "bilinear"),
        (keras.layers.Activation("mish"), "mish"),
    ],
)
def test_unsupported_layers(layer, problem):
    network = keras.Sequential([keras.Input((8, 8, 1)), layer, keras.layers.Flatten()])
    with pytest.raises(ValueError, match=problem):
        export_network(network)


def test_unknown_classes_and_damaged_layers():
    for kind in ["merge", "weight", "stored", "__class__", "convolution"]:
        entry = {"name": "x", "class": kind, "settings": {}, "weights": [], "from": ["images"]}
        start = {"name": "images", "class": "InputLayer", "shape": [8, 8, 1], "dtype": "float32"}
        description = {"class": "Functional", "name": "n", "layers": [start, entry]}
        description |= {"input": "images", "output": "x"}
        with pytest.raises(UnsupportedLayerError, match="the layer 'x'"):
            build_onnx_model({"network": (description, [])})
    for settings, n_biases, problem in [
        ({}, 3, "bias"),
        ({"dilation_rate": 0}, 1, "dilation"),
        ({"strides": 0}, 1, "strides"),
    ]:
        network = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3)])
        description, (kernel, bias) = describe_network(network)
        (entry,) = description["layers"]
        entry["settings"] |= settings
        entry["weights"] = [0, *[1] * n_biases]
        with pytest.raises(UnsupportedLayerError, match=problem):
            build_onnx_model({"network": (description, [kernel, bias])})

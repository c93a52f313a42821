from types import SimpleNamespace

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from keras import layers
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline

from skfer import FacialExpressionClassifier
from skfer.inspection import layer_table, plot_network
from skfer.networks import build_network

TIMES, DASH = "\N{MULTIPLICATION SIGN}", "\N{EN DASH}"


def residual_network():
    """Two residual blocks, the second with a projection."""
    inputs = keras.Input((16, 16, 1))
    x = layers.Conv2D(8, 3, padding="same")(inputs)
    for filters in (8, 16):
        y = layers.Conv2D(filters, 3, padding="same")(x)
        y = layers.BatchNormalization()(y)
        y = layers.ReLU()(y)
        y = layers.Conv2D(filters, 3, padding="same")(y)
        if filters != x.shape[-1]:
            x = layers.Conv2D(filters, 1, use_bias=False)(x)
        x = layers.Activation("relu")(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x), name="residual")


def add_scaling(body):
    pixels = keras.Input(body.input_shape[1:])
    return keras.Model(pixels, body(layers.Rescaling(1 / 255)(pixels)))


def labels(display):
    return [text.get_text() for text in display.text_]


def test_layer_table():
    network = build_network("little_vgg", (32, 32, 3), 5)
    table = layer_table(network)
    assert table.columns.tolist() == ["layer", "type", "output_shape", "parameters", "trainable"]
    assert table["layer"].tolist() == [layer.name for layer in network.layers]
    assert table["output_shape"].iloc[[0, -1]].tolist() == [(32, 32, 3), (5,)]
    assert table["parameters"].sum() == network.count_params()
    normalization = table[table["type"] == "BatchNormalization"]
    # Half of its parameters are moving statistics.
    assert (normalization["trainable"] * 2 == normalization["parameters"]).all()


def test_layer_table_of_a_name():
    table = layer_table("cnn4", input_shape=(64, 64, 3), n_outputs=8)
    assert table["output_shape"].iloc[[0, -1]].tolist() == [(64, 64, 3), (8,)]


def test_frozen_layers_in_the_table(small_network):
    network = small_network((16, 16, 1), 3)
    network.get_layer("first").trainable = False
    table = layer_table(network).set_index("layer")
    assert table.loc["first", "trainable"] == 0 < table.loc["first", "parameters"]
    assert table.loc["second", "trainable"] == table.loc["second", "parameters"]


@pytest.mark.parametrize("wrap", [lambda e: e, lambda e: Pipeline([("c", e)])])
def test_scaling_of_an_estimator_is_left_out(small_network, wrap):
    body = small_network((16, 16, 1), 3)
    estimator = wrap(SimpleNamespace(network_=add_scaling(body)))
    assert layer_table(estimator).equals(layer_table(body))
    assert labels(plot_network(estimator)) == labels(plot_network(body))


def test_boxes(small_network):
    display = plot_network(small_network((16, 16, 1), 3, dropout=0.25))
    assert labels(display) == [
        "Input",
        f"Conv 4, 3{TIMES}3, stride 2 {DASH} BatchNorm {DASH} ReLU",
        f"Conv 8, 3{TIMES}3, stride 2 {DASH} BatchNorm {DASH} ReLU",
        f"GlobalAveragePooling {DASH} Dropout 0.25",
        "Dense 3, softmax",
    ]
    assert display.arcs_ == []
    texts = [text.get_text() for text in display.ax_.texts]
    assert f"8{TIMES}8{TIMES}4" in texts
    assert "small_network: 411 parameters" in texts
    assert display.figure_ is display.ax_.figure


def test_shortcuts():
    display = plot_network(residual_network())
    kinds = [line.kind for line in display.lines]
    shortcuts = [
        (kinds[source], kinds[row])
        for row, line in enumerate(display.lines)
        for source in line.inputs
        if row - source > 1
    ]
    # The first block has an arc from its input to its sum. The second block, drawn below its
    # projection, has one from its input to its first convolution and one from the projection.
    assert shortcuts == [
        ("convolution", "merge"),
        ("merge", "convolution"),
        ("convolution", "merge"),
    ]
    assert len(display.arcs_) == 3


def test_nested_networks(tiny_network):
    inputs = keras.Input((16, 16, 1))
    features = tiny_network((16, 16, 1), 6)(inputs)
    network = keras.Model(inputs, layers.Dense(3, activation="softmax")(features))
    display = plot_network(network)
    assert labels(display) == ["Input", "tiny_network (3 layers)", "Dense 3, softmax"]
    assert display.lines[1].parameters == 40 + (8 * 8 * 4 + 1) * 6


def test_operations_on_tensors():
    inputs = keras.Input((4,))
    network = keras.Model(inputs, layers.Dense(2)(inputs + layers.Dense(4)(inputs)))
    display = plot_network(network)
    assert labels(display) == ["Input", "Dense 4", "Add", "Dense 2"]
    assert display.lines[2].inputs == (0, 1)


def test_subclassed_networks():
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__(name="subclassed")
            self.hidden = layers.Dense(4, activation="relu")
            self.out = layers.Dense(2)

        def call(self, x):
            return self.out(self.hidden(x))

    network = Subclassed()
    network(np.zeros((1, 3), np.float32))
    display = plot_network(network)
    assert labels(display) == ["Dense 4, relu", "Dense 2"]
    assert [line.parameters for line in display.lines] == [16, 10]
    assert layer_table(network)["output_shape"].isna().all()


@pytest.mark.slow
@pytest.mark.parametrize("make", [residual_network, lambda: "cnn4", lambda: "little_vgg"])
@pytest.mark.parametrize("small", [False, True])
def test_text_does_not_overlap(make, small):
    axis = plt.subplots(1, 2, figsize=(8, 5), layout="constrained")[1][0] if small else None
    display = plot_network(make(), axis)
    display.figure_.canvas.draw()
    boxes = [patch.get_window_extent() for patch in display.ax_.patches]
    for text in display.text_:
        extent = text.get_window_extent()
        assert any(
            box.x0 < extent.x0 and extent.x1 < box.x1 and box.y0 < extent.y0 and extent.y1 < box.y1
            for box in boxes
        )
    area = display.ax_.get_window_extent()
    texts = [text.get_window_extent() for text in display.ax_.texts if text.get_text()]
    assert not any(a.overlaps(b) for i, a in enumerate(texts) for b in texts[:i])
    for extent in [*texts, *(arc.get_window_extent() for arc in display.arcs_)]:
        assert area.x0 - 1 <= extent.x0
        assert extent.x1 <= area.x1 + 1
        assert extent.y1 <= area.y1 + 1


@pytest.mark.parametrize("function", [layer_table, plot_network])
def test_invalid_networks(function):
    with pytest.raises(ValueError, match=r"Unknown network 'little_vg'.*Did you mean 'little_vgg'"):
        function("little_vg")
    with pytest.raises(ValueError, match=r"network is of type int; it must be a keras\.Model"):
        function(4)
    with pytest.raises(NotFittedError, match="FacialExpressionClassifier has no network_"):
        function(FacialExpressionClassifier())
    with pytest.raises(ValueError, match="'unbuilt' is not built"):
        function(keras.Sequential([layers.Dense(2)], name="unbuilt"))

import keras
import numpy as np
import pytest

from skfer import FacialExpressionClassifier
from skfer._training._callbacks import WeightAverage


@pytest.fixture
def regression():
    network = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")]
    )
    network.compile(keras.optimizers.SGD(0.1), "mse")
    return network, np.ones((8, 1), np.float32), np.full((8, 1), 3.0, np.float32)


class WeightLog(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.after_batches, self.after_epochs = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.after_batches.append(float(self.model.get_weights()[0][0, 0]))

    def on_epoch_end(self, epoch, logs=None):
        self.after_epochs.append(float(self.model.get_weights()[0][0, 0]))


def average(weights, decay):
    mean = 0.0
    for step, weight in enumerate(weights, start=1):
        mean += (1 - min(decay, (1 + step) / (10 + step))) * (weight - mean)
    return mean


def test_averaged_weights(regression):
    network, X, y = regression
    log = WeightLog()
    network.fit(X, y, batch_size=2, epochs=3, callbacks=[WeightAverage(0.9), log], verbose=0)
    assert len(log.after_batches) == 12
    assert log.after_epochs[0] == pytest.approx(average(log.after_batches[:4], 0.9), rel=1e-5)
    assert network.get_weights()[0][0, 0] == pytest.approx(
        average(log.after_batches, 0.9), rel=1e-5
    )
    plain = keras.models.clone_model(network)
    plain.set_weights([np.zeros((1, 1))])
    plain.compile(keras.optimizers.SGD(0.1), "mse")
    plain.fit(X, y, batch_size=2, epochs=3, verbose=0)
    assert log.after_batches[-1] == pytest.approx(float(plain.get_weights()[0][0, 0]), rel=1e-5)


def test_continued_average(regression):
    network, X, y = regression
    whole, first = WeightAverage(0.9), WeightAverage(0.9)
    network.fit(X, y, batch_size=2, epochs=4, shuffle=False, callbacks=[whole], verbose=0)
    expected = network.get_weights()[0]
    network.set_weights([np.zeros((1, 1))])
    network.fit(X, y, batch_size=2, epochs=2, shuffle=False, callbacks=[first], verbose=0)
    second = WeightAverage(0.9, first.state)
    network.fit(X, y, batch_size=2, epochs=2, shuffle=False, callbacks=[second], verbose=0)
    assert network.get_weights()[0] == pytest.approx(expected, rel=1e-5)


def test_validation_of_the_average(regression):
    network, X, y = regression
    history = network.fit(
        X, y, validation_data=(X, y), callbacks=[WeightAverage(0.99)], verbose=0
    ).history
    assert history["val_loss"][0] == pytest.approx(
        (3 - network.get_weights()[0][0, 0]) ** 2, rel=1e-4
    )


@pytest.mark.slow
def test_tensorboard(faces, tiny_network, tmp_path):
    pytest.importorskip("tensorboard")
    FacialExpressionClassifier(
        tiny_network,
        epochs=2,
        validation_fraction=0.2,
        random_state=0,
        callbacks=[keras.callbacks.TensorBoard(tmp_path)],
    ).fit(faces.images, faces.labels)
    assert {path.parent.name for path in tmp_path.rglob("events*")} == {"train", "validation"}


@pytest.mark.slow
def test_livelossplot(faces, tiny_network, tmp_path):
    pytest.importorskip("matplotlib").use("Agg")
    livelossplot = pytest.importorskip("livelossplot")
    from livelossplot.outputs import MatplotlibPlot

    path = tmp_path / "curves.png"
    plot = livelossplot.PlotLossesKeras(outputs=[MatplotlibPlot(figpath=str(path))])
    FacialExpressionClassifier(
        tiny_network, epochs=2, validation_fraction=0.2, random_state=0, callbacks=[plot]
    ).fit(faces.images, faces.labels)
    assert path.stat().st_size > 1000

import keras
import numpy as np
import pytest

from skfer import FacialExpressionClassifier
from skfer.datasets import make_faces


@pytest.fixture(scope="module")
def faces():
    return make_faces(60, classes=["happy", "sad"], random_state=0)


class StepCounter(keras.callbacks.Callback):
    steps = 0

    def on_train_batch_end(self, batch, logs=None):
        StepCounter.steps += 1


@pytest.mark.slow
@pytest.mark.parametrize(("share", "votes"), [(True, None), (0.5, None), (True, [5, 5])])
def test_oversampling(share, votes, faces, tiny_network):
    rows = np.r_[np.flatnonzero(faces.labels == "happy")[:4], np.flatnonzero(faces.labels == "sad")]
    StepCounter.steps = 0
    classifier = FacialExpressionClassifier(
        tiny_network,
        epochs=1,
        batch_size=1,
        oversample=share,
        vote_mode="multi_target",
        random_state=0,
        callbacks=[StepCounter()],
    )
    votes = None if votes is None else np.tile(votes, (len(rows), 1))
    classifier.fit(faces.images[rows], faces.labels[rows], votes=votes)
    n_sad = len(rows) - 4
    assert StepCounter.steps == n_sad + share * n_sad
    assert classifier.n_iter_ == 1


@pytest.mark.slow
def test_network_params_and_tensorboard(faces, tiny_network, tmp_path):
    classifier = FacialExpressionClassifier(
        "vgg16",
        network_params={"dense_units": 16},
        epochs=1,
        fine_tune={"frozen_epochs": 1},
        random_state=0,
    ).fit(faces.images[:6], faces.labels[:6])
    assert classifier.network_.layers[-1].layers[-2].units == 16
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

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skfer import FacialAffectRegressor, FacialExpressionClassifier
from skfer._training import _callbacks, count_epochs
from skfer.datasets import make_faces


@pytest.fixture(scope="module")
def faces():
    return make_faces(60, classes=["happy", "sad", "surprise"], random_state=0)


def network_body(classifier):
    return classifier.network_.layers[-1]


def last_rate(classifier):
    return float(classifier.network_.optimizer.learning_rate)


class TestNetwork:
    @pytest.mark.slow
    def test_network_and_number_of_epochs(self, faces, small_network, tmp_path, tiny_network):
        classifier = FacialExpressionClassifier(epochs=1, random_state=0)
        assert network_body(classifier.fit(faces.images, faces.labels)).name == "small_cnn"
        path = tmp_path / "faces.keras"
        small_network((48, 48, 1), 3).save(path)
        with pytest.raises(ValueError, match="give the path as network"):
            FacialExpressionClassifier(weights=path).fit(faces.images, faces.labels)
        classifier = FacialExpressionClassifier(tiny_network, random_state=0)
        assert classifier.fit(faces.images, faces.labels).n_iter_ == 80

    @pytest.mark.slow
    @pytest.mark.parametrize("estimator", [FacialExpressionClassifier, FacialAffectRegressor])
    def test_weights_determine_the_network(self, estimator, faces):
        y = faces.labels if estimator is FacialExpressionClassifier else faces.valence
        fitted = estimator(
            weights="fer2013", epochs=1, fine_tune={"frozen_epochs": 1}, random_state=0
        )
        assert network_body(fitted.fit(faces.images, y)).name == "mini_resnet"

    @pytest.mark.slow
    def test_frozen_classifier_determines_network_and_options(self, faces):
        settings = {"epochs": 1, "random_state": 0}
        first = FacialExpressionClassifier("plain_cnn", dropout=0.25, **settings)
        first.fit(faces.images, faces.labels)
        second = FacialExpressionClassifier(weights=FrozenEstimator(first), **settings)
        third = FacialExpressionClassifier(weights=FrozenEstimator(second), **settings)
        for classifier in (second, third):
            classifier.fit(faces.images, faces.labels)
            (dropout,) = (
                layer for layer in network_body(classifier).layers if "dropout" in layer.name
            )
            assert (network_body(classifier).name, dropout.rate) == ("plain_cnn", 0.25)

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            ("imagenet", "such as network='vgg16'"),
            ("fer2012", "may be one of .*fer2013"),
            (FrozenEstimator(FacialExpressionClassifier()), "no fitted network"),
        ],
    )
    def test_invalid_weights(self, weights, message, faces):
        with pytest.raises(ValueError, match=message):
            FacialExpressionClassifier(weights=weights).fit(faces.images, faces.labels)


@pytest.mark.parametrize(
    ("from_weights", "epochs", "expected"),
    [
        (False, None, {1: 80, 200: 80, 1_000: 28, 2_000: 14, 28_558: 12}),
        (True, None, {15: 30, 200: 10, 2_000: 5}),
        (False, 3, {28_558: 3}),
    ],
)
def test_number_of_epochs(from_weights, epochs, expected):
    for n_images, n_epochs in expected.items():
        assert count_epochs(n_images, epochs, from_weights, frozen_epochs=None) == n_epochs


class TestPhases:
    settings = {"random_state": 0, "learning_rate": 0.01}

    @pytest.fixture
    def start(self, faces, small_network):
        classifier = FacialExpressionClassifier(small_network, epochs=1, **self.settings)
        return FrozenEstimator(classifier.fit(faces.images, faces.labels))

    @pytest.mark.slow
    def test_frozen_epochs(self, faces, start):
        tuned = FacialExpressionClassifier(
            weights=start, epochs=6, schedule=None, **self.settings
        ).fit(faces.images, faces.labels)
        assert tuned.fine_tune_epoch_ == 2
        assert last_rate(tuned) == pytest.approx(0.001)
        unfrozen = {"fine_tune": {"frozen_epochs": 0}, "schedule": None, **self.settings}
        again = FacialExpressionClassifier(weights=start, epochs=1, **unfrozen)
        again.fit(faces.images, faces.labels)
        assert again.fine_tune_epoch_ is None
        assert last_rate(again) == pytest.approx(0.01)

    @pytest.mark.slow
    def test_schedules(self, faces, tiny_network):
        classifier = FacialExpressionClassifier(
            tiny_network, learning_rate=0.01, epochs=2, random_state=0
        )
        assert last_rate(clone(classifier).fit(faces.images, faces.labels)) < 0.001
        classifier.partial_fit(faces.images, faces.labels, classes=np.unique(faces.labels))
        assert last_rate(classifier) == pytest.approx(0.01)
        decay = keras.optimizers.schedules.ExponentialDecay(0.1, 1000, 0.9)
        for parameters in ({"reduce_lr": True}, {"optimizer": keras.optimizers.SGD(decay)}):
            classifier = FacialExpressionClassifier(
                tiny_network, epochs=1, random_state=0, **parameters
            ).fit(faces.images, faces.labels)
            assert last_rate(classifier) > 5e-4

    @pytest.mark.slow
    def test_few_images(self):
        faces = make_faces(120, classes=["happy", "angry"], random_state=0)
        labels = np.where(faces.labels == "happy", "glad", "cross")
        train = np.concatenate([np.flatnonzero(labels == name)[:5] for name in ("glad", "cross")])
        test = np.setdiff1d(np.arange(120), train)
        classifier = FacialExpressionClassifier(weights="fer2013", random_state=0)
        classifier.fit(faces.images[train], labels[train])
        assert classifier.score(faces.images[test], labels[test]) > 0.8


class TestFitReport:
    @pytest.fixture
    def long_fit(self, monkeypatch):
        monkeypatch.setattr("skfer._training.LONG_FIT", 0)

    def fit(self, faces, network, **parameters):
        classifier = FacialExpressionClassifier(network, epochs=3, random_state=0, **parameters)
        return classifier.fit(faces.images, faces.labels)

    def test_short_or_quiet_fit_is_silent(self, faces, tiny_network, capfd, monkeypatch):
        self.fit(faces, tiny_network)
        assert capfd.readouterr().out == ""
        monkeypatch.setattr("skfer._training.LONG_FIT", 0)
        self.fit(faces, tiny_network, verbose=0)
        assert capfd.readouterr().out == ""

    @pytest.mark.slow
    def test_long_fit_prints_time_and_progress(self, faces, tiny_network, capfd, long_fit):
        self.fit(faces, tiny_network, validation_fraction=0.2)
        first, *lines = capfd.readouterr().out.splitlines()
        assert "48 images for 3 epochs takes about" in first
        assert [line.partition(":")[0] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
        assert "val_accuracy" in lines[0]
        assert "left" in lines[1]
        self.fit(faces, tiny_network, fine_tune={"frozen_epochs": 1})
        out = capfd.readouterr().out
        assert out.count("takes about") == 1
        assert "epoch 3/3" in out

    @pytest.mark.parametrize("verbose", [1, 2])
    def test_keras_prints_progress(self, verbose, faces, tiny_network, capfd, long_fit):
        self.fit(faces, tiny_network, verbose=verbose)
        out = capfd.readouterr().out
        assert out.count("takes about") == 1
        assert "Epoch 3/3" in out
        assert "epoch 3/3" not in out

    @pytest.mark.parametrize(
        ("n_steps", "n_timed", "epochs", "ticks", "printed"),
        [
            # Steps of a second, after 30 s for the first.
            (100, 6, 2, [0.0, 0.0, 30.0, *range(31, 40)], "for 2 epochs takes about 3 min"),
            # A short fit with a slow start: 20 s for the first step.
            (2, 2, 10, [0.0, 0.0, 20.0, *[21.0] * 4, 22.0, *[23.0] * 3], ""),
        ],
    )
    def test_estimate_excludes_tracing(
        self, monkeypatch, capfd, n_steps, n_timed, epochs, ticks, printed
    ):
        clock = iter(ticks)
        monkeypatch.setattr(_callbacks.time, "perf_counter", lambda: next(clock))
        monkeypatch.setattr("skfer._training.LONG_FIT", 60)
        report = _callbacks.LongFitReport(3_200, [False] * epochs)
        report.set_params({"steps": n_steps})
        report.on_train_begin()
        for epoch in range(1 if printed else 2):
            report.on_epoch_begin(epoch)
            for batch in range(n_timed):
                report.on_train_batch_end(batch)
            if not printed:
                report.on_epoch_end(epoch)
        out = capfd.readouterr().out
        assert printed in out
        assert bool(out) == bool(printed)

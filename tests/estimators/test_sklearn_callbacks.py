import numpy as np
import pytest
from sklearn.metrics import accuracy_score, mean_squared_error
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skfer import FacialAffectRegressor, FacialExpressionClassifier, GrayscaleResizer
from skfer.datasets import make_faces

callback = pytest.importorskip("sklearn.callback", reason="new in scikit-learn 1.9")


class Recorder:
    max_propagation_depth = None

    def __init__(self, stop_after=None):
        self.ended = []
        self.stop_after = stop_after

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, *, metadata=None, **_):
        pass

    def on_fit_task_end(self, estimator, context, *, metadata=None, fitted_estimator=None, **_):
        if context.task_name != "epoch":
            return False
        self.ended.append(None if fitted_estimator is None else fitted_estimator.history_)
        return len(self.ended) == self.stop_after


@pytest.fixture
def faces():
    return make_faces(30, classes=["happy", "sad"], random_state=0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The estimator GrayscaleResizer does not support callbacks")
def test_callbacks_of_a_search(faces, tiny_network):
    recorder = Recorder()
    pipeline = Pipeline(
        [
            ("resizer", GrayscaleResizer(32)),
            ("classifier", FacialExpressionClassifier(tiny_network, epochs=3, random_state=0)),
        ]
    )
    search = GridSearchCV(pipeline, {"classifier__learning_rate": [1e-3, 1e-2]}, cv=2)
    search.set_callbacks(recorder)
    search.fit(faces.images, faces.labels)
    assert len(recorder.ended) == 3 * (2 * 2 + 1)
    pytest.importorskip("rich")
    monitor = callback.ScoringMonitor(scoring="accuracy")
    classifier = FacialExpressionClassifier(tiny_network, epochs=2, random_state=0)
    classifier.set_callbacks(monitor)
    pipeline = Pipeline([("resizer", GrayscaleResizer(32)), ("classifier", classifier)])
    search = GridSearchCV(pipeline, {"classifier__learning_rate": [1e-3]}, cv=2)
    search.set_callbacks(callback.ProgressBar()).fit(faces.images, faces.labels)
    epochs = [row for log in monitor.get_logs("all") for row in log.data]
    assert sum(row["task_name"] == "epoch" for row in epochs) == 2 * (2 + 1)


def test_stop_and_progress_bar(faces, tiny_network, capsys):
    recorder = Recorder(stop_after=2)
    classifier = FacialExpressionClassifier(tiny_network, epochs=5, random_state=0)
    classifier.set_callbacks(recorder).fit(faces.images, faces.labels)
    assert classifier.n_iter_ == 2
    losses = [history["loss"] for history in recorder.ended]
    assert losses == [classifier.history_["loss"][:1], classifier.history_["loss"]]
    pytest.importorskip("rich")
    classifier = FacialExpressionClassifier(tiny_network, epochs=2, random_state=0)
    classifier.set_callbacks(callback.ProgressBar()).fit(faces.images, faces.labels)
    assert "100%" in capsys.readouterr().out
    assert not any("callback_fit" in name or "task" in name for name in vars(classifier))


def epoch_scores(monitor, name):
    return [row[name] for row in monitor.get_logs().data if row["task_name"] == "epoch"]


@pytest.mark.slow
def test_scoring_monitor(faces, tiny_network):
    monitor = callback.ScoringMonitor(scoring=["accuracy", "neg_log_loss"])
    classifier = FacialExpressionClassifier(
        tiny_network,
        epochs=3,
        fine_tune={"frozen_epochs": 1},
        validation_fraction=0.2,
        random_state=0,
    )
    classifier.set_callbacks(monitor).fit(faces.images, faces.labels)
    scores = epoch_scores(monitor, "accuracy")
    assert len(scores) == 3
    assert scores[-1] == accuracy_score(faces.labels, classifier.predict(faces.images))
    assert len(epoch_scores(monitor, "neg_log_loss")) == 3
    weights = np.random.default_rng(0).random(len(faces.labels))
    monitor = callback.ScoringMonitor(scoring="accuracy")
    classifier = FacialExpressionClassifier(tiny_network, epochs=2, random_state=0)
    classifier.set_callbacks(monitor)
    classifier.fit(faces.images, faces.labels, sample_weight=weights)
    expected = accuracy_score(faces.labels, classifier.predict(faces.images), sample_weight=weights)
    assert epoch_scores(monitor, "accuracy")[-1] == pytest.approx(expected)
    monitor = callback.ScoringMonitor(scoring="neg_mean_squared_error")
    regressor = FacialAffectRegressor(tiny_network, epochs=2, random_state=0, warm_start=True)
    regressor.set_callbacks(monitor)
    for _ in range(2):
        regressor.fit(faces.images, faces.valence)
    scores = epoch_scores(monitor, "neg_mean_squared_error")
    assert len(scores) == 2
    expected = mean_squared_error(faces.valence, regressor.predict(faces.images))
    assert scores[-1] == pytest.approx(-expected, rel=1e-5)

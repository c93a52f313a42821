"""scikit-learn's own callbacks hear of every epoch."""

from __future__ import annotations

import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skfer import FacialExpressionClassifier, GrayscaleResizer
from skfer.datasets import make_faces

pytest.importorskip("sklearn.callback", reason="new in scikit-learn 1.9")


class Recorder:
    """A callback that scikit-learn hands down to inner estimators."""

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
        self.ended.append(metadata)
        return len(self.ended) == self.stop_after


@pytest.fixture
def faces():
    return make_faces(30, classes=["happy", "sad"], random_state=0)


@pytest.mark.filterwarnings("ignore:The estimator GrayscaleResizer does not support callbacks")
def test_every_epoch_of_a_search_is_told(faces, tiny_network):
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


def test_a_callback_sees_the_figures_and_can_stop_the_fit(faces, tiny_network):
    recorder = Recorder(stop_after=2)
    classifier = FacialExpressionClassifier(tiny_network, epochs=5, random_state=0)
    classifier.set_callbacks(recorder).fit(faces.images, faces.labels)
    assert classifier.n_iter_ == 2
    assert [told["loss"] for told in recorder.ended] == pytest.approx(classifier.history_["loss"])


def test_a_progress_bar_runs_and_leaves_nothing_behind(faces, tiny_network, capsys):
    from sklearn.callback import ProgressBar

    pytest.importorskip("rich")
    classifier = FacialExpressionClassifier(tiny_network, epochs=2, random_state=0)
    classifier.set_callbacks(ProgressBar()).fit(faces.images, faces.labels)
    assert "100%" in capsys.readouterr().out
    assert not any("callback_fit" in name or "task" in name for name in vars(classifier))

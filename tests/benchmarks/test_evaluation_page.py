import importlib
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Bunch

from skfer.datasets import load_image_folder, make_faces

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CLASSES = ["happy", "sad", "surprise"]


class RandomClassifier(ClassifierMixin, BaseEstimator):
    def __init__(self, classes):
        self.classes = classes
        self.classes_ = np.array(classes)

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return np.random.default_rng(0).dirichlet(np.ones(len(self.classes)), len(X))


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("evaluation")


@pytest.fixture(scope="module")
def results(script):
    faces = make_faces(180, classes=CLASSES, random_state=0)
    training = Bunch(images=faces.images[:60], labels=faces.labels[:60], row=np.arange(60) + 1000)
    test = Bunch(images=faces.images[20:], labels=faces.labels[20:], row=np.arange(160) + 5000)
    classes = [*CLASSES, "contempt"]
    voted = Bunch(images=test.images[::2], labels=np.resize(classes, 80))
    models = {"three": RandomClassifier(CLASSES), "four": RandomClassifier(classes)}
    return script.measure(training, test, voted, models, people=2, n_splits=4), training, test


@pytest.mark.slow
def test_leaks(results):
    (figures, _), _, _ = results
    leaks = figures["leaks"]
    assert leaks["counts"]["copy"] == 40
    assert leaks["pairs"][:2] == ["5000 1020 copy 1.000", "5001 1021 copy 1.000"]
    (gap,) = figures["leak_gaps"]
    assert gap["model"] == "three"
    assert gap["gap"] == pytest.approx(abs(gap["leaked"] - gap["unseen"]), abs=2e-4)


def test_matrix_and_drawn_faces(results, script, tmp_path):
    (figures, _), _, _ = results
    assert len(figures["matrix"]) == 2 * 4 * 3
    drawn = [row for row in figures["matrix"] if row["dataset"] == "drawn, as CK+"]
    assert {row["groups"] for row in drawn} == {6, 8}
    assert {row["images"] for row in drawn} == {18, 24}
    data = load_image_folder(script.write_drawn_faces(tmp_path, people=1), names="ck+")
    assert len(data.paths) == 24
    assert sorted(set(data.subjects)) == [f"S{number:03d}" for number in range(8)]
    assert len(set(data.clips)) == 8
    assert sorted(set(data.frames.tolist())) == [1, 2, 3]


@pytest.mark.slow
def test_page_and_pictures(script, results, tmp_path, monkeypatch, figures_in_memory):
    (figures, pictures), training, test = results
    script.draw(training=training, test=test, docs=tmp_path, build=tmp_path / "build", **pictures)
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")}
    assert written >= {
        "images/cross_dataset.png",
        "images/prediction_sets.png",
        "build/leaks_copy.png",
    }
    monkeypatch.setattr(script._results, "read", lambda name: figures)
    monkeypatch.setattr("sys.argv", ["evaluation.py", "--again", "--docs", str(tmp_path)])
    script.main()
    text = (tmp_path / "evaluation.md").read_text()
    assert "| copy | 40 |" in text
    assert "- 3 labels: happy, sad, surprise" in text
    assert "means over 4 such splits" in text
    for picture in ("images/cross_dataset.png", "images/prediction_sets.png"):
        assert f"({picture})" in text

import pickle

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score

from skfer import ConformalClassifier

NAMES = np.array(["angry", "happy", "sad", "neutral"])


@pytest.fixture(scope="module")
def blobs():
    X, y = make_blobs(4000, centers=4, cluster_std=4, random_state=0)
    return X, NAMES[y]


@pytest.fixture(scope="module")
def frozen(blobs):
    X, y = blobs
    return FrozenEstimator(LogisticRegression().fit(X[:1000], y[:1000]))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lac", "aps"])
@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.95])
def test_marginal_coverage(blobs, frozen, method, confidence):
    X, y = blobs
    rng = np.random.default_rng(0)
    scores = []
    for _ in range(50):
        rows = 1000 + rng.permutation(3000)
        sets = ConformalClassifier(frozen, confidence=confidence, method=method)
        sets.fit(X[rows[:500]], y[rows[:500]])
        scores.append(sets.set_score(X[rows[500:]], y[rows[500:]]))
    assert np.mean([score.coverage for score in scores]) == pytest.approx(confidence, abs=0.01)
    assert 1 < np.mean([score.mean_size for score in scores]) < 3.5
    if method == "aps":
        assert max(score.empty for score in scores) == 0


def test_coverage_per_class(blobs, frozen):
    X, y = blobs
    marginal, by_class = (
        ConformalClassifier(frozen, per_class=per_class).fit(X[1000:2500], y[1000:2500])
        for per_class in (False, True)
    )
    sets = by_class.predict_set(X[2500:])
    coverage = [
        sets[y[2500:] == name, code].mean() for code, name in enumerate(by_class.classes_.tolist())
    ]
    assert coverage == pytest.approx([0.9] * 4, abs=0.05)
    assert len(set(marginal.thresholds_)) == 1
    assert len(set(by_class.thresholds_)) == 4


def test_coverage_with_few_images():
    # With 19 images, the n + 1 in the rank of the threshold has an effect.
    rng = np.random.default_rng(0)

    class Guess(LogisticRegression):
        def predict_proba(self, X):
            return np.random.default_rng(X[:, 0].astype(int)).dirichlet(np.ones(4), len(X))

    guess = Guess().fit(rng.random((40, 1)), np.repeat(NAMES, 10))
    covered = []
    for _ in range(400):
        X, y = rng.random((59, 1)) * 1e6, rng.choice(NAMES, 59)
        sets = ConformalClassifier(FrozenEstimator(guess), confidence=0.9).fit(X[:19], y[:19])
        covered.append(sets.set_score(X[19:], y[19:]).coverage)
    assert np.mean(covered) == pytest.approx(0.9, abs=0.012)


def test_changed_confidence(blobs, frozen):
    X, y = blobs
    sets = ConformalClassifier(frozen, confidence=0.8).fit(X[1000:2000], y[1000:2000])
    small = sets.predict_set(X[2000:])
    large = sets.set_params(confidence=0.95).predict_set(X[2000:])
    assert (small <= large).all()
    assert large.sum() > small.sum()
    with pytest.raises(ValueError, match="'confidence' parameter of ConformalClassifier"):
        sets.set_params(confidence=95).predict_set(X)
    sets.set_params(confidence=0.95)
    with pytest.raises(ValueError, match="method='aps', but it was calibrated with 'lac'"):
        sets.set_params(method="aps").predict_set(X)


def test_too_few_images_for_the_confidence(blobs, frozen):
    X, y = blobs
    with pytest.warns(UserWarning, match=r"8 images are too few for a confidence of 0.9 in \["):
        sets = ConformalClassifier(frozen).fit(X[1000:1008], y[1000:1008])
    assert sets.predict_set(X[:5]).all()
    assert np.isinf(sets.thresholds_).all()
    nine = ConformalClassifier(frozen).fit(X[1000:1009], y[1000:1009])
    assert nine.thresholds_.max() == nine.scores_.max()


def test_calibration_fraction(blobs):
    X, y = blobs
    sets = ConformalClassifier(LogisticRegression(C=2), calibration_fraction=0.25, random_state=0)
    sets.fit(X[:1000], y[:1000])
    assert len(sets.scores_) == 250
    assert sets.estimator_.C == 2
    assert not hasattr(sets.estimator, "coef_")
    assert sets.set_score(X[1000:], y[1000:]).coverage == pytest.approx(0.9, abs=0.05)


def test_sample_weight_is_routed(blobs):
    X, y = blobs
    X, y = X[:400], np.where(y[:400] == "angry", "angry", "happy")
    weight = np.where(y == "angry", 0.0, 1.0)
    weight[:20] = 1e-9
    with config_context(enable_metadata_routing=True):
        inner = LogisticRegression().set_fit_request(sample_weight=True)
        sets = ConformalClassifier(inner, random_state=0).fit(X, y, sample_weight=weight)
    assert (sets.predict(X) == "happy").all()


def test_scikit_learn_interface(blobs, frozen):
    X, y = blobs
    sets = ConformalClassifier(frozen).fit(X[1000:1200], y[1000:1200])
    assert is_classifier(sets)
    np.testing.assert_array_equal(sets.predict(X), frozen.predict(X))
    np.testing.assert_array_equal(sets.predict_proba(X), frozen.predict_proba(X))
    unpickled = pickle.loads(pickle.dumps(sets))
    np.testing.assert_array_equal(unpickled.predict_set(X[:50]), sets.predict_set(X[:50]))
    with pytest.raises(NotFittedError, match="ConformalClassifier instance is not fitted"):
        clone(sets).predict_set(X)
    with pytest.raises(NotFittedError, match="not fitted"):
        ConformalClassifier(FrozenEstimator(LogisticRegression())).fit(X[:20], y[:20])
    with pytest.raises(ValueError, match=r"y holds the label 'fear', which is none of"):
        ConformalClassifier(frozen).fit(X[:20], np.append(y[:19], "fear"))


def test_cross_validation_and_search(blobs):
    X, y = blobs
    inner = ConformalClassifier(LogisticRegression(), random_state=0)
    assert cross_val_score(inner, X[:300], y[:300], cv=2).min() > 0.4
    search = GridSearchCV(inner, {"estimator__C": [0.1, 1]}, cv=2).fit(X[:200], y[:200])
    assert search.best_estimator_.predict_set(X[:3]).shape == (3, 4)


@pytest.mark.slow
@pytest.mark.real_data
def test_coverage_of_public_test(fer2013):
    from skfer import load_pretrained

    rows = np.random.RandomState(0).permutation(fer2013.public_test_index)[:400]
    images, labels = fer2013.images[rows], fer2013.labels[rows]
    faces = load_pretrained("fer2013")[1:]
    sets = ConformalClassifier(FrozenEstimator(faces)).fit(images[:200], labels[:200])
    score = sets.set_score(images[200:], labels[200:])
    assert score.coverage == pytest.approx(0.9, abs=0.08)
    assert 1 < score.mean_size < 4

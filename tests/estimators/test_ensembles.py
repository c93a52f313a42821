import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict, learning_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skfer import FacialExpressionClassifier, HOGDescriptor
from skfer.datasets import make_faces
from skfer.evaluation import cross_val_label_report

pytestmark = pytest.mark.slow
EXPRESSIONS = ["happy", "sad", "surprise"]


@pytest.fixture(scope="module")
def faces():
    plain = {"noise": 0, "occlusion": 0, "brightness": 0, "pose": 0}
    return make_faces(90, classes=EXPRESSIONS, size=32, **plain, return_X_y=True, random_state=0)


@pytest.fixture
def network(tiny_network):
    return lambda seed=0: FacialExpressionClassifier(
        tiny_network, epochs=3, batch_size=32, learning_rate=5e-3, random_state=seed
    )


@pytest.fixture
def svm():
    return make_pipeline(HOGDescriptor(pixels_per_cell=8), StandardScaler(), SVC())


def test_voting_and_bagging(network, faces, svm):
    vote = VotingClassifier([("a", network(0)), ("b", network(1))], voting="soft", weights=[3, 1])
    vote.fit(*faces)
    one, other = (member.predict_proba(faces[0]) for member in vote.estimators_)
    assert abs(one - other).max() > 0.01
    np.testing.assert_allclose(vote.predict_proba(faces[0]), (3 * one + other) / 4, rtol=1e-5)
    vote = VotingClassifier([("cnn", network()), ("svm", svm)]).fit(*faces)
    assert set(vote.predict(faces[0])) <= set(EXPRESSIONS)
    X, y = faces
    fitted = [network(seed).fit(X, y) for seed in (0, 1)]
    frozen = [(f"seed_{seed}", FrozenEstimator(one)) for seed, one in enumerate(fitted)]
    _, rows = np.unique(y, return_index=True)
    vote = VotingClassifier(frozen, voting="soft").fit(X[rows], y[rows])
    mean = np.mean([one.predict_proba(X) for one in fitted], axis=0)
    np.testing.assert_allclose(vote.predict_proba(X), mean, rtol=1e-5)
    assert (vote.predict(X) == np.array(EXPRESSIONS)[mean.argmax(axis=1)]).all()
    rows = X.reshape(len(X), -1) / 255
    bag = BaggingClassifier(network(), n_estimators=2, random_state=0).fit(rows, y)
    one, other = (member.predict_proba(rows) for member in bag.estimators_)
    assert abs(one - other).max() > 0.01
    np.testing.assert_allclose(bag.predict_proba(rows), (one + other) / 2, rtol=1e-5)


def test_stacking_and_learning_curve(network, svm, faces):
    X, y = faces
    rows = X.reshape(len(X), -1) / 255
    final = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    stack = StackingClassifier([("cnn", network()), ("svm", svm)], final, cv=2, passthrough=True)
    stack.fit(rows, y)
    assert stack.final_estimator_.n_features_in_ == 2 * len(EXPRESSIONS) + 32 * 32
    # The network reshapes the rows to images.
    assert stack.named_estimators_["cnn"].image_shape_ == (32, 32, 1)
    assert stack.predict_proba(rows).shape == (len(X), len(EXPRESSIONS))
    sizes, _, scores = learning_curve(
        network().set_params(classes=EXPRESSIONS, epochs=1),
        X,
        y,
        train_sizes=[2, 45],
        cv=2,
        shuffle=True,
        random_state=0,
        error_score="raise",
    )
    assert sizes.tolist() == [2, 45]
    assert ((scores >= 0) & (scores <= 1)).all()


def out_of_fold_proba(classifier, X, y, params=None):
    proba = np.empty((len(X), len(classifier.classes or EXPRESSIONS)))
    for train, test in StratifiedKFold(3).split(X, y):
        fit_params = {name: values.iloc[train] for name, values in (params or {}).items()}
        fitted = clone(classifier).fit(X[train], y[train], **fit_params)
        proba[test] = fitted.predict_proba(X[test])
    return proba, fitted.classes_


@pytest.mark.parametrize(
    ("parameters", "params"),
    [
        ({"classes": [*EXPRESSIONS, "fear"]}, None),
        ({"class_weight": {"happy": 1, "sad": 2, "surprise": 1}}, None),
        ({}, "votes"),
    ],
    ids=["classes", "class_weight", "votes"],
)
def test_label_report_with_named_labels(network, faces, parameters, params):
    X, y = faces
    classifier = network().set_params(**parameters)
    if params:
        votes = 0.25 + 3 * (y[:, np.newaxis] == EXPRESSIONS[::-1])
        params = {"votes": pd.DataFrame(votes, columns=EXPRESSIONS[::-1])}
    report = cross_val_label_report(classifier, X, y, cv=3, params=params)
    assert sorted(report["row"]) == list(range(len(y)))
    assert (report["given"] == y[report["row"]]).all()
    proba, classes = out_of_fold_proba(classifier, X, y, params)
    expected = proba[report["row"], np.searchsorted(classes, y[report["row"]])]
    np.testing.assert_allclose(report["self_confidence"], expected, rtol=1e-4)
    message = "indices of the sorted labels.*cross_val_label_report"
    with pytest.raises(ValueError, match=message):
        cross_val_predict(classifier, X, y, cv=3, method="predict_proba", params=params)
    if params is None:
        with pytest.raises(ValueError, match=message):
            VotingClassifier([("cnn", classifier)], voting="soft").fit(X, y)
        with pytest.raises(ValueError, match=message):
            StackingClassifier([("cnn", classifier)], cv=2).fit(X, y)


def test_labels_given_as_indices(network, faces):
    X, y = faces
    classifier = network().set_params(class_weight={0: 1, 1: 2, 2: 1}, classes=[0, 1, 2])
    proba = cross_val_predict(classifier, X, y, cv=3, method="predict_proba")
    named = network().set_params(class_weight={"happy": 1, "sad": 2, "surprise": 1})
    np.testing.assert_allclose(proba, out_of_fold_proba(named, X, y)[0], rtol=1e-4)
    vote = VotingClassifier([("cnn", classifier)], voting="soft").fit(X, y)
    np.testing.assert_allclose(vote.predict_proba(X), named.fit(X, y).predict_proba(X), rtol=1e-4)

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skfer import FacialExpressionClassifier, GrayscaleResizer
from skfer.datasets import make_faces


@pytest.fixture(scope="module")
def faces():
    return make_faces(90, classes=["happy", "sad", "neutral"], random_state=0)


@pytest.fixture(scope="module")
def votes(faces):
    return np.eye(3)[np.unique(faces.labels, return_inverse=True)[1]] * 6 + 4 / 3


@pytest.mark.slow
def test_vote_modes_learn(faces, votes):
    for mode in ["majority", "probabilistic", "cross_entropy", "multi_target"]:
        classifier = FacialExpressionClassifier(
            "mini_xception", epochs=6, batch_size=16, augment=None, vote_mode=mode, random_state=0
        )
        classifier.fit(faces.images, faces.labels, votes=votes)
        assert classifier.score(faces.images, faces.labels) > 0.6


@pytest.mark.slow
def test_partial_fit_without_votes(faces, votes, small_network):
    for first in [{"votes": True}, {}]:
        classifier = FacialExpressionClassifier(small_network, epochs=1, random_state=0)
        classifier.fit(faces.images, faces.labels, votes=votes if first else None)
        classifier.set_params(label_smoothing=0.0 if first else 0.1)
        classifier.partial_fit(faces.images, faces.labels)
        assert len(classifier.history_["loss"]) == 2
        kind = "sparse_categorical_crossentropy" if first else "categorical_crossentropy"
        assert classifier.network_.loss == kind


@pytest.mark.slow
def test_votes_replace_labels(faces, votes):
    classifier = FacialExpressionClassifier(
        "mini_xception", epochs=6, batch_size=16, augment=None, random_state=0
    )
    classifier.fit(faces.images, faces.labels, votes=np.roll(votes, 1, axis=1))
    expected = np.roll(classifier.classes_, -1)[np.searchsorted(classifier.classes_, faces.labels)]
    assert (classifier.predict(faces.images) == expected).mean() > 0.6


@pytest.mark.slow
def test_columns_of_votes(faces, votes, small_network):
    def fitted(votes):
        classifier = FacialExpressionClassifier(small_network, epochs=1, random_state=0)
        return classifier.fit(faces.images, faces.labels, votes=votes).history_

    table = pd.DataFrame(votes, columns=["happy", "neutral", "sad"])
    assert fitted(table[["sad", "happy", "neutral"]]) == fitted(votes)
    assert fitted(pd.DataFrame(votes)) == fitted(votes)
    with pytest.raises(ValueError, match=r"votes has the columns \['happy', 'neutral', 'x'\]"):
        fitted(table.rename(columns={"sad": "x"}))


@pytest.mark.slow
def test_votes_for_absent_classes(faces, votes, small_network):
    known = faces.labels != "sad"
    classifier = FacialExpressionClassifier(small_network, epochs=1, random_state=0)
    with pytest.raises(ValueError, match="list all in the parameter classes"):
        classifier.fit(faces.images[known], faces.labels[known], votes=votes[known])
    classifier.set_params(classes=["happy", "neutral", "sad"])
    classifier.fit(faces.images[known], faces.labels[known], votes=votes[known])
    assert classifier.predict_proba(faces.images[:2]).shape == (2, 3)


def test_multi_target_with_label_smoothing(faces, votes, small_network):
    classifier = FacialExpressionClassifier(
        small_network, vote_mode="multi_target", label_smoothing=0.1
    )
    with pytest.raises(ValueError, match=r"multi_target.*label_smoothing"):
        classifier.fit(faces.images, faces.labels, votes=votes)


@pytest.mark.slow
def test_vote_shares_are_predicted(faces, small_network):
    votes = np.tile([5, 3, 2], (90, 1))
    classifier = FacialExpressionClassifier(
        small_network, epochs=15, batch_size=10, learning_rate=0.02, random_state=0
    )
    classifier.fit(faces.images, faces.labels, votes=votes)
    mean = classifier.predict_proba(faces.images).mean(axis=0)
    assert mean == pytest.approx([0.5, 0.3, 0.2], abs=0.1)


@pytest.mark.slow
def test_votes_are_routed_in_a_search(faces, votes, small_network):
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = FacialExpressionClassifier(
            small_network, epochs=1, random_state=0
        ).set_fit_request(votes=True)
        pipeline = Pipeline([("resizer", GrayscaleResizer(24)), ("classifier", classifier)])
        search = GridSearchCV(
            pipeline, {"classifier__vote_mode": ["majority", "cross_entropy"]}, cv=2
        )
        search.fit(faces.images, faces.labels, votes=votes)
    best = search.best_estimator_["classifier"]
    direct = clone(best).fit(
        GrayscaleResizer(24).transform(faces.images), faces.labels, votes=votes
    )
    assert best.history_ == direct.history_


@pytest.mark.parametrize(
    ("invalid", "message"),
    [
        (np.ones((90, 4)), r"votes has the shape \(90, 4\).*need \(90, 3\)"),
        (np.ones((89, 3)), r"votes has the shape \(89, 3\)"),
        (np.vstack([np.ones((5, 3)), np.zeros((1, 3)), np.ones((84, 3))]), r"votes\[5\].*at least"),
        (np.vstack([-np.ones((1, 3)), np.ones((89, 3))]), r"votes\[0\].*negative"),
        (np.vstack([np.full((1, 3), np.nan), np.ones((89, 3))]), "votes contains NaN"),
    ],
)
def test_invalid_votes(invalid, message, faces, small_network):
    classifier = FacialExpressionClassifier(small_network, epochs=1)
    with pytest.raises(ValueError, match=message):
        classifier.fit(faces.images, faces.labels, votes=invalid)

"""From probabilities of expressions to valence and arousal."""

from __future__ import annotations

import numpy as np
import pytest

from skfer import expressions_to_affect
from skfer._circumplex import CIRCUMPLEX
from skfer.datasets import EXPRESSIONS, make_faces


def test_every_expression_has_a_place_within_the_circle():
    assert set(CIRCUMPLEX) == set(EXPRESSIONS)
    places = expressions_to_affect(np.eye(8), EXPRESSIONS)
    assert (np.hypot(*places.T) < 1).all()
    np.testing.assert_allclose(places, [CIRCUMPLEX[name] for name in EXPRESSIONS])


def test_the_places_go_round_the_circle_as_russell_found_them():
    order = ["happy", "surprise", "fear", "angry", "disgust", "contempt", "sad"]
    angles = [np.arctan2(*CIRCUMPLEX[name][::-1]) % (2 * np.pi) for name in order]
    assert (np.diff(angles) > 0).all()


def test_votes_are_shares_and_names_have_synonyms():
    by_votes = expressions_to_affect([[3, 1]], ["Sadness", "joy"])
    np.testing.assert_allclose(by_votes, expressions_to_affect([[0.75, 0.25]], ["sad", "happy"]))


def test_known_expressions_are_mapped_near_the_valence_they_were_drawn_with():
    faces = make_faces(60, random_state=0)
    truth = np.column_stack([faces.valence, faces.arousal])
    mapped = expressions_to_affect(np.eye(7)[faces.target], faces.target_names)
    for theirs, ours in zip(truth.T, mapped.T, strict=True):
        assert np.corrcoef(theirs, ours)[0, 1] > 0.8


@pytest.mark.parametrize(
    ("probabilities", "classes", "message"),
    [
        ([[1.0, 0.0]], ["happy"], r"shape \(1, 2\), but classes names 1"),
        ([[1.0, 0.0]], ["happy", "Karuna"], "'Karuna', which has no place"),
        ([[1.0, 0.0], [0.0, 0.0]], ["happy", "sad"], r"probabilities\[1\] is \[0.0, 0.0\]"),
        ([[1.0, -0.5]], ["happy", "sad"], "no number may be negative"),
    ],
)
def test_what_is_no_distribution_is_refused(probabilities, classes, message):
    with pytest.raises(ValueError, match=message):
        expressions_to_affect(probabilities, classes)

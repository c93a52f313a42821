from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from skfer.training import TargetRule, as_shares, best_accepted, vote_targets

VOTES = np.array([[6, 3, 1], [2, 2, 6], [1, 1, 1], [10, 0, 0]])


def seed(number=0):
    return tf.constant([0, number], tf.int64)


def test_the_majority_is_one_code_an_image():
    assert vote_targets(VOTES, "majority").tolist() == [0, 2, 0, 0]


@pytest.mark.parametrize("mode", ["cross_entropy", "probabilistic"])
def test_votes_become_shares(mode):
    shares = vote_targets(VOTES, mode)
    assert shares[0] == pytest.approx([0.6, 0.3, 0.1])
    assert shares.sum(axis=1) == pytest.approx(np.ones(4))


def test_accepted_is_what_has_thirty_percent_or_the_majority():
    eleven = np.ones((1, 11))
    assert vote_targets(VOTES, "multi_target").tolist() == [
        [1, 1, 0],
        [0, 0, 1],
        [1, 1, 1],
        [1, 0, 0],
    ]
    assert vote_targets(eleven, "multi_target").tolist() == [[1] + [0] * 10]


def test_the_likeliest_accepted_class_counts():
    outputs = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], np.float32)
    accepted = np.array([[1, 1, 0], [0, 1, 1]], np.float32)
    assert best_accepted(accepted, outputs).numpy() == pytest.approx(-np.log([0.5, 0.3]))


def test_smoothing_spreads_a_share_over_all_classes():
    smooth = TargetRule(4, smoothing=0.2)(tf.constant([1]), seed()).numpy()
    assert smooth[0] == pytest.approx([0.05, 0.85, 0.05, 0.05])


def test_labels_are_drawn_by_their_shares_and_anew_at_every_step():
    rule = TargetRule(3, drawn=True)
    shares = tf.constant(np.tile([0.6, 0.4, 0.0], (4000, 1)), tf.float32)
    drawn = rule(shares, seed(1)).numpy()
    assert set(np.unique(drawn)) == {0, 1}
    assert drawn.mean(axis=0) == pytest.approx([0.6, 0.4, 0], abs=0.03)
    assert not np.array_equal(drawn, rule(shares, seed(2)).numpy())
    assert np.array_equal(drawn, rule(shares, seed(1)).numpy())


def test_codes_as_shares():
    assert as_shares(np.array([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]

"""Class shares other than the training's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from skfer.metrics import apply_class_prior, estimate_class_prior

TRAIN_PRIOR = np.array([0.6, 0.3, 0.1])
MEANS = np.array([0.0, 1.5, 3.0])


def posteriors(prior, n=20_000, seed=0):
    """Labels drawn at a prior, and the exact posteriors at the training's prior."""
    rng = np.random.default_rng(seed)
    codes = rng.choice(3, n, p=prior)
    likelihoods = norm.pdf(rng.normal(MEANS[codes])[:, None], MEANS)
    proba = likelihoods * TRAIN_PRIOR
    return codes, likelihoods, proba / proba.sum(axis=1, keepdims=True)


def test_adapted_probabilities_are_the_posteriors_at_the_other_prior():
    prior = np.array([0.2, 0.2, 0.6])
    _, likelihoods, proba = posteriors(prior, n=100)
    expected = likelihoods * prior
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(apply_class_prior(proba, TRAIN_PRIOR, prior), expected)


def test_the_training_prior_changes_nothing_and_keeps_the_dtype():
    proba = posteriors(TRAIN_PRIOR, n=50)[2].astype(np.float32)
    same = apply_class_prior(proba, TRAIN_PRIOR, TRAIN_PRIOR)
    assert same.dtype == np.float32
    np.testing.assert_allclose(same, proba, rtol=1e-6)


def test_shares_need_not_sum_to_one():
    proba = posteriors(TRAIN_PRIOR, n=50)[2]
    np.testing.assert_allclose(
        apply_class_prior(proba, TRAIN_PRIOR * 500, [1, 1, 2]),
        apply_class_prior(proba, TRAIN_PRIOR, [0.25, 0.25, 0.5]),
    )


def test_a_row_without_any_probability_left_gets_the_prior():
    adapted = apply_class_prior([[1.0, 0.0]], [0.5, 0.5], [0.0, 1.0])
    assert adapted.tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("prior", [[0.6, 0.3, 0.1], [1 / 3, 1 / 3, 1 / 3], [0.1, 0.2, 0.7]])
def test_the_estimate_finds_the_shares_of_unlabelled_images(prior):
    codes, _, proba = posteriors(prior)
    found = estimate_class_prior(proba, TRAIN_PRIOR)
    assert found.sum() == pytest.approx(1)
    np.testing.assert_allclose(found, np.bincount(codes) / len(codes), atol=0.02)


def test_the_estimate_is_better_than_counting_answers():
    prior = np.array([0.1, 0.2, 0.7])
    codes, _, proba = posteriors(prior)
    true = np.bincount(codes) / len(codes)
    answered = np.bincount(proba.argmax(axis=1), minlength=3) / len(codes)
    estimated = estimate_class_prior(proba, TRAIN_PRIOR)
    assert abs(estimated - true).max() < 0.2 * abs(answered - true).max()


@pytest.mark.parametrize(
    ("train_prior", "class_prior", "message"),
    [
        ([0.5, 0.5], [0.5, 0.5, 0.0], r"class_prior has the shape \(3,\)"),
        ([0.5, 0.3, 0.2], [0.5, 0.5], r"train_prior has the shape \(3,\)"),
        ([0.5, 0.5], [1.5, -0.5], r"class_prior\[1\] is -0.5"),
        ([0.5, 0.5], [0.5, np.nan], r"class_prior\[1\] is nan"),
        ([0.5, 0.5], [0, 0], "class_prior is 0 for every class"),
        ([1.0, 0.0], [0.5, 0.5], r"train_prior\[1\] is 0"),
    ],
)
def test_wrong_shares_are_named(train_prior, class_prior, message):
    with pytest.raises(ValueError, match=message):
        apply_class_prior([[0.5, 0.5]], train_prior, class_prior)


def test_the_estimate_refuses_what_are_no_probabilities():
    with pytest.raises(ValueError, match=r"y_proba\[0\]"):
        estimate_class_prior([[0.5, 0.7]], [0.5, 0.5])
    with pytest.raises(ValueError, match=r"train_prior\[0\] is 0"):
        estimate_class_prior([[0.5, 0.5]], [0, 1])

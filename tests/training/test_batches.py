"""The input pipeline is a function of the seed and the step alone."""

import itertools

import numpy as np
import pytest

from skfer.training import Augmentation, evaluation_batches, training_batches


@pytest.fixture
def numbered():
    """Ten images, each filled with its own number, and the numbers as targets."""
    numbers = np.arange(10)
    return np.broadcast_to(numbers[:, None, None, None], (10, 8, 8, 1)).astype(np.uint8), numbers


def epochs_of(arrays, n_epochs, **options):
    batches, steps = training_batches(*arrays, None, batch_size=4, **options)
    taken = list(itertools.islice(batches.as_numpy_iterator(), n_epochs * steps))
    return [taken[i : i + steps] for i in range(0, len(taken), steps)]


def test_every_image_comes_once_an_epoch_with_its_target(numbered):
    for epoch in epochs_of(numbered, 3, seed=0):
        assert [len(targets) for _, targets in epoch] == [3, 3, 4]
        assert sorted(np.concatenate([targets for _, targets in epoch])) == list(range(10))
        for images, targets in epoch:
            np.testing.assert_array_equal(images[:, 0, 0, 0], targets)


def test_the_order_changes_from_epoch_to_epoch_and_from_seed_to_seed(numbered):
    orders = [
        tuple(np.concatenate([targets for _, targets in epoch]))
        for seed in (0, 1)
        for epoch in epochs_of(numbered, 2, seed=seed)
    ]
    assert len(set(orders)) == 4


def test_going_on_from_an_epoch_gives_what_would_have_come(numbered):
    light = Augmentation.of("light")
    whole = epochs_of(numbered, 3, seed=5, augmentation=light)
    rest = epochs_of(numbered, 1, seed=5, augmentation=light, first_epoch=2)
    for (expected, _), (images, _) in zip(whole[2], rest[0], strict=True):
        np.testing.assert_array_equal(images, expected)


def test_weights_stay_with_their_images(numbered):
    images, numbers = numbered
    batches, steps = training_batches(images, numbers, numbers / 10, batch_size=4, seed=0)
    for _, targets, weights in itertools.islice(batches.as_numpy_iterator(), steps):
        np.testing.assert_allclose(weights, targets / 10)


def test_evaluation_keeps_the_order(numbered):
    batches = evaluation_batches(*numbered, None, batch_size=4)
    targets = np.concatenate([targets for _, targets in batches.as_numpy_iterator()])
    np.testing.assert_array_equal(targets, np.arange(10))

"""The input pipeline is a function of the seed and the step alone."""

import itertools

import numpy as np
import pytest

from skfer.training import Augmentation, epoch_order, evaluation_batches, training_batches


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


def adjacent(order):
    """Number of places where two images stand side by side that do so in the data."""
    return int((np.abs(np.diff(order)) == 1).sum())


@pytest.mark.parametrize("n_images", [100, 255, 500, 3_000, 30_000])
def test_every_seed_and_epoch_gives_a_shuffled_order(n_images):
    chance = np.random.default_rng(0)
    orders = [
        epoch_order(n_images, seed, epoch).numpy()
        for seed in (0, 1, 2, 255, 256, 2**31 - 1, 2**40, -1)
        for epoch in (0, 1, 2, 11, 12, 13, 254, 255, 256, 268, 524)
    ]
    for order in orders:
        assert (np.bincount(order, minlength=n_images) == 1).all()
    # Two a permutation by chance, whatever its length; 13 or more in one of ten million.
    assert max(map(adjacent, orders)) <= 12
    drawn = [adjacent(chance.permutation(n_images)) for _ in range(len(orders))]
    assert abs(np.mean(list(map(adjacent, orders))) - np.mean(drawn)) < 0.9


def test_orders_do_not_repeat_over_seeds_and_epochs():
    # 256 epochs or seeds on, and with seed and epoch exchanged.
    pairs = [(0, 0), (0, 1), (1, 0), (0, 256), (256, 0), (1, 256), (256, 1), (0, 512), (2**32, 0)]
    orders = {tuple(epoch_order(60, seed, epoch).numpy()) for seed, epoch in pairs}
    assert len(orders) == len(pairs)


def test_each_image_is_at_each_place_equally_often():
    n_images, n_epochs = 5, 400
    counts = np.zeros((n_images, n_images))
    for epoch in range(n_epochs):
        counts[np.arange(n_images), epoch_order(n_images, 7, epoch).numpy()] += 1
    # Five standard deviations of a binomial count.
    assert np.abs(counts - n_epochs / n_images).max() < 5 * np.sqrt(n_epochs * 0.2 * 0.8)


@pytest.mark.parametrize("rows", [None, np.tile(np.arange(60), 2)], ids=["once", "oversampled"])
@pytest.mark.parametrize("first_epoch", [0, 12, 268])
def test_the_thirteenth_epoch_is_shuffled_as_the_others(rows, first_epoch):
    images, numbers = np.zeros((60, 1, 1, 1), np.uint8), np.arange(60)
    n_rows = 60 if rows is None else len(rows)
    for seed in range(5):
        batches, steps = training_batches(
            images, numbers, None, batch_size=16, seed=seed, first_epoch=first_epoch, rows=rows
        )
        order = np.concatenate([targets for _, targets in batches.take(steps).as_numpy_iterator()])
        assert sorted(order) == sorted(numbers if rows is None else rows)
        assert adjacent(order) < n_rows / 5  # 40 of 59 with a poor permutation


def test_order_and_changes_of_images_are_drawn_apart():
    # One batch an epoch: its step has the number of its epoch.
    images = np.tile(np.arange(64, dtype=np.uint8), (2_000, 8, 1))[..., None]
    numbers = np.arange(2_000)
    correlations = []
    for seed in range(2):
        batches, _ = training_batches(
            images, numbers, None, batch_size=2_000, seed=seed, augmentation=Augmentation(flip=True)
        )
        changed, order = next(batches.as_numpy_iterator())
        mirrored = changed[:, 0, 0, 0] > 32
        correlations.append(np.corrcoef(mirrored, order)[0, 1])
    assert np.abs(correlations).max() < 5 / np.sqrt(2_000)

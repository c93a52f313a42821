import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from skfer import FacialExpressionClassifier
from skfer._training._augmentation import Augmentation
from skfer._training._data import (
    Examples,
    TargetTransform,
    epoch_permutation,
    training_batches,
    validation_batches,
    vote_targets,
)
from skfer._training._losses import multi_target_loss
from skfer.datasets import make_faces


@pytest.fixture
def examples():
    numbers = np.arange(10)
    images = np.broadcast_to(numbers[:, None, None, None], (10, 8, 8, 1)).astype(np.uint8)
    return Examples(images, numbers, numbers)


def read_epochs(examples, n_epochs, **options):
    batches, steps = training_batches(examples, batch_size=4, **options)
    batches = batches.as_numpy_iterator()
    return [list(itertools.islice(batches, steps)) for _ in range(n_epochs)]


@pytest.mark.parametrize("rows", [None, np.repeat(np.arange(5), 2)], ids=["all", "twice"])
def test_epoch_has_every_row_in_another_order(examples, rows):
    for epoch in read_epochs(examples, 3, seed=0, rows=rows):
        assert [len(targets) for _, targets in epoch] == [3, 3, 4]
        order = np.concatenate([targets for _, targets in epoch])
        assert sorted(order) == list(range(10) if rows is None else rows)
        assert list(order) != sorted(order)
        for images, targets in epoch:
            np.testing.assert_array_equal(images[:, 0, 0, 0], targets)


def test_order_depends_on_the_seed_and_the_epoch(examples):
    orders = [
        tuple(np.concatenate([targets for _, targets in epoch]))
        for seed in (0, 1)
        for epoch in read_epochs(examples, 2, seed=seed)
    ]
    assert len(set(orders)) == 4


def test_first_epoch_of_a_continued_fit(examples):
    light = Augmentation.from_parameter("light")
    whole = read_epochs(examples, 3, seed=5, augmentation=light)
    rest = read_epochs(examples, 1, seed=5, augmentation=light, first_epoch=2)
    for (expected, _), (images, _) in zip(whole[2], rest[0], strict=True):
        np.testing.assert_array_equal(images, expected)


def test_weights_of_batches(examples):
    weighted = examples._replace(weights=examples.targets / 10)
    batches, steps = training_batches(weighted, batch_size=4, seed=0)
    read = list(itertools.islice(batches.as_numpy_iterator(), steps))
    assert sum(len(targets) for _, targets, _ in read) == 10
    for _, targets, weights in read:
        np.testing.assert_allclose(weights, targets / 10)


def test_validation_batches_are_in_order(examples):
    batches = validation_batches(examples, batch_size=4)
    targets = np.concatenate([targets for _, targets in batches.as_numpy_iterator()])
    np.testing.assert_array_equal(targets, np.arange(10))


def n_adjacent(order):
    """Count the pairs of neighbours that are also neighbours in the data."""
    return int((np.abs(np.diff(order)) == 1).sum())


@pytest.mark.parametrize("n_images", [100, 255, 500, 3_000, 30_000])
def test_permutations(n_images):
    chance = np.random.default_rng(0)
    orders = [
        epoch_permutation(n_images, seed, epoch).numpy()
        for seed in (0, 1, 2, 255, 256, 2**31 - 1, 2**40, -1)
        for epoch in (0, 1, 2, 11, 12, 13, 254, 255, 256, 268, 524)
    ]
    for order in orders:
        assert (np.bincount(order, minlength=n_images) == 1).all()
    # A random permutation of any length has 2 on average, and more than 12 once in 10 million.
    counts = list(map(n_adjacent, orders))
    assert max(counts) <= 12
    expected = [n_adjacent(chance.permutation(n_images)) for _ in orders]
    assert abs(np.mean(counts) - np.mean(expected)) < 0.9


def test_different_permutations():
    # Seeds and epochs that differ by 256 or are exchanged.
    pairs = [(0, 0), (0, 1), (1, 0), (0, 256), (256, 0), (1, 256), (256, 1), (0, 512), (2**32, 0)]
    orders = {tuple(epoch_permutation(60, seed, epoch).numpy()) for seed, epoch in pairs}
    assert len(orders) == len(pairs)


def test_augmentation_is_independent_of_the_order():
    # With one batch in an epoch, step and epoch have the same number.
    images = np.tile(np.arange(64, dtype=np.uint8), (2_000, 8, 1))[..., None]
    examples = Examples(images, None, np.arange(2_000))
    correlations = []
    for seed in range(2):
        batches, _ = training_batches(
            examples, batch_size=2_000, seed=seed, augmentation=Augmentation(flip=True)
        )
        changed, order = next(batches.as_numpy_iterator())
        mirrored = changed[:, 0, 0, 0] > 32
        correlations.append(np.corrcoef(mirrored, order)[0, 1])
    assert np.abs(correlations).max() < 5 / np.sqrt(2_000)


@pytest.mark.slow
def test_permutations_are_uniform():
    n_images, n_epochs = 5, 400
    counts = np.zeros((n_images, n_images))
    for epoch in range(n_epochs):
        counts[np.arange(n_images), epoch_permutation(n_images, 7, epoch).numpy()] += 1
    # Five standard deviations of a binomial count.
    assert np.abs(counts - n_epochs / n_images).max() < 5 * np.sqrt(n_epochs * 0.2 * 0.8)


VOTES = np.array([[6, 3, 1], [2, 2, 6], [1, 1, 1], [10, 0, 0]])


def seed(number=0):
    return tf.constant([0, number], tf.int64)


def test_vote_targets():
    assert vote_targets(VOTES, "majority").tolist() == [0, 2, 0, 0]
    eleven = np.ones((1, 11))
    assert vote_targets(VOTES, "multi_target").tolist() == [
        [1, 1, 0],
        [0, 0, 1],
        [1, 1, 1],
        [1, 0, 0],
    ]
    assert vote_targets(eleven, "multi_target").tolist() == [[1] + [0] * 10]
    for mode in ["cross_entropy", "probabilistic"]:
        shares = vote_targets(VOTES, mode)
        assert shares[0] == pytest.approx([0.6, 0.3, 0.1])
        assert shares.sum(axis=1) == pytest.approx(np.ones(4))


def test_multi_target_loss():
    outputs = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], np.float32)
    accepted = np.array([[1, 1, 0], [0, 1, 1]], np.float32)
    assert multi_target_loss(accepted, outputs).numpy() == pytest.approx(-np.log([0.5, 0.3]))


def test_label_smoothing():
    smooth = TargetTransform(4, smoothing=0.2)(tf.constant([1]), seed()).numpy()
    assert smooth[0] == pytest.approx([0.05, 0.85, 0.05, 0.05])
    examples = Examples(None, None, np.array([2, 0]))
    assert TargetTransform(3).one_hot(examples).targets.tolist() == [[0, 0, 1], [1, 0, 0]]


def test_sampled_targets():
    rule = TargetTransform(3, sample=True)
    shares = tf.constant(np.tile([0.6, 0.4, 0.0], (4000, 1)), tf.float32)
    sampled = rule(shares, seed(1)).numpy()
    assert set(np.unique(sampled)) == {0, 1}
    assert sampled.mean(axis=0) == pytest.approx([0.6, 0.4, 0], abs=0.03)
    assert not np.array_equal(sampled, rule(shares, seed(2)).numpy())
    assert np.array_equal(sampled, rule(shares, seed(1)).numpy())


class StepCounter(keras.callbacks.Callback):
    steps = 0

    def on_train_batch_end(self, batch, logs=None):
        StepCounter.steps += 1


@pytest.mark.slow
@pytest.mark.parametrize(("share", "votes"), [(True, None), (0.5, None), (True, [5, 5])])
def test_oversampling(share, votes, tiny_network):
    faces = make_faces(60, classes=["happy", "sad"], random_state=0)
    rows = np.r_[np.flatnonzero(faces.labels == "happy")[:4], np.flatnonzero(faces.labels == "sad")]
    StepCounter.steps = 0
    classifier = FacialExpressionClassifier(
        tiny_network,
        epochs=1,
        batch_size=1,
        oversample=share,
        vote_mode="multi_target",
        random_state=0,
        callbacks=[StepCounter()],
    )
    votes = None if votes is None else np.tile(votes, (len(rows), 1))
    classifier.fit(faces.images[rows], faces.labels[rows], votes=votes)
    n_sad = len(rows) - 4
    assert StepCounter.steps == n_sad + share * n_sad
    assert classifier.n_iter_ == 1

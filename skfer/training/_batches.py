"""The input pipeline: batches as a pure function of (seed, step).

Nothing in it carries state from one step to the next: which images stand in a batch, and how
they are changed, follow from the seed and the number of the step alone. A fit that was
stopped after k steps and goes on from step k therefore sees what it would have seen.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from skfer.training._augmentation import Augmentation


def training_batches(
    images: np.ndarray,
    targets: np.ndarray,
    sample_weight: np.ndarray | None,
    *,
    batch_size: int,
    seed: int,
    first_epoch: int = 0,
    augmentation: Augmentation | None = None,
) -> tuple[tf.data.Dataset, int]:
    """Shuffled, augmented batches without end, and the number of them in an epoch.

    Parameters
    ----------
    images : ndarray of shape (n, height, width, channels)
    targets : ndarray of shape (n,) or (n, n_outputs)
    sample_weight : ndarray of shape (n,) or None
    batch_size : int
        Images a batch, at most; all batches of an epoch are about the same size.
    seed : int
        Decides order and augmentation.
    first_epoch : int, default=0
        Epoch to begin with.
    augmentation : Augmentation or None
        What is done to the images, batch by batch.

    Returns
    -------
    dataset : tf.data.Dataset of (images, targets[, weights])
    steps : int
        Batches an epoch.
    """
    n_images = len(images)
    steps = math.ceil(n_images / batch_size)
    arrays = _as_tensors(images, targets, sample_weight)

    def batch(step: tf.Tensor) -> tuple:
        epoch, position = step // steps, step % steps
        # Batches of equal size, but for one image: a last batch of a single image would be a
        # step, and a share of the batch statistics, of its own.
        slots = tf.range(position * n_images // steps, (position + 1) * n_images // steps)
        rows = tf.random.experimental.index_shuffle(
            slots, seed=_seed_of(seed, epoch), max_index=tf.constant(n_images - 1, tf.int64)
        )
        picked, *rest = (tf.gather(array, rows) for array in arrays)
        if augmentation is not None:
            picked = augmentation(picked, seed=_seed_of(seed, step))
        return (picked, *rest)

    # Not Dataset.counter: TensorFlow keeps the graph of its scan for good.
    numbers = tf.data.Dataset.range(first_epoch * steps, tf.int64.max)
    return numbers.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2), steps


def evaluation_batches(
    images: np.ndarray,
    targets: np.ndarray,
    sample_weight: np.ndarray | None,
    *,
    batch_size: int,
) -> tf.data.Dataset:
    """Batches in order and untouched, for the validation part of a fit."""
    arrays = tuple(_as_tensors(images, targets, sample_weight))
    return tf.data.Dataset.from_tensor_slices(arrays).batch(batch_size).prefetch(2)


def _as_tensors(*arrays: np.ndarray | None) -> list[tf.Tensor]:
    return [tf.convert_to_tensor(array) for array in arrays if array is not None]


def _seed_of(seed: int, number: tf.Tensor) -> tf.Tensor:
    """A stateless seed from the seed of the fit and the number of an epoch or step."""
    return tf.stack([tf.constant(seed, tf.int64), tf.cast(number, tf.int64)])

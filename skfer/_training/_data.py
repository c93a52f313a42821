"""Training data: images with targets and weights, and the batches of a fit.

The batches depend on the seed and the number of the step only. A fit that was interrupted and
continues at step k therefore sees the same batches as one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from sklearn.model_selection import train_test_split

from skfer._storage import release_pages
from skfer._training._augmentation import Augmentation

# Votes make a label acceptable from this share on (Barsoum et al. 2016).
_ACCEPTED_SHARE = 0.3
# Folded into seeds, so that the order of epoch 3 and the augmentation of step 3 are independent.
_TARGETS, _MIXUP, _ORDER = 1, 2, 3


class ImageSubset:
    """Rows of an image array, without a copy of them."""

    def __init__(self, images: np.ndarray | ImageSubset, rows: np.ndarray):
        self._images: np.ndarray = images._images if isinstance(images, ImageSubset) else images
        self._rows: np.ndarray = images._rows[rows] if isinstance(images, ImageSubset) else rows
        self.shape = (len(rows), *self._images.shape[1:])
        self.dtype = self._images.dtype

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        selected = self._images[self._rows[indices]]
        release_pages(self._images)
        return selected


class Examples(NamedTuple):
    """Images with their targets and weights."""

    images: Any  # ndarray or ImageSubset of shape (n, height, width, channels)
    codes: np.ndarray | None  # index of the class of each image; None in regression
    targets: np.ndarray  # class indices (n,), class probabilities or numbers (n, n_outputs)
    weights: np.ndarray | None = None  # of each image in the loss; None is 1 for all

    def take(self, rows: np.ndarray) -> Examples:
        """Return some of the examples; images are not copied."""
        codes, weights = (
            None if array is None else array[rows] for array in (self.codes, self.weights)
        )
        return Examples(ImageSubset(self.images, rows), codes, self.targets[rows], weights)

    def without_zero_weights(self) -> Examples:
        """Return the examples with a weight above 0."""
        if self.weights is None or self.weights.all():
            return self
        if not self.weights.any():
            raise ValueError(
                "The weight is 0 for every image, by sample_weight and class_weight: there is "
                "nothing to learn from."
            )
        return self.take(np.flatnonzero(self.weights))

    def normalized(self, rows: np.ndarray | None = None) -> Examples:
        """Scale the weights to a mean of 1 over the rows of an epoch; equal weights become None."""
        if self.weights is None or (self.weights == self.weights[0]).all():
            return self._replace(weights=None)
        # Divided by the largest first: the sum of very large weights would be infinite.
        weights = self.weights.astype(np.float64) / self.weights.max()
        mean = (weights if rows is None else weights[rows]).mean()
        return self._replace(weights=(weights / mean).astype(np.float32))

    def split(self, fraction: float, seed: int) -> tuple[Examples, Examples]:
        """Split into training and validation examples, stratified by class."""
        n_images = len(self.images)
        n_validation = math.ceil(fraction * n_images)
        n_needed = 1
        if self.codes is not None:
            counts = np.unique_counts(self.codes).counts
            n_needed = len(counts)
            if counts.min() == 1:
                raise ValueError(
                    "A class has 1 image, so that it can't be in the training and in the "
                    f"validation part (validation_fraction={fraction:g}). Add images, leave the "
                    "class out, or use X_val and y_val."
                )
        if min(n_validation, n_images - n_validation) < n_needed:
            raise ValueError(
                f"validation_fraction={fraction:g} of {n_images} images leaves {n_validation} for "
                f"validation and {n_images - n_validation} for training; each part needs at least "
                f"{n_needed}. Use more images, another fraction, or X_val and y_val."
            )
        train, validation = train_test_split(
            np.arange(n_images), test_size=fraction, stratify=self.codes, random_state=seed
        )
        return self.take(train), self.take(validation)


def oversampled_rows(codes: np.ndarray, share: float) -> np.ndarray:
    """Return the rows of an epoch; each class has at least `share` of the rows of the largest."""
    counts = np.bincount(codes)
    fewest = round(share * counts.max())
    return np.concatenate(
        [
            np.resize(np.flatnonzero(codes == code), max(counts[code], fewest))
            for code in np.flatnonzero(counts)
        ]
    )


def vote_targets(votes: np.ndarray, mode: str) -> np.ndarray:
    """Return class indices of the majority, shares, or 1 for each accepted class.

    `votes` are ``(n, n_classes)``, with at least one vote for each image; the modes are those of
    Barsoum et al. (2016).
    """
    if mode == "majority":
        return votes.argmax(axis=1)
    shares = (votes / votes.sum(axis=1, keepdims=True)).astype(np.float32)
    if mode == "multi_target":
        accepted = shares >= _ACCEPTED_SHARE
        # If no class reaches the share, the majority alone is accepted.
        accepted[np.arange(len(shares)), shares.argmax(axis=1)] = True
        return accepted.astype(np.float32)
    return shares


class TargetTransform(NamedTuple):
    """Transformation of the class targets of a training batch to probabilities."""

    n_classes: int
    smoothing: float = 0.0  # share that is spread evenly over all classes (Szegedy et al. 2016)
    sample: bool = False  # whether a class is drawn each time an image is used
    multi_target: bool = False  # whether targets are 1 for each accepted class

    def __call__(self, targets: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return the targets of a batch, ``(n, n_classes)`` float32."""
        if self.sample and targets.shape.rank == 2:
            logits = tf.math.log(tf.maximum(targets, 1e-30))
            targets = tf.random.stateless_categorical(logits, 1, seed)[:, 0]
        if targets.shape.rank == 1:
            targets = tf.one_hot(targets, self.n_classes)
        return targets * (1.0 - self.smoothing) + self.smoothing / self.n_classes

    def one_hot(self, examples: Examples) -> Examples:
        """Return examples with targets in the form of the loss, without smoothing or sampling."""
        if examples.targets.ndim == 2:
            return examples
        return examples._replace(targets=np.eye(self.n_classes, dtype=np.float32)[examples.targets])


def steps_per_epoch(n_images: int, batch_size: int, devices: int = 1) -> int:
    """Return the number of batches of an epoch."""
    return math.ceil((n_images // devices) / (batch_size // devices))


def epoch_permutation(n_images: int, seed: int, epoch: int | tf.Tensor) -> tf.Tensor:
    """Return the order of the images in an epoch, ``(n_images,)`` int64."""
    # `index_shuffle` needs less memory, but uses only 8 bits of its seed for fewer than 2**16
    # images (TensorFlow 2.21), and hardly shuffles with some of them.
    order_seed = tf.random.experimental.stateless_fold_in(_step_seed(seed, epoch), _ORDER)
    return tf.random.experimental.stateless_shuffle(
        tf.range(n_images, dtype=tf.int64), order_seed, alg="philox"
    )


def training_batches(
    examples: Examples,
    *,
    batch_size: int,
    seed: int,
    devices: int = 1,
    first_epoch: int = 0,
    rows: np.ndarray | None = None,
    augmentation: Augmentation | None = None,
    pixel_range: tuple[float, float] = (0.0, 255.0),
    target_transform: TargetTransform | None = None,
) -> tuple[tf.data.Dataset, int]:
    """Return shuffled, augmented batches without end, and the number of batches of an epoch.

    The batches are ``(images, targets[, weights])``, and differ by at most one image in size.
    Images are read batch by batch: they may exceed the memory. `devices` share a batch evenly; an
    epoch leaves out up to ``devices - 1`` images, which differ between epochs. `rows` are the rows
    of an epoch, some of them repeated; None is each once.
    """
    n_images = len(examples.images) if rows is None else len(rows)
    n_groups = n_images // devices
    steps = steps_per_epoch(n_images, batch_size, devices)
    read = _reader(examples)
    repeated = None if rows is None else tf.constant(rows, tf.int64)

    # AutoGraph has nothing to convert here, and looking for it takes longer than a small step.
    @tf.autograph.experimental.do_not_convert
    def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
        order = epoch_permutation(n_images, seed, epoch)
        if repeated is not None:
            order = tf.gather(repeated, order)

        @tf.autograph.experimental.do_not_convert
        def batch_indices(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            # Batches of equal size: a last batch of one image would be a step, and a share of the
            # batch statistics, of its own.
            first, last = step * n_groups // steps, (step + 1) * n_groups // steps
            return epoch * steps + step, order[first * devices : last * devices]

        return tf.data.Dataset.range(steps).map(batch_indices)

    @tf.autograph.experimental.do_not_convert
    def batch(step: tf.Tensor, indices: tf.Tensor) -> tuple:
        images, targets, *weights = read(indices)
        step_seed = _step_seed(seed, step)
        fold_in = tf.random.experimental.stateless_fold_in
        if augmentation is not None:
            images = augmentation(images, seed=step_seed, pixel_range=pixel_range)
            # The transform loses the static size, which older Keras needs to flatten.
            images = tf.ensure_shape(images, (None, *examples.images.shape[1:]))
        if target_transform is not None:
            targets = target_transform(targets, fold_in(step_seed, _TARGETS))
        if augmentation is not None and augmentation.mixup:
            images, targets, mixed = augmentation.mix(
                images, targets, weights[0] if weights else None, fold_in(step_seed, _MIXUP)
            )
            weights = [] if mixed is None else [mixed]
        return (images, targets, *weights)

    # Not Dataset.counter: TensorFlow never releases the graph of its scan.
    epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
    batches = epochs.flat_map(epoch_batches).map(batch, num_parallel_calls=tf.data.AUTOTUNE)
    return batches.prefetch(2), steps


def validation_batches(examples: Examples, *, batch_size: int, devices: int = 1) -> tf.data.Dataset:
    """Return batches in order, without augmentation and without up to ``devices - 1`` images."""
    read = _reader(examples)
    n_images, size = (n // devices * devices for n in (len(examples.images), batch_size))

    def batch(start: tf.Tensor) -> tuple:
        return read(tf.range(start, tf.minimum(start + size, n_images)))

    starts = tf.data.Dataset.range(0, n_images, size)
    return starts.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def _reader(examples: Examples) -> Callable[[tf.Tensor], tuple]:
    """Return a function from indices to images, targets and weights.

    Images stay a NumPy array: as a tensor, all of them would be in memory once more.
    """
    images = examples.images
    if isinstance(images, np.ndarray):
        images = ImageSubset(images, np.arange(len(images)))
    others = [a for a in (examples.targets, examples.weights) if a is not None]
    tensors = [tf.convert_to_tensor(array) for array in others]

    def read(indices: tf.Tensor) -> tuple:
        # Stateless: the order of the batches is fixed, that of the reading is not.
        selected = tf.numpy_function(images.__getitem__, [indices], images.dtype, stateful=False)
        selected.set_shape((None, *images.shape[1:]))
        return (selected, *(tf.gather(tensor, indices) for tensor in tensors))

    return read


def _step_seed(seed: int, step: int | tf.Tensor) -> tf.Tensor:
    """Return the seed of a step or an epoch, ``(2,)`` int64."""
    return tf.stack([tf.constant(seed, tf.int64), tf.cast(step, tf.int64)])

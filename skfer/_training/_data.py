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
VOTE_MODES = ("majority", "probabilistic", "cross_entropy", "multi_target")

# Folded into seeds, so that the order of epoch 3 and the augmentation of step 3 are independent.
_TARGETS, _MIXUP, _ORDER = 1, 2, 3


class ImageSubset:
    """Rows of an image array, without a copy of them.

    Parameters
    ----------
    images : ndarray of shape (n, height, width, channels) or ImageSubset
    rows : ndarray of shape (k,) of int

    Examples
    --------
    >>> import numpy as np
    >>> from skfer._training._data import ImageSubset
    >>> subset = ImageSubset(np.arange(6).reshape(6, 1, 1, 1), rows=np.array([5, 3, 1]))
    >>> subset.shape, subset[np.array([0, 2])].ravel().tolist()
    ((3, 1, 1, 1), [5, 1])
    """

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
    """Images with their targets and weights.

    Attributes
    ----------
    images : ndarray or ImageSubset of shape (n, height, width, channels)
    codes : ndarray of shape (n,) or None
        Index of the class of each image; None in regression.
    targets : ndarray of shape (n,) or (n, n_outputs)
        Class indices, class probabilities, or numbers.
    weights : ndarray of shape (n,) or None
        Weight of each image in the loss; None is 1 for all.
    """

    images: Any
    codes: np.ndarray | None
    targets: np.ndarray
    weights: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> Examples:
        """Return some of the examples; images are not copied."""
        codes, weights = (
            None if array is None else array[rows] for array in (self.codes, self.weights)
        )
        return Examples(ImageSubset(self.images, rows), codes, self.targets[rows], weights)

    def without_zero_weights(self) -> Examples:
        """Return the examples with a weight above 0.

        Raises
        ------
        ValueError
            If there are none.
        """
        if self.weights is None or self.weights.all():
            return self
        if not self.weights.any():
            raise ValueError(
                "The weight is 0 for every image, by sample_weight and class_weight: there is "
                "nothing to learn from."
            )
        return self.take(np.flatnonzero(self.weights))

    def normalized(self, rows: np.ndarray | None = None) -> Examples:
        """Scale the weights to a mean of 1; equal weights become None.

        Parameters
        ----------
        rows : ndarray of shape (k,) of int or None, default=None
            Rows of an epoch, over which the mean is taken; None is each once.
        """
        if self.weights is None or (self.weights == self.weights[0]).all():
            return self._replace(weights=None)
        # Divided by the largest first: the sum of very large weights would be infinite.
        weights = self.weights.astype(np.float64) / self.weights.max()
        mean = (weights if rows is None else weights[rows]).mean()
        return self._replace(weights=(weights / mean).astype(np.float32))

    def split(self, fraction: float, seed: int) -> tuple[Examples, Examples]:
        """Split into training and validation examples, stratified by class.

        Raises
        ------
        ValueError
            If a part would lack images or a class.
        """
        n_images = len(self.images)
        n_validation = math.ceil(fraction * n_images)
        if self.codes is None:
            enough, needs = n_validation < n_images, "and leave others to train on"
        else:
            counts = np.unique(self.codes, return_counts=True)[1]
            enough = counts.min() >= 2 and n_validation >= len(counts)
            needs = f"{len(counts)} classes, the smallest of {counts.min()}"
        if not enough:
            raise ValueError(
                f"validation_fraction={fraction:g} of {n_images} images is too little to watch "
                f"{needs}: give more images, a larger fraction, or X_val and y_val."
            )
        train, validation = train_test_split(
            np.arange(n_images), test_size=fraction, stratify=self.codes, random_state=seed
        )
        return self.take(train), self.take(validation)


def oversampled_rows(codes: np.ndarray, share: float) -> np.ndarray:
    """Return the rows of an epoch in which small classes are repeated.

    Parameters
    ----------
    codes : ndarray of shape (n,) of int
        Class index of each image.
    share : float
        Fewest rows of a class, as a share of the largest class, in (0, 1].

    Returns
    -------
    ndarray of shape (n_rows,) of int

    Examples
    --------
    >>> import numpy as np
    >>> from skfer._training._data import oversampled_rows
    >>> oversampled_rows(np.array([0, 0, 0, 0, 1]), share=0.5).tolist()
    [0, 1, 2, 3, 4, 4]
    """
    counts = np.bincount(codes)
    fewest = round(share * counts.max())
    return np.concatenate(
        [
            np.resize(np.flatnonzero(codes == code), max(counts[code], fewest))
            for code in np.flatnonzero(counts)
        ]
    )


def vote_targets(votes: np.ndarray, mode: str) -> np.ndarray:
    """Return training targets from the votes of several annotators.

    Parameters
    ----------
    votes : ndarray of shape (n, n_classes)
        Not negative, with at least one vote for each image.
    mode : {"majority", "probabilistic", "cross_entropy", "multi_target"}
        As in Barsoum et al. (2016).

    Returns
    -------
    ndarray of shape (n,) or (n, n_classes)
        Class indices of the majority, shares of the votes, or 1 for each accepted class.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer._training._data import vote_targets
    >>> votes = np.array([[6, 4, 0], [0, 2, 8]])
    >>> vote_targets(votes, "majority").tolist()
    [0, 2]
    >>> vote_targets(votes, "multi_target").tolist()
    [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
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
    """Transformation of the class targets of a training batch to probabilities.

    Attributes
    ----------
    n_classes : int
    smoothing : float
        Share of every target that is spread evenly over all classes (Szegedy et al. 2016).
    sample : bool
        Whether one class is drawn from the probabilities each time an image is used.
    multi_target : bool
        Whether targets are 1 for each accepted class instead of probabilities.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from skfer._training._data import TargetTransform
    >>> smooth = TargetTransform(n_classes=4, smoothing=0.5)
    >>> smooth(tf.constant([2]), seed=tf.constant([0, 1])).numpy().tolist()
    [[0.125, 0.125, 0.625, 0.125]]
    """

    n_classes: int
    smoothing: float = 0.0
    sample: bool = False
    multi_target: bool = False

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
    """Return the order of the images in an epoch, ``(n_images,)`` int64.

    Parameters
    ----------
    n_images : int
    seed : int
        Seed of the fit.
    epoch : int or tensor of shape ()
        Number of the epoch, from 0.

    Examples
    --------
    >>> from skfer._training._data import epoch_permutation
    >>> sorted(epoch_permutation(5, seed=0, epoch=12).numpy().tolist())
    [0, 1, 2, 3, 4]
    """
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

    Parameters
    ----------
    examples : Examples
        Images are read batch by batch: they may exceed the memory.
    batch_size : int
        Largest number of images of a batch. Batches of an epoch differ by at most one image.
    seed : int
        Seed of the order and the augmentation.
    devices : int, default=1
        Number of devices that share a batch evenly. An epoch leaves out up to ``devices - 1``
        images, which differ between epochs.
    first_epoch : int, default=0
    rows : ndarray of shape (k,) of int or None, default=None
        Rows of an epoch, some of them repeated; None is each once.
    augmentation : Augmentation or None
    pixel_range : tuple of float
        Lowest and highest value of a pixel.
    target_transform : TargetTransform or None

    Returns
    -------
    dataset : tf.data.Dataset of (images, targets[, weights])
    steps : int

    Examples
    --------
    >>> import numpy as np
    >>> from skfer._training._data import Examples, training_batches
    >>> examples = Examples(np.arange(5).reshape(5, 1, 1, 1), None, targets=np.arange(5))
    >>> batches, steps = training_batches(examples, batch_size=3, seed=0)
    >>> [len(targets) for _, targets in batches.take(steps)]
    [2, 3]
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
    """Return batches in order, without augmentation.

    Parameters
    ----------
    examples : Examples
    batch_size : int
    devices : int, default=1
        Number of devices that share a batch evenly; up to ``devices - 1`` images are left out.

    Returns
    -------
    tf.data.Dataset of (images, targets[, weights])

    Examples
    --------
    >>> import numpy as np
    >>> from skfer._training._data import Examples, validation_batches
    >>> examples = Examples(np.arange(5).reshape(5, 1, 1, 1), None, targets=np.arange(5))
    >>> [targets.numpy().tolist() for _, targets in validation_batches(examples, batch_size=3)]
    [[0, 1, 2], [3, 4]]
    """
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

"""The input pipeline: batches as a pure function of (seed, step).

Nothing in it carries state from one step to the next: which images stand in a batch, and how
they are changed, follow from the seed and the number of the step alone. A fit that was
stopped after k steps and goes on from step k therefore sees what it would have seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from skfer._file_array import let_go
from skfer.training._augmentation import Augmentation
from skfer.training._targets import TargetRule

# Streams of random numbers, folded into seeds: the order of epoch 3 and the changes to the images
# of step 3 would otherwise be drawn with the same seed.
_TARGETS, _MIXUP, _ORDER = 1, 2, 3


class PickedImages:
    """Some images of an array, without a copy of them.

    Parameters
    ----------
    images : ndarray of shape (n, height, width, channels) or PickedImages
    rows : ndarray of shape (k,) of int

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.training import PickedImages
    >>> images = np.arange(6).reshape(6, 1, 1, 1)
    >>> picked = PickedImages(images, rows=np.array([5, 3, 1]))
    >>> picked.shape, picked[np.array([0, 2])].ravel().tolist()
    ((3, 1, 1, 1), [5, 1])
    """

    def __init__(self, images: np.ndarray | PickedImages, rows: np.ndarray):
        self._images: np.ndarray = images._images if isinstance(images, PickedImages) else images
        self._rows: np.ndarray = images._rows[rows] if isinstance(images, PickedImages) else rows
        self.shape = (len(rows), *self._images.shape[1:])
        self.dtype = self._images.dtype

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        picked = self._images[self._rows[places]]
        let_go(self._images)
        return picked


def training_batches(
    images: np.ndarray | PickedImages,
    targets: np.ndarray,
    sample_weight: np.ndarray | None,
    *,
    batch_size: int,
    seed: int,
    devices: int = 1,
    first_epoch: int = 0,
    rows: np.ndarray | None = None,
    augmentation: Augmentation | None = None,
    pixel_range: tuple[float, float] = (0.0, 255.0),
    target_rule: TargetRule | None = None,
) -> tuple[tf.data.Dataset, int]:
    """Shuffled, augmented batches without end, and the number of them in an epoch.

    Parameters
    ----------
    images : ndarray or PickedImages of shape (n, height, width, channels)
        Read batch by batch: there may be more of them than memory.
    targets : ndarray of shape (n,) or (n, n_outputs)
    sample_weight : ndarray of shape (n,) or None
    batch_size : int
        Images a batch, at most; all batches of an epoch are about the same size.
    seed : int
        Decides order and augmentation.
    devices : int, default=1
        Each batch can be shared out evenly to so many. An epoch leaves out the images that
        don't go round, fewer than there are devices, and others in each epoch.
    first_epoch : int, default=0
        Epoch to begin with.
    rows : ndarray of shape (k,) of int, or None
        The images of an epoch, some of them maybe more than once; None is each once.
    augmentation : Augmentation or None
        What is done to the images, batch by batch.
    pixel_range : tuple of float
        Lowest and highest value a pixel may have.
    target_rule : TargetRule or None
        What is done to the targets; None leaves them as they are.

    Returns
    -------
    dataset : tf.data.Dataset of (images, targets[, weights])
    steps : int
        Batches an epoch.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.training import training_batches
    >>> images, targets = np.arange(5).reshape(5, 1, 1, 1), np.arange(5)
    >>> batches, steps = training_batches(images, targets, None, batch_size=3, seed=0)
    >>> [len(labels) for _, labels in batches.take(steps)]
    [2, 3]
    """
    n_images = len(images) if rows is None else len(rows)
    shares = n_images // devices
    steps = steps_an_epoch(n_images, batch_size, devices)
    taken = _by_places(images, targets, sample_weight)
    repeated = None if rows is None else tf.constant(rows, tf.int64)

    # Nothing here for AutoGraph to convert; looking for it would take longer than a small step.
    @tf.autograph.experimental.do_not_convert
    def places_of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        order = epoch_order(n_images, seed, epoch)
        if repeated is not None:
            order = tf.gather(repeated, order)

        @tf.autograph.experimental.do_not_convert
        def places_of_batch(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            # Batches of equal size, but for one image: a last batch of a single image would be
            # a step, and a share of the batch statistics, of its own.
            first, last = position * shares // steps, (position + 1) * shares // steps
            return epoch * steps + position, order[first * devices : last * devices]

        return tf.data.Dataset.range(steps).map(places_of_batch)

    @tf.autograph.experimental.do_not_convert
    def batch(step: tf.Tensor, places: tf.Tensor) -> tuple:
        picked, answers, *weights = taken(places)
        own_seed = _seed_of(seed, step)
        if augmentation is not None:
            picked = augmentation(picked, seed=own_seed, pixel_range=pixel_range)
            # Turned images have lost their size, without which older Keras flattens nothing.
            picked = tf.ensure_shape(picked, (None, *images.shape[1:]))
        if target_rule is not None:
            answers = target_rule(
                answers, tf.random.experimental.stateless_fold_in(own_seed, _TARGETS)
            )
        if augmentation is not None and augmentation.mixup:
            mixing_seed = tf.random.experimental.stateless_fold_in(own_seed, _MIXUP)
            picked, answers, mixed = augmentation.mix(
                picked, answers, weights[0] if weights else None, mixing_seed
            )
            weights = [] if mixed is None else [mixed]
        return (picked, answers, *weights)

    # Not Dataset.counter: TensorFlow keeps the graph of its scan for good.
    epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
    # One permutation is drawn for an epoch, and none is kept for the next.
    places = epochs.flat_map(places_of_epoch)
    return places.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2), steps


def epoch_order(n_images: int, seed: int, epoch: int | tf.Tensor) -> tf.Tensor:
    """Draw the order of the images in an epoch.

    Parameters
    ----------
    n_images : int
    seed : int
        Seed of the fit.
    epoch : int or tensor of shape ()
        Number of the epoch, from 0.

    Returns
    -------
    tensor of shape (n_images,), int64
        A permutation of the numbers from 0 to `n_images` - 1, which depends on `seed` and
        `epoch` alone.

    Examples
    --------
    >>> from skfer.training import epoch_order
    >>> sorted(epoch_order(5, seed=0, epoch=12).numpy().tolist())
    [0, 1, 2, 3, 4]
    """
    # A draw of the whole permutation: `index_shuffle`, which needs no memory for it, uses only
    # 8 bits of its seed for fewer than 2**16 images, and hardly shuffles with some of them.
    own_seed = tf.random.experimental.stateless_fold_in(_seed_of(seed, epoch), _ORDER)
    return tf.random.experimental.stateless_shuffle(
        tf.range(n_images, dtype=tf.int64), own_seed, alg="philox"
    )


def steps_an_epoch(n_images: int, batch_size: int, devices: int = 1) -> int:
    """How many batches the images of an epoch make.

    Parameters
    ----------
    n_images : int
    batch_size : int
    devices : int
        Each batch is shared out evenly to so many.

    Returns
    -------
    int

    Examples
    --------
    >>> from skfer.training import steps_an_epoch
    >>> steps_an_epoch(100, batch_size=32, devices=2)
    4
    """
    return math.ceil((n_images // devices) / (batch_size // devices))


def evaluation_batches(
    images: np.ndarray | PickedImages,
    targets: np.ndarray,
    sample_weight: np.ndarray | None,
    *,
    batch_size: int,
    devices: int = 1,
) -> tf.data.Dataset:
    """Batches in order and untouched, for the validation part of a fit.

    Parameters
    ----------
    images : ndarray or PickedImages of shape (n, height, width, channels)
    targets : ndarray of shape (n,) or (n, n_outputs)
    sample_weight : ndarray of shape (n,) or None
    batch_size : int
    devices : int, default=1
        Each batch can be shared out evenly to so many; the last images, if they don't go round,
        are left out.

    Returns
    -------
    tf.data.Dataset of (images, targets[, weights])

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.training import evaluation_batches
    >>> images, targets = np.arange(5).reshape(5, 1, 1, 1), np.arange(5)
    >>> batches = evaluation_batches(images, targets, None, batch_size=3)
    >>> [labels.numpy().tolist() for _, labels in batches]
    [[0, 1, 2], [3, 4]]
    """
    taken = _by_places(images, targets, sample_weight)
    n_images, at_once = (n // devices * devices for n in (len(images), batch_size))

    def batch(start: tf.Tensor) -> tuple:
        return taken(tf.range(start, tf.minimum(start + at_once, n_images)))

    starts = tf.data.Dataset.range(0, n_images, at_once)
    return starts.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def _by_places(
    images: np.ndarray | PickedImages, *others: np.ndarray | None
) -> Callable[[tf.Tensor], tuple]:
    """What gives images, targets and weights for their places.

    The images stay NumPy's: as a tensor they would be in memory once more, and wholly.
    """
    if isinstance(images, np.ndarray):
        images = PickedImages(images, np.arange(len(images)))
    tensors = [tf.convert_to_tensor(array) for array in others if array is not None]

    def taken(places: tf.Tensor) -> tuple:
        # Stateless: only the order of the batches is to be kept, not that of the reading.
        picked = tf.numpy_function(images.__getitem__, [places], images.dtype, stateful=False)
        picked.set_shape((None, *images.shape[1:]))
        return (picked, *(tf.gather(tensor, places) for tensor in tensors))

    return taken


def _seed_of(seed: int, number: int | tf.Tensor) -> tf.Tensor:
    """A stateless seed from the seed of the fit and the number of an epoch or step."""
    return tf.stack([tf.constant(seed, tf.int64), tf.cast(number, tf.int64)])

"""Several views of an image at prediction, of which the answers are averaged."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

# How far the five places lie from the middle, as a share of the side.
_STEP = 1 / 24

VIEWS = ("flip", "ten")


def averaged_over_views(
    answer: Callable[[tf.Tensor], tf.Tensor], views: str | None
) -> Callable[[tf.Tensor], tf.Tensor]:
    """The same function of images, averaged over changed copies of each.

    Parameters
    ----------
    answer : callable
        From images ``(n, height, width, channels)`` to ``(n, n_outputs)``.
    views : {"flip", "ten"} or None
        "flip" is the image and its mirror image; "ten" is both, in the middle and moved by
        a 24th of the side in the four diagonal directions; None is the image alone.

    Returns
    -------
    callable

    Raises
    ------
    ValueError
        If `views` is none of them.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.training import averaged_over_views
    >>> images = np.zeros((1, 2, 2, 1), np.float32)
    >>> images[:, :, 0] = 1  # the left half is white
    >>> left_side = lambda images: images[:, 0, :1, 0]
    >>> averaged_over_views(left_side, "flip")(images).numpy().tolist()
    [[0.5]]
    """
    if views is None:
        return answer
    if views not in VIEWS:
        raise ValueError(
            f"test_time_augmentation must be one of {list(VIEWS)} or None; got {views!r}."
        )

    def averaged(images: tf.Tensor) -> tf.Tensor:
        copies = [images] if views == "flip" else _moved(images)
        copies += [tf.reverse(copy, axis=[2]) for copy in copies]
        answers = answer(tf.concat(copies, axis=0))
        return tf.reduce_mean(tf.reshape(answers, (len(copies), -1, answers.shape[-1])), axis=0)

    return averaged


def _moved(images: tf.Tensor) -> list[tf.Tensor]:
    """The images, and as they look moved by a step in each diagonal direction."""
    height, width = images.shape[1:3]
    y, x = (max(1, round(side * _STEP)) if side > 1 else 0 for side in (height, width))
    padded = tf.pad(images, ((0, 0), (y, y), (x, x), (0, 0)), mode="SYMMETRIC")
    corners = [(0, 0), (0, 2 * x), (2 * y, 0), (2 * y, 2 * x)]
    return [images] + [padded[:, top : top + height, left : left + width] for top, left in corners]

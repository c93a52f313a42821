"""What a network is to say of an image: one class, or shares of several."""

from __future__ import annotations

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

# An answer is accepted from this share of the votes on (Barsoum et al. 2016).
_ACCEPTED_SHARE = 0.3

VOTE_MODES = ("majority", "probabilistic", "cross_entropy", "multi_target")


def vote_targets(votes: np.ndarray, mode: str) -> np.ndarray:
    """Targets from the votes of several annotators.

    Parameters
    ----------
    votes : ndarray of shape (n, n_outputs)
        Not negative, at least one vote an image.
    mode : {"majority", "probabilistic", "cross_entropy", "multi_target"}
        As in Barsoum et al. (2016).

    Returns
    -------
    ndarray of shape (n,) or (n, n_outputs)
        Codes of the majority; or shares of the votes; or 1 for each class that is accepted.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.training import vote_targets
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
        # Where nothing reaches the share, the majority alone is right.
        accepted[np.arange(len(shares)), shares.argmax(axis=1)] = True
        return accepted.astype(np.float32)
    return shares


@keras.saving.register_keras_serializable("skfer")
def best_accepted(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Cross-entropy with the likeliest of the accepted classes, for ``multi_target``.

    Parameters
    ----------
    targets : tensor of shape (n, n_outputs)
        1 for each class that is accepted, else 0.
    outputs : tensor of shape (n, n_outputs)
        Probabilities.

    Returns
    -------
    tensor of shape (n,)

    Examples
    --------
    >>> import tensorflow as tf
    >>> from skfer.training import best_accepted
    >>> accepted, outputs = tf.constant([[1.0, 1.0, 0.0]]), tf.constant([[0.25, 0.5, 0.25]])
    >>> round(float(best_accepted(accepted, outputs)[0]), 3)  # -log(0.5)
    0.693
    """
    logs = keras.ops.log(keras.ops.clip(outputs, keras.config.epsilon(), 1.0))
    return -keras.ops.max(keras.ops.where(targets > 0, logs, -1e9), axis=-1)


class TargetRule(NamedTuple):
    """What is done to the targets of a batch, for training only.

    Parameters
    ----------
    n_outputs : int
        Classes.
    smoothing : float
        Share of every target that is spread evenly over all classes (Szegedy et al. 2016).
    drawn : bool
        Whether one class is drawn from the shares, anew whenever the image is seen.
    any_accepted : bool
        Whether the targets are not shares but a 1 for each class that is right.

    Examples
    --------
    >>> import tensorflow as tf
    >>> from skfer.training import TargetRule
    >>> rule = TargetRule(n_outputs=4, smoothing=0.5)
    >>> rule(tf.constant([2]), seed=tf.constant([0, 1])).numpy().tolist()
    [[0.125, 0.125, 0.625, 0.125]]
    """

    n_outputs: int
    smoothing: float = 0.0
    drawn: bool = False
    any_accepted: bool = False

    def __call__(self, targets: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Shares of the classes, ``(n, n_outputs)`` float32."""
        if self.drawn and targets.shape.rank == 2:
            logits = tf.math.log(tf.maximum(targets, 1e-30))
            targets = tf.random.stateless_categorical(logits, 1, seed)[:, 0]
        if targets.shape.rank == 1:
            targets = tf.one_hot(targets, self.n_outputs)
        return targets * (1.0 - self.smoothing) + self.smoothing / self.n_outputs


def as_shares(targets: np.ndarray, n_outputs: int) -> np.ndarray:
    """Codes of classes as shares of them.

    Parameters
    ----------
    targets : ndarray of shape (n,) or (n, n_outputs)
        Codes; shares are given back as they are.
    n_outputs : int

    Returns
    -------
    ndarray of shape (n, n_outputs), float32

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.training import as_shares
    >>> as_shares(np.array([2, 0]), n_outputs=3).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    return targets if targets.ndim == 2 else np.eye(n_outputs, dtype=np.float32)[targets]

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
    """Cross-entropy with the likeliest of the accepted classes, for ``multi_target``."""
    logs = keras.ops.log(keras.ops.clip(outputs, keras.config.epsilon(), 1.0))
    return -keras.ops.max(keras.ops.where(targets > 0, logs, -1e9), axis=-1)


class TargetRule(NamedTuple):
    """What is done to the targets of a batch, for training only.

    Parameters
    ----------
    n_outputs : int
    smoothing : float
        Share of every target that is spread evenly over all classes (Szegedy et al. 2016).
    drawn : bool
        Whether one class is drawn from the shares, anew whenever the image is seen.
    any_accepted : bool
        Whether the targets are not shares but a 1 for each class that is right.
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
    """Codes as ``(n, n_outputs)`` float32; what are shares already stays."""
    return targets if targets.ndim == 2 else np.eye(n_outputs, dtype=np.float32)[targets]

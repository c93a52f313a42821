"""Losses and metrics that Keras lacks."""

from __future__ import annotations

import keras
import tensorflow as tf

# Keeps the quotient finite where targets and outputs are the same constant.
_EPSILON = 1e-8


@keras.saving.register_keras_serializable("skfer")
class ConcordanceLoss(keras.losses.Loss):
    """One minus Lin's concordance correlation (1989) of a batch, averaged over the outputs.

    It is not a mean over images: `sample_weight` weighs the moments of the batch.

    References
    ----------
    Kollias, D. et al. (2019). Deep affect prediction in-the-wild: Aff-Wild database and challenge,
    deep architectures, and beyond. IJCV 127, 907-929.
    """

    def __call__(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Return the loss of a batch."""
        targets, outputs = tf.cast(y_true, tf.float32), tf.cast(y_pred, tf.float32)
        weights = _weight_column(sample_weight, targets)
        shares = tf.math.divide_no_nan(weights, tf.reduce_sum(weights))

        def mean(values: tf.Tensor) -> tf.Tensor:
            return tf.reduce_sum(shares * values, axis=0)

        target_mean, output_mean = mean(targets), mean(outputs)
        target_residual, output_residual = targets - target_mean, outputs - output_mean
        covariance = mean(target_residual * output_residual)
        variances = mean(target_residual**2) + mean(output_residual**2)
        spread = variances + (target_mean - output_mean) ** 2
        return 1.0 - tf.reduce_mean(2.0 * covariance / (spread + _EPSILON))

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the loss of a batch without weights."""
        return self(y_true, y_pred)


# One instance: a fit compares losses to decide whether the network must be compiled again.
concordance_loss = ConcordanceLoss(name="concordance_loss")


@keras.saving.register_keras_serializable("skfer")
class Concordance(keras.metrics.Metric):
    """Lin's concordance correlation over all images of an epoch, averaged over the outputs.

    `keras.metrics.ConcordanceCorrelation` (3.15) is the mean over batches, which differs.
    """

    def __init__(self, n_outputs: int, name: str = "concordance", **kwargs: object):
        super().__init__(name=name, **kwargs)
        self.n_outputs = n_outputs
        # Sums of targets, outputs, their squares and their product, for each output.
        self._sums = self.add_variable((5, n_outputs), "zeros", name="sums")
        self._count = self.add_variable((), "zeros", name="count")

    def update_state(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> None:
        """Add a batch."""
        targets, outputs = tf.cast(y_true, tf.float32), tf.cast(y_pred, tf.float32)
        weights = _weight_column(sample_weight, targets)
        terms = [targets, outputs, targets**2, outputs**2, targets * outputs]
        sums = tf.stack([tf.reduce_sum(weights * term, axis=0) for term in terms])
        self._sums.assign_add(sums)
        self._count.assign_add(tf.reduce_sum(weights))

    def result(self) -> tf.Tensor:
        """Return the concordance of all batches."""
        means = tf.math.divide_no_nan(self._sums.value, self._count.value)
        target, output, target_square, output_square, product = tf.unstack(means)
        spread = target_square + output_square - 2.0 * target * output
        return tf.reduce_mean(2.0 * (product - target * output) / (spread + _EPSILON))

    def get_config(self) -> dict:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "n_outputs": self.n_outputs}


def _weight_column(sample_weight: tf.Tensor | None, targets: tf.Tensor) -> tf.Tensor:
    """Return the weights of a batch, ``(n, 1)``; None is 1 for each."""
    if sample_weight is None:
        return tf.ones_like(targets[:, :1])
    return tf.reshape(tf.cast(sample_weight, tf.float32), (-1, 1))


@keras.saving.register_keras_serializable("skfer")
def multi_target_loss(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Return the cross-entropy with the most probable accepted class (Barsoum et al. 2016)."""
    logs = keras.ops.log(keras.ops.clip(outputs, keras.config.epsilon(), 1.0))
    return -keras.ops.max(keras.ops.where(targets > 0, logs, -1e9), axis=-1)

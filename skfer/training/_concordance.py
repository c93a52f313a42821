"""Lin's concordance correlation (1989) as a loss and as a metric of Keras."""

from __future__ import annotations

import keras
import tensorflow as tf

# Keeps the quotient finite where targets and outputs are one and the same constant.
_SMALLEST = 1e-8


@keras.saving.register_keras_serializable("skfer")
class ConcordanceLoss(keras.losses.Loss):
    """1 less the concordance of targets and outputs, averaged over the outputs.

    It compares the images of a batch with one another, so it is no mean of a loss per image:
    `sample_weight` weighs the moments it is made of.

    References
    ----------
    Kollias, D. et al. (2019). Deep affect prediction in-the-wild: Aff-Wild database and challenge,
    deep architectures, and beyond. IJCV 127, 907-929.
    """

    def __call__(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> tf.Tensor:
        """The loss of a batch."""
        targets, outputs = tf.cast(y_true, tf.float32), tf.cast(y_pred, tf.float32)
        weights = tf.ones_like(targets[:, :1])
        if sample_weight is not None:
            weights = tf.reshape(tf.cast(sample_weight, tf.float32), (-1, 1))
        shares = tf.math.divide_no_nan(weights, tf.reduce_sum(weights))

        def mean(values: tf.Tensor) -> tf.Tensor:
            return tf.reduce_sum(shares * values, axis=0)

        their, our = mean(targets), mean(outputs)
        away, off = targets - their, outputs - our
        apart = mean(away**2) + mean(off**2) + (their - our) ** 2
        return 1.0 - tf.reduce_mean(2.0 * mean(away * off) / (apart + _SMALLEST))

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """The loss of a batch, as Keras's own losses have it."""
        return self(y_true, y_pred)


# It holds nothing, so one will do; fits compare it to tell whether they have to compile anew.
concordance_loss = ConcordanceLoss(name="concordance_loss")


@keras.saving.register_keras_serializable("skfer")
class Concordance(keras.metrics.Metric):
    """Concordance over all images of an epoch, averaged over the outputs.

    The mean over batches, as the loss has it, is another figure.

    Parameters
    ----------
    n_outputs : int
        Ratings an image.
    name : str, default="concordance"
        Under which Keras keeps it in the history.
    **kwargs : dict
        What else `keras.metrics.Metric` takes.

    Examples
    --------
    >>> from skfer.training import Concordance
    >>> metric = Concordance(n_outputs=1)
    >>> metric.update_state([[-0.5], [0.0], [0.5]], [[-0.25], [0.0], [0.25]])
    >>> round(float(metric.result()), 2)
    0.8
    """

    def __init__(self, n_outputs: int, name: str = "concordance", **kwargs: object):
        super().__init__(name=name, **kwargs)
        self.n_outputs = n_outputs
        # Of each output: the sums of targets, outputs, their squares and their product.
        self._sums = self.add_variable((5, n_outputs), "zeros", name="sums")
        self._count = self.add_variable((), "zeros", name="count")

    def update_state(
        self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> None:
        """Add the images of a batch."""
        targets, outputs = tf.cast(y_true, tf.float32), tf.cast(y_pred, tf.float32)
        weights = tf.ones_like(targets[:, :1])
        if sample_weight is not None:
            weights = tf.reshape(tf.cast(sample_weight, tf.float32), (-1, 1))
        terms = [targets, outputs, targets**2, outputs**2, targets * outputs]
        sums = tf.stack([tf.reduce_sum(weights * term, axis=0) for term in terms])
        self._sums.assign_add(sums)
        self._count.assign_add(tf.reduce_sum(weights))

    def result(self) -> tf.Tensor:
        """The concordance of what was added so far."""
        means = tf.math.divide_no_nan(self._sums.value, self._count.value)
        their, our, their_squares, our_squares, products = tf.unstack(means)
        apart = their_squares + our_squares - 2.0 * their * our
        return tf.reduce_mean(2.0 * (products - their * our) / (apart + _SMALLEST))

    def get_config(self) -> dict:
        """What makes another one of the kind."""
        return {**super().get_config(), "n_outputs": self.n_outputs}

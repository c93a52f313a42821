"""`FacialAffectRegressor`: valence and arousal of a face, by a Keras CNN."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Tags
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from skfer import _training
from skfer.estimators._base import NetworkEstimator
from skfer.estimators._sklearn_callbacks import end_fit

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from skfer._training._data import Examples


class FacialAffectRegressor(RegressorMixin, NetworkEstimator):
    """Estimate valence and arousal, or other ratings, of a face with a convolutional network.

    The networks are those of `FacialExpressionClassifier` with a tanh instead of the softmax: one
    output for each column of `y`, bounded by the ends of the rating scale. In a `Pipeline`,
    `FaceCropper` and `GrayscaleResizer` are before it.

    Parameters
    ----------
    network : str, path, keras.Model, callable or None, default=None
        As in `FacialExpressionClassifier`. A softmax at its end is replaced by a tanh; a network
        that ends otherwise is not changed.
    weights : str, path or FrozenEstimator, default=None
        As in `FacialExpressionClassifier`, such as "fer2013". Of a classifier, all layers but the
        last are used; of a regressor with as many outputs, all.
    loss : {"mse", "concordance"}, default="mse"
        Mean squared error on the scale of the tanh, or 1 minus the concordance [1]_ of a batch,
        averaged over the outputs [2]_, which needs batches in which ratings differ.
    target_range : tuple of two floats or None, default=(-1, 1)
        Ends of the scale of `y`, such as (1, 9) for ratings from 1 to 9. A rating outside is an
        error. None is the smallest and largest value of each column in the first fit: later
        ratings may lie outside, predictions do not.
    network_params, epochs, batch_size, learning_rate, optimizer, schedule, dropout, activation
        As in `FacialExpressionClassifier`.
    augment : {"none", "flip", "light", "strong"}, dict or None, default="light"
        As in `FacialExpressionClassifier`.
    validation_fraction : float, default=None
        As in `FacialExpressionClassifier`, but not stratified.
    early_stopping, reduce_lr, weight_average, fine_tune, checkpoint_dir
        As in `FacialExpressionClassifier`.
    test_time_augmentation : {"flip", "ten"} or None, default=None
        As in `FacialExpressionClassifier`; the ratings of the views are averaged.
    backend, mixed_precision, distribution, pixel_range, warm_start, callbacks, random_state
        As in `FacialExpressionClassifier`.
    verbose : "auto" or int, default="auto"
        As in `FacialExpressionClassifier`.

    Attributes
    ----------
    network_ : keras.Model
        Fitted network, from pixels to numbers in [-1, 1].
    n_outputs_ : int
        Number of columns of `y`.
    target_range_ : ndarray of shape (n_outputs, 2)
        Ratings at -1 and 1 of each output.
    history_ : dict of str to list of float
        `loss` and `concordance` of every epoch, `val_loss` and `val_concordance` if there were
        validation images, and `learning_rate` if `reduce_lr` was set. The metric is the
        concordance of all images, the loss "concordance" a mean over batches.
    n_iter_, fine_tune_epoch_, callbacks_, image_shape_, pixel_range_, n_features_in_
        As in `FacialExpressionClassifier`.

    See Also
    --------
    skfer.datasets.load_affect_table : Load images and ratings from a table.
    skfer.metrics.concordance_correlation : Concordance of ratings and predictions.
    skfer.inspection.CircumplexDisplay : Plot predictions and ratings.
    skfer.expressions_to_affect : Estimate ratings from the probabilities of a classifier.

    Notes
    -----
    All outputs share one network. `sklearn.multioutput.MultiOutputRegressor` fits one network for
    each output.

    Weights, batch normalisation and scikit-learn's callbacks are handled as in
    `FacialExpressionClassifier`.

    `score` is the R squared. For a search by concordance, use
    ``scoring=make_scorer(concordance_correlation)``.

    References
    ----------
    .. [1] Lin, L. I. (1989). A concordance correlation coefficient to evaluate reproducibility.
       Biometrics 45, 255-268.
    .. [2] Kollias, D. et al. (2019). Deep affect prediction in-the-wild: Aff-Wild database and
       challenge, deep architectures, and beyond. IJCV 127, 907-929.

    Mollahosseini, A., Hasani, B. & Mahoor, M. H. (2019). AffectNet: a database for facial
    expression, valence, and arousal computing in the wild. IEEE Transactions on Affective
    Computing 10, 18-31.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer import FacialAffectRegressor
    >>> from skfer.datasets import make_faces
    >>> faces = make_faces(200, random_state=0)
    >>> affect = np.column_stack([faces.valence, faces.arousal])
    >>> regressor = FacialAffectRegressor("mini_xception", epochs=1, random_state=0)
    >>> regressor.fit(faces.images, affect).predict(faces.images[:3]).shape
    (3, 2)

    One network for valence and one for arousal:

    >>> from sklearn.multioutput import MultiOutputRegressor
    >>> each = MultiOutputRegressor(regressor).fit(faces.images, affect)
    >>> each.predict(faces.images[:3]).shape, len(each.estimators_)
    ((3, 2), 2)
    """

    _parameter_constraints = {
        **NetworkEstimator._parameter_constraints,
        "loss": [StrOptions({"mse", "concordance"})],
        "target_range": [tuple, list, None],
    }

    def __init__(
        self,
        network: str | os.PathLike | keras.Model | Callable[..., keras.Model] | None = None,
        *,
        weights: str | os.PathLike | FrozenEstimator | None = None,
        loss: str = "mse",
        target_range: tuple[float, float] | None = (-1.0, 1.0),
        network_params: dict | None = None,
        epochs: int | None = None,
        batch_size: int = 32,
        learning_rate: float | None = None,
        optimizer: str | keras.optimizers.Optimizer = "adam",
        schedule: str | None = "auto",
        dropout: float | None = None,
        activation: str | None = None,
        augment: str | dict | None = "light",
        validation_fraction: float | None = None,
        early_stopping: bool | int = False,
        reduce_lr: bool | dict = False,
        weight_average: float | None = None,
        fine_tune: dict | None = None,
        checkpoint_dir: str | os.PathLike | None = None,
        test_time_augmentation: str | None = None,
        backend: str = "auto",
        mixed_precision: str | None = None,
        distribution: str | tf.distribute.Strategy | Callable | None = None,
        pixel_range: tuple[float, float] = (0.0, 1.0),
        warm_start: bool = False,
        callbacks: list[keras.callbacks.Callback] | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int | str = "auto",
    ):
        self.network = network
        self.weights = weights
        self.loss = loss
        self.target_range = target_range
        self.network_params = network_params
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.schedule = schedule
        self.dropout = dropout
        self.activation = activation
        self.augment = augment
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.reduce_lr = reduce_lr
        self.weight_average = weight_average
        self.fine_tune = fine_tune
        self.checkpoint_dir = checkpoint_dir
        self.test_time_augmentation = test_time_augmentation
        self.backend = backend
        self.mixed_precision = mixed_precision
        self.distribution = distribution
        self.pixel_range = pixel_range
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None
    ) -> FacialAffectRegressor:
        """Fit the network.

        Parameters
        ----------
        X : batch of n images
            All of one size: arrays, paths or bytes.
        y : array-like of shape (n,) or (n, n_outputs)
            Ratings in `target_range`, such as valence and arousal.
        sample_weight : array-like of shape (n,), default=None
            Weight of each image in the loss. Only ratios count.
        X_val, y_val : like X and y, default=None
            Validation images, instead of a part of `X`; in a Pipeline as for
            `FacialExpressionClassifier`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If images or ratings are not valid; the message names the first.
        TypeError
            If one of `callbacks` cannot be copied.
        """
        task = self._begin_fit(X, y, sample_weight)
        with self._restore_on_error():
            new = not (self.warm_start and self.__sklearn_is_fitted__())
            examples = self._examples(X, y, sample_weight, reset=True, new=new)
            self._fit_network(
                examples,
                self._validation(X_val, y_val),
                n_outputs=self.n_outputs_,
                new=new,
                task=task,
            )
        end_fit(task)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> FacialAffectRegressor:
        """Train one further epoch on a part of the data.

        The layers that the last fit trained are trained. The first call skips frozen epochs.
        `early_stopping`, `reduce_lr` and `validation_fraction` have no effect. A changed
        `learning_rate` is used from the next call on; another `optimizer` starts with new state.
        The first call after a fit with a `schedule` starts a new optimizer with a constant rate.

        Parameters
        ----------
        X : batch of n images
        y : array-like of shape (n,) or (n, n_outputs)
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If images or ratings are not valid; the message names the first.
        TypeError
            If one of `callbacks` cannot be copied.
        """
        with self._restore_on_error():
            first = not self.__sklearn_is_fitted__()
            examples = self._examples(X, y, sample_weight, reset=first, new=first)
            self._fit_network(examples, None, n_outputs=self.n_outputs_, new=first, partial=True)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the ratings of every image.

        Parameters
        ----------
        X : batch of n images
            Of the size and on the scale of the training images.

        Returns
        -------
        ndarray of shape (n,) or (n, n_outputs)
            On the scale and in the shape of `y`.

        Raises
        ------
        ValueError
            If an image cannot be read or has another size or scale than the training images.
        """
        check_is_fitted(self)
        low, high = self.target_range_.T
        estimates = (low + high) / 2 + (high - low) / 2 * self._forward(X)
        return estimates[:, 0] if self._one_column else estimates

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _examples(self, X: Any, y: Any, sample_weight: Any, *, reset: bool, new: bool) -> Examples:
        """Return checked examples; `new` sets the scale of the ratings."""
        images, ratings = self._image_and_rating_arrays(X, y, reset=reset)
        if new:
            columns = ratings.reshape(len(ratings), -1)
            self._one_column = ratings.ndim == 1
            self.n_outputs_ = columns.shape[1]
            self.target_range_ = _rating_range(columns, self.target_range)
        targets = self._targets(ratings, "y")
        return _training.Examples(
            images, None, targets, self._checked_weights(sample_weight, images)
        )

    def _validation_examples(self, X: Any, y: Any) -> Examples:
        images, ratings = self._image_and_rating_arrays(X, y, reset=False, name="y_val")
        return _training.Examples(images, None, self._targets(ratings, "y_val"))

    def _image_and_rating_arrays(
        self, X: Any, y: Any, *, reset: bool, name: str = "y"
    ) -> tuple[np.ndarray, np.ndarray]:
        if y is not None:
            _refuse_missing(y, name)
        images, y = self._image_and_target_arrays(
            X, y, reset=reset, multi_output=True, y_numeric=True
        )
        return images, y.astype(np.float64)

    def _targets(self, ratings: np.ndarray, name: str) -> np.ndarray:
        """Return ratings on the scale of the tanh, ``(n, n_outputs)`` float32."""
        ratings = ratings.reshape(len(ratings), -1)
        if ratings.shape[1] != self.n_outputs_:
            raise ValueError(
                f"{name} has {ratings.shape[1]} columns, but {type(self).__name__} was fitted on "
                f"{self.n_outputs_}."
            )
        if self.target_range is not None:
            _refuse_outside(ratings, self.target_range_, name)
        low, high = self.target_range_.T
        width = np.where(high > low, (high - low) / 2, 1)  # a constant column stays at its middle
        return ((ratings - (low + high) / 2) / width).astype(np.float32)

    def _objective(self, targets: np.ndarray, n_outputs: int) -> dict[str, Any]:
        if self.loss == "concordance" and self.batch_size == 1:
            raise ValueError(
                "loss='concordance' compares the images of a batch, so batch_size=1 is too small: "
                "set a larger batch_size, or loss='mse'."
            )
        return {
            "loss": "mean_squared_error" if self.loss == "mse" else _training.concordance_loss,
            "metrics": lambda: [_training.Concordance(n_outputs)],
            "target_transform": None,
        }

    def _adapt_head(self, body: keras.Model) -> keras.Model:
        from skfer.networks._layers import replace_softmax

        replace_softmax(body, "tanh")
        return body

    def _describe_targets(self, n_outputs: int) -> str:
        return f"{n_outputs} columns of y"


def _rating_range(ratings: np.ndarray, target_range: tuple[float, float] | None) -> np.ndarray:
    """Return the ratings at -1 and 1 of the tanh, ``(n_columns, 2)``."""
    if target_range is None:
        return np.column_stack([ratings.min(axis=0), ratings.max(axis=0)])
    if len(target_range) != 2 or not target_range[0] < target_range[1]:
        raise ValueError(
            f"target_range must be (low, high), such as (-1, 1), or None; got {target_range!r}."
        )
    return np.tile(np.asarray(target_range, np.float64), (ratings.shape[1], 1))


def _refuse_missing(ratings: Any, name: str) -> None:
    """Raise an error if a rating is missing."""
    try:
        numbers = np.atleast_1d(np.asarray(ratings))
        if numbers.dtype.kind == "c":  # refused by scikit-learn's checks
            return
        numbers = numbers.astype(float)
    except (TypeError, ValueError):  # not numbers, refused by scikit-learn's checks
        return
    missing = np.flatnonzero(np.isnan(numbers).reshape(len(numbers), -1).any(axis=1))
    if len(missing):
        raise ValueError(
            f"{name}[{missing[0]}] holds NaN: ratings of {len(missing)} of {len(numbers)} images "
            "are missing. Leave these images out."
        )


def _refuse_outside(ratings: np.ndarray, target_range: np.ndarray, name: str) -> None:
    """Raise an error if a rating is outside `target_range`."""
    low, high = target_range[0].tolist()
    outside = np.flatnonzero(((ratings < low) | (ratings > high)).any(axis=1))
    if len(outside):
        raise ValueError(
            f"{name}[{outside[0]}] is {ratings[outside[0]].tolist()}, outside target_range="
            f"{(low, high)}, as {len(outside)} of {len(ratings)} ratings are. "
            "AffectNet's -2 stands for no rating: leave those images out. For another scale, "
            "set its ends, such as target_range=(1, 9), or None for those of the data."
        )

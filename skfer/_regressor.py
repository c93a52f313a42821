"""`FacialAffectRegressor`: valence and arousal of a face, by a Keras CNN."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from sklearn.base import RegressorMixin, _fit_context
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Tags
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from skfer._keras_estimator import KerasEstimator
from skfer._rating_scale import ends_of_scale, from_tanh, refuse_missing, refuse_outside, to_tanh
from skfer._scikit_callbacks import begin_fit, end_fit
from skfer.networks._anatomy import exchange_softmax
from skfer.training import Concordance, Examples, TargetRule, concordance_loss


class FacialAffectRegressor(RegressorMixin, KerasEstimator):
    """Estimate valence and arousal, or other ratings, of a face with a convolutional network.

    The networks are those of `FacialExpressionClassifier`, with a tanh in the place of the
    softmax: an output for each column of `y`, bounded by the ends of the scale that people rated
    on. Before it in a `Pipeline` stand `FaceCropper` and `GrayscaleResizer`.

    Parameters
    ----------
    network : str, path, keras.Model, callable or None, default=None
        As in `FacialExpressionClassifier`. A softmax at its end is exchanged for a tanh; a saved
        model or a function of yours that ends otherwise is taken as it is.
    weights : str, path or FrozenEstimator, default=None
        As in `FacialExpressionClassifier`: "fer2013" starts from a network that knows
        expressions. Of a classifier all but the last layer is taken, of another regressor with as
        many outputs all.
    loss : {"mse", "concordance"}, default="mse"
        What is made small: the mean squared error on tanh's scale, or 1 less the concordance [1]_
        within a batch, averaged over the outputs [2]_. The second wants batches in which
        ratings differ.
    target_range : tuple of two floats or None, default=(-1, 1)
        Ends of the scale of `y`, such as (1, 9) for ratings from 1 to 9, which become tanh's -1
        and 1. A rating outside is an error. None takes the smallest and largest of each column in
        the first fit; later ones may lie outside, and predictions can't.
    network_params, epochs, batch_size, learning_rate, optimizer, schedule, dropout, activation
        As in `FacialExpressionClassifier`.
    augment : {"none", "flip", "light", "strong"}, dict or None, default="light"
        As in `FacialExpressionClassifier`.
    validation_fraction : float, default=None
        As in `FacialExpressionClassifier`; the part is drawn from all images alike.
    early_stopping, patience, reduce_lr, weight_average, frozen_epochs, fine_tune_from
        As in `FacialExpressionClassifier`.
    fine_tune_learning_rate, checkpoint_dir
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
        The fitted network, from pixels to numbers in [-1, 1].
    n_outputs_ : int
        Columns of `y`.
    target_range_ : ndarray of shape (n_outputs, 2)
        What -1 and 1 of each output stand for.
    history_ : dict of str to list of float
        `loss` and `concordance` of every epoch, `val_loss` and `val_concordance` if there were
        validation images, and `learning_rate` if `reduce_lr` was set. The concordance is that of
        all images, the loss "concordance" the mean over batches.
    n_iter_, fine_tune_epoch_, callbacks_, image_shape_, pixel_range_, n_features_in_
        As in `FacialExpressionClassifier`.

    See Also
    --------
    skfer.datasets.load_affect_table : Images and ratings as AffectNet has them.
    skfer.metrics.concordance_correlation : The figure that such systems are compared by.
    skfer.inspection.CircumplexDisplay : Predictions beside ratings.
    skfer.expressions_to_affect : A baseline from the probabilities of a classifier.

    Notes
    -----
    All outputs share one network. For a network of its own for each, put it into
    `sklearn.multioutput.MultiOutputRegressor`, which takes images, and a place in a Pipeline and in
    a search, as this class does.

    Weights, batch normalisation and scikit-learn's callbacks are treated as by
    `FacialExpressionClassifier`.

    `score` is R squared, as of every regressor. A search by concordance has
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
        **KerasEstimator._parameter_constraints,
        "loss": [StrOptions({"mse", "concordance"})],
        "target_range": [tuple, list, None],
    }

    n_outputs_: int
    target_range_: np.ndarray

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
        early_stopping: bool = False,
        patience: int = 5,
        reduce_lr: bool | dict = False,
        weight_average: float | None = None,
        frozen_epochs: int | None = None,
        fine_tune_from: str | int | None = None,
        fine_tune_learning_rate: float | None = None,
        checkpoint_dir: str | os.PathLike | None = None,
        test_time_augmentation: str | None = None,
        backend: str = "keras",
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
        self.patience = patience
        self.reduce_lr = reduce_lr
        self.weight_average = weight_average
        self.frozen_epochs = frozen_epochs
        self.fine_tune_from = fine_tune_from
        self.fine_tune_learning_rate = fine_tune_learning_rate
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
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
    ) -> FacialAffectRegressor:
        """Fit the network.

        Parameters
        ----------
        X : batch of n images
            All of one size: arrays, paths or bytes.
        y : array-like of shape (n,) or (n, n_outputs)
            Ratings within `target_range`, such as valence and arousal.
        sample_weight : array-like of shape (n,), default=None
            Weight of each image in the loss. Only ratios count.
        X_val, y_val : like X and y, default=None
            Images to watch instead of a part of `X`; in a Pipeline as for
            `FacialExpressionClassifier`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If images or ratings are not what they must be; the message names the first.
        TypeError
            If one of `callbacks` cannot be copied.
        """
        task = begin_fit(self, X, y, sample_weight, epochs=self._most_epochs(X))
        with self._all_or_nothing():
            go_on = self.warm_start and hasattr(self, "network_")
            examples = self._examples(X, y, sample_weight, reset=True, anew=not go_on)
            self._fit_network(
                examples,
                self._validation(X_val, y_val),
                n_outputs=self.n_outputs_,
                anew=not go_on,
                task=task,
            )
        end_fit(self, task)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> FacialAffectRegressor:
        """Train one epoch on a part of the data, going on from what was learnt before.

        The layers that the last fit ended with are trained; the first call knows no
        `frozen_epochs`. Nothing is watched: `early_stopping`, `reduce_lr` and
        `validation_fraction` have no effect. A `learning_rate` that was set since the last call
        counts from then on; another `optimizer` starts anew.

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
            If images or ratings are not what they must be; the message names the first.
        TypeError
            If one of `callbacks` cannot be copied.
        """
        with self._all_or_nothing():
            first = not hasattr(self, "network_")
            examples = self._examples(X, y, sample_weight, reset=first, anew=first)
            self._fit_network(examples, None, n_outputs=self.n_outputs_, anew=first, partial=True)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The ratings of every image.

        Parameters
        ----------
        X : batch of n images
            Of the size and on the scale of those fitted on.

        Returns
        -------
        ndarray of shape (n,) or (n, n_outputs)
            On the scale of `y`, in its shape.

        Raises
        ------
        ValueError
            If an image can't be read, or has not the size and scale of those fitted on.
        """
        check_is_fitted(self, "network_")
        estimates = from_tanh(self._forward(X), self.target_range_)
        return estimates[:, 0] if self._one_column else estimates

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _examples(self, X: Any, y: Any, sample_weight: Any, *, reset: bool, anew: bool) -> Examples:
        """Images, targets in [-1, 1] and weights, checked; `anew` fixes what -1 and 1 are."""
        images, ratings = self._ratings(X, y, reset=reset)
        if anew:
            columns = ratings.reshape(len(ratings), -1)
            self._one_column = ratings.ndim == 1
            self.n_outputs_ = columns.shape[1]
            self.target_range_ = ends_of_scale(columns, self.target_range)
        targets = self._targets(ratings, "y")
        return Examples(images, None, targets, self._weights(sample_weight, images))

    def _watched(self, X: Any, y: Any) -> Examples:
        images, ratings = self._ratings(X, y, reset=False, name="y_val")
        return Examples(images, None, self._targets(ratings, "y_val"))

    def _ratings(
        self, X: Any, y: Any, *, reset: bool, name: str = "y"
    ) -> tuple[np.ndarray, np.ndarray]:
        if y is not None:
            refuse_missing(y, name)
        images, y = self._images_and_targets(X, y, reset=reset, multi_output=True, y_numeric=True)
        return images, y.astype(np.float64)

    def _targets(self, ratings: np.ndarray, name: str) -> np.ndarray:
        """Ratings on tanh's scale, ``(n, n_outputs)`` float32."""
        ratings = ratings.reshape(len(ratings), -1)
        if ratings.shape[1] != self.n_outputs_:
            raise ValueError(
                f"{name} has {ratings.shape[1]} columns, but {type(self).__name__} was fitted on "
                f"{self.n_outputs_}."
            )
        if self.target_range is not None:
            refuse_outside(ratings, self.target_range_, name)
        return to_tanh(ratings, self.target_range_)

    def _target_rule(self, targets: np.ndarray, n_outputs: int, mixes: bool) -> TargetRule | None:
        return None

    def _loss(self, rule: TargetRule | None) -> Any:
        if self.loss == "mse":
            return "mean_squared_error"
        if self.batch_size == 1:
            raise ValueError(
                "loss='concordance' compares the images of a batch, of which batch_size=1 leaves "
                "none to compare: set a larger batch_size, or loss='mse'."
            )
        return concordance_loss

    def _metrics(self) -> list[Any]:
        return [Concordance(self.n_outputs_)]

    def _ending(self, body: keras.Model) -> keras.Model:
        exchange_softmax(body, "tanh")
        return body

    def _check_outputs(self) -> None:
        """Any numbers will do: a network of the user's own may end as it likes."""

    def _outputs(self, n_outputs: int) -> str:
        return f"{n_outputs} columns of y"

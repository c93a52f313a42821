"""`FacialExpressionClassifier`: a Keras CNN as a scikit-learn classifier."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from skfer._documentation import page
from skfer._keras_estimator import KerasEstimator
from skfer._labels import encoding_hint, label_array, label_codes
from skfer._labels_and_votes import labels_in_order, votes_by_class, weights_of_classes
from skfer._scikit_callbacks import begin_fit, end_fit
from skfer._utils import shorten
from skfer.metrics import apply_class_prior, apply_temperature
from skfer.networks._keras_file import (
    is_json_text,
    is_model,
    load_model_file,
    load_weights,
    model_name,
)
from skfer.networks._keras_settings import standard_keras
from skfer.networks._rebuild import rebuilt
from skfer.training import (
    VOTE_MODES,
    Examples,
    TargetRule,
    best_accepted,
    oversampled,
    vote_targets,
)


class FacialExpressionClassifier(ClassifierMixin, KerasEstimator):
    """Name the expression on a face with a convolutional network.

    The classifier takes face images of one size and fits a Keras network to their labels.
    Before it in a `Pipeline` stand `FaceCropper`, which finds the faces, and
    `GrayscaleResizer`, which brings them to one size.

    Parameters
    ----------
    network : str, path, keras.Model, callable or None, default=None
        A name from `skfer.networks.list_networks`; a built Keras model or the path of a saved one
        (``.keras`` or ``.h5``), from a copy of which the fit starts, with a new last layer if it
        has another number of outputs than there are labels; or a function
        ``(input_shape, n_outputs) -> keras.Model`` that ends in a softmax. None is the network
        of `weights`, and "small_cnn" without them. A 1x1 convolution with a stride becomes a
        pooling and a convolution, which compute the same.
    weights : str, path or FrozenEstimator, default=None
        Weights that the fit starts from: a name from `skfer.list_pretrained`, such as "fer2013";
        "imagenet" (downloaded by Keras) for a network of `keras.applications`; the path of a
        saved Keras model of the same network; a fitted classifier inside a
        `sklearn.frozen.FrozenEstimator`. Of its last layer, the outputs for labels that both
        have are taken; a file's, which knows no labels, is taken if it has as many outputs. The
        rest starts at random; None is all at random.
    network_params : dict, default=None
        Further parameters of the network's function, such as ``{"dense_units": 1024}``.
    epochs : int or None, default=None
        Passes over the training images. None depends on the number of images: from scratch as
        many as see 28,000 images, at least 12 and at most 80; with `weights` as many as see
        2,000, at least 5 and at most 30. `n_iter_` is their number.
    batch_size : int, default=32
        Images a step, on all devices together.
    learning_rate : float, default=None
        Rate to start from, or the highest of a `schedule`. None is 0.008 if the network is
        "small_cnn" by default, trained by "adam" along a cosine, and else the optimiser's own.
    optimizer : str or keras.optimizers.Optimizer, default="adam"
        Keras's name of it, or an instance, of which only the settings are used.
    schedule : {"auto", "cosine", "one_cycle"} or None, default="auto"
        Course of the rate over the steps of the fit, or of each of its two phases: "cosine" warms
        up over 5 % of them and falls to 0, "one_cycle" rises over 30 %. None keeps it. "auto" is
        "cosine", and None if `reduce_lr` or a schedule of the optimiser sets the rate, and in
        `partial_fit`.
    dropout : float, default=None
        Share of activations dropped in the network's blocks, in [0, 1); None is the
        network's own.
    activation : str, default=None
        Keras's name of the activation, such as "elu"; None is the network's own.
    augment : {"none", "flip", "light", "strong"}, dict or None, default="light"
        Random changes to the training images: "flip" mirrors them, "light" also turns
        (10 degrees), shifts (8 %) and zooms (10 %) them, "strong" goes further and changes
        the light too. A dict sets one by one `flip`, `rotation` and `shear` (degrees), `shift`
        and `zoom` (shares), `brightness` and `contrast` (shares), `noise` (share of the pixel
        range), `blur` (pixels), `erasing` (probability) and `mixup` (alpha of its
        distribution).
    oversample : bool or float, default=False
        Fill smaller classes up to the size of the largest, or to this share of it in (0, 1], with
        repeated images, which `augment` makes differ.
    label_smoothing : float, default=0
        Share of every training target that is spread evenly over all classes, in [0, 1).
    vote_mode : {"cross_entropy", "probabilistic", "majority", "multi_target"}, \
            default="cross_entropy"
        What the `votes` given to `fit` stand for: shares to be predicted, chances by which a
        label is drawn whenever the image is seen, the one label with most of them, or labels
        of which each is right that has 30 % of the votes [1]_.
    class_weight : dict, "balanced" or None, default=None
        Weight of each label in the loss; "balanced" is inverse to its frequency. Weights are
        finite and not negative; a label that the dict lacks has 1. `val_loss` knows none of
        them, whether `validation_fraction` or `X_val` gives its images.
    classes : sequence of labels or dict, default=None
        All labels there are, where `y` may lack some. If `network` is a Keras model, in the
        order of its outputs, or a dict as in `from_keras`.
    validation_fraction : float, default=None
        Share of the training images held out, stratified, to compute `val_loss` and
        `val_accuracy` after every epoch, in (0, 1). None holds out 0.1 if `early_stopping`
        or `reduce_lr` needs it and nothing otherwise. Not used if `X_val` is given to `fit`.
    early_stopping : bool, default=False
        Stop when `val_loss` has not improved for `patience` epochs; the weights of the best
        epoch are kept, with `frozen_epochs` that of both phases.
    patience : int, default=5
        Epochs without improvement that `early_stopping` bears.
    reduce_lr : bool or dict, default=False
        Multiply the rate by 0.1 when `val_loss` has not improved for 2 epochs. A dict sets
        parameters of `keras.callbacks.ReduceLROnPlateau`, such as ``{"factor": 0.2}``.
    weight_average : float, default=None
        Predict with an average of the weights over the steps of the fit, of which this share
        stays at every step, such as 0.999. None predicts with the last weights.
    frozen_epochs : int or None, default=None
        The first so many of the `epochs` train only the head of the network, the layers after
        its last feature map. Then fine-tuning begins: deeper layers train too, with batch
        normalisation frozen. None is a third of the epochs with `weights`, and 0 without. 0
        trains all layers at `learning_rate` from the start.
    fine_tune_from : str or int, default=None
        Layers that fine-tuning trains: those from the one of this name on, or the last so
        many that have weights. None is all. With no `frozen_epochs`, the whole fit.
    fine_tune_learning_rate : float, default=None
        Rate of fine-tuning; None is a tenth of `learning_rate` after frozen epochs or with
        `weights`, and `learning_rate` if `frozen_epochs` is 0.
    checkpoint_dir : path, default=None
        Folder in which to keep the state of the fit after every epoch. A fit that was killed
        goes on from there when it is started again with the same data and parameters, an int
        as `random_state` among them; one that is done leaves no file. The memory of `callbacks`
        is not kept.
    test_time_augmentation : {"flip", "ten"} or None, default=None
        Average the probabilities of the image and its mirror image, or of both at five places.
    temperature : float, default=None
        Above 1 probabilities come nearer to one another, below 1 they go apart; labels stay. They
        become proportional to their power of 1 / temperature, after any averaging.
        `skfer.metrics.fit_temperature` finds the one that suits held-out images. None takes
        `temperature_`, which belongs to the weights: that of `skfer.load_pretrained`, and 1 after
        a fit.
    class_prior : "uniform", array-like of shape (n_classes,) or None, default=None
        Expected shares of the classes among the images to predict, in the order of `classes_`.
        Probabilities are multiplied by the ratio of these shares to `class_prior_`, the training's.
        "uniform" expects all classes alike: rare classes are found more often, at the cost of
        accuracy where they are rare. None expects the training's shares.
        `skfer.metrics.estimate_class_prior` estimates them from unlabelled images.
    backend : {"keras", "onnx", "onnx-int8"}, default="keras"
        What predicts: the Keras network as one TensorFlow graph, or ONNX Runtime on the
        processor, which takes less time for single images and more for many (extra ``onnx``).
        The probabilities are the same to 1e-5. "onnx-int8" computes in 8 bits, scaled to what
        the network makes of drawn faces, in less than half the time. With the weights "fer2013" on
        FER2013's PublicTest, 1.6 % of the labels change; a probability changes by 0.001 in the
        median, by 0.09 at the 99.9 % quantile, and by 0.31 at most.
    mixed_precision : {"auto", "bfloat16", "float16"} or None, default=None
        Numbers to train in. None is float32, the same on every machine; "auto" takes what
        is fastest on this one. Weights and predictions are float32 in any case.
    distribution : "mirrored", tf.distribute.Strategy, callable or None, default=None
        Devices to train on: "mirrored" shares each batch out to all graphics cards of this
        machine; or a strategy of yours; or a function that returns one, called once in a
        process. None is one device. Predictions are made on one in any case. A strategy is
        shared by clones and left out of pickles; names and functions go along.
    pixel_range : tuple of two floats, default=(0, 1)
        Lowest and highest pixel value the network expects. Images are brought from their own
        scale to this one in the network's first layer.
    warm_start : bool, default=False
        Whether `fit` starts from the weights of the last fit.
    callbacks : list of keras.callbacks.Callback, default=None
        Called during the fit. Every fit uses deep copies, which are `callbacks_` after it: read
        there what a callback has recorded. Each phase is a training of its own to them.
    random_state : int, RandomState instance or None, default=None
        Decides weights, dropout, order of the images and augmentation. The same int gives
        the same weights on the same machine with as many threads.
    verbose : "auto" or int, default="auto"
        0 is silent, 1 a progress bar, 2 a line for each epoch. "auto" is silent if the fit takes
        less than a minute. Of a longer one it prints the estimated time at the start, which 1 and
        2 do too, and then a line for each epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; the order of the columns of `predict_proba`.
    class_prior_ : ndarray of shape (n_classes,)
        Shares of the classes in training: the mean of the targets, with weights, `oversample` and
        `label_smoothing`. Set it before `class_prior` is used if the network is a saved model.
    network_ : keras.Model
        The fitted network, from pixels to probabilities.
    temperature_ : float
        Temperature that belongs to the weights, used where `temperature` is None. Every fit resets
        it to 1.
    history_ : dict of str to list of float
        `loss` and `accuracy` of every epoch, `val_loss` and `val_accuracy` if there were
        validation images, and `learning_rate` if `reduce_lr` was set.
    n_iter_ : int
        Epochs run.
    fine_tune_epoch_ : int or None
        Epochs run before fine-tuning began.
    callbacks_ : list of keras.callbacks.Callback
        The copies of `callbacks` that the last `fit` or `partial_fit` called. Pickles and files
        leave them out.
    image_shape_ : tuple of int
        Height, width and channels of the images fitted on.
    pixel_range_ : PixelRange
        Scale of the pixels fitted on.
    n_features_in_ : int
        Length of the rows, if `X` was flat rows.

    See Also
    --------
    skfer.preprocessing.FaceCropper : Cuts the faces out of photos.
    skfer.preprocessing.GrayscaleResizer : Brings them to one size.

    Notes
    -----
    Only the ratios of `sample_weight` and `class_weight` count: they are scaled to a mean of 1.
    In `partial_fit` this holds for the `sample_weight` of each call.

    Keras's batch normalisation averages over some hundred steps. While a fit has fewer than 400
    steps an epoch, layers with a momentum of 0.99 (Keras's default) or more get a lower one, down
    to 0.5. A layer with a lower momentum of its own, such as 0.9 or 0.9899, keeps it.

    scikit-learn's callbacks (scikit-learn 1.9, ``set_callbacks``) are told of every epoch. The
    `fitted_estimator` that they get has the `history_` so far.

    A pickle holds the weights once and no state of the optimiser: `partial_fit` after loading
    starts its moments anew.

    References
    ----------
    .. [1] Barsoum, E. et al. (2016). Training deep networks for facial expression recognition
       with crowd-sourced label distribution. ICMI.

    Goodfellow, I. et al. (2013). Challenges in representation learning: a report on three
    machine learning contests. ICONIP (FER2013).

    Examples
    --------
    >>> from skfer import FacialExpressionClassifier
    >>> from skfer.datasets import make_faces
    >>> faces = make_faces(200, classes=["happy", "sad"], random_state=0)
    >>> classifier = FacialExpressionClassifier("little_vgg", epochs=1, random_state=0)
    >>> classifier.fit(faces.images, faces.labels).predict_proba(faces.images[:3]).shape
    (3, 2)
    """

    _parameter_constraints = {
        **KerasEstimator._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "class_prior": [StrOptions({"uniform"}), "array-like", None],
        "classes": ["array-like", None],
        "oversample": ["boolean", Interval(Real, 0, 1, closed="right")],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither"), None],
        "vote_mode": [StrOptions(set(VOTE_MODES))],
    }

    def __init__(
        self,
        network: str | os.PathLike | keras.Model | Callable[..., keras.Model] | None = None,
        *,
        weights: str | os.PathLike | FrozenEstimator | None = None,
        network_params: dict | None = None,
        epochs: int | None = None,
        batch_size: int = 32,
        learning_rate: float | None = None,
        optimizer: str | keras.optimizers.Optimizer = "adam",
        schedule: str | None = "auto",
        dropout: float | None = None,
        activation: str | None = None,
        augment: str | dict | None = "light",
        oversample: bool | float = False,
        label_smoothing: float = 0.0,
        vote_mode: str = "cross_entropy",
        class_weight: dict | str | None = None,
        classes: Sequence | dict | None = None,
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
        temperature: float | None = None,
        class_prior: str | Sequence[float] | np.ndarray | None = None,
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
        self.network_params = network_params
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.schedule = schedule
        self.dropout = dropout
        self.activation = activation
        self.augment = augment
        self.oversample = oversample
        self.label_smoothing = label_smoothing
        self.vote_mode = vote_mode
        self.class_weight = class_weight
        self.classes = classes
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
        self.temperature = temperature
        self.class_prior = class_prior
        self.backend = backend
        self.mixed_precision = mixed_precision
        self.distribution = distribution
        self.pixel_range = pixel_range
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    @standard_keras()
    def from_keras(
        cls,
        model: str | os.PathLike | keras.Model,
        *,
        classes: Sequence | dict,
        weights: str | os.PathLike | None = None,
        **parameters: Any,
    ) -> FacialExpressionClassifier:
        """Build a classifier from a Keras model that was trained elsewhere.

        It predicts at once; `fit` goes on training from the model's weights.

        Parameters
        ----------
        model : str, path or keras.Model
            A model that ends in a softmax: the path of a whole model (``.keras``, ``.h5`` or
            ``.hdf5``); the path or the text of an architecture in JSON, with `weights`; or a built
            model, of which a copy is used. No code of a file runs: models with a ``Lambda`` layer
            are refused.
        classes : sequence of labels or dict
            In the order of the model's outputs, or a dict from output to label or from label to
            output, as Keras's ``class_indices`` is. Keras's folder readers sort labels by name.
        weights : str or path, default=None
            File of the weights, if `model` is an architecture; replaces the weights of other
            models.
        **parameters : dict
            Further parameters of the classifier. ``pixel_range`` is what the model expects:
            the default (0, 1) suits models trained with ``rescale=1/255``; (-1, 1) models trained
            on ``pixels / 127.5 - 1``, such as the public mini-XCEPTION files; (0, 255) models
            trained on bare pixels or with a scaling layer of their own. A wrong range costs
            accuracy and raises no error.

        Returns
        -------
        FacialExpressionClassifier
            Fitted, for uint8 images or floats from 0 to 255.

        Raises
        ------
        ValueError
            If the file is no such model or the number of classes does not match.

        Notes
        -----
        For labels of your own, fit a classifier with the model as its network:
        ``FacialExpressionClassifier("model.keras", frozen_epochs=2).fit(X, y)`` gives it a new
        last layer if it has another number of outputs.

        Examples
        --------
        >>> from skfer import FacialExpressionClassifier
        >>> from skfer.datasets import make_faces
        >>> from skfer.networks import build_network
        >>> model = build_network("little_vgg", (48, 48, 1), 2)
        >>> classifier = FacialExpressionClassifier.from_keras(
        ...     model, classes={"sad": 0, "happy": 1}, pixel_range=(0, 1)
        ... )
        >>> classifier.predict_proba(make_faces(3, random_state=0).images).shape
        (3, 2)
        """
        if weights is not None and isinstance(model, keras.Model):
            model = rebuilt(model)
            load_weights(model, weights)
        elif weights is not None or is_json_text(model):
            model = load_model_file(model, weights)
        if isinstance(model, str) and not is_model(model):
            model = Path(model)  # so that it is not taken for a network's name
        self = cls(model, classes=labels_in_order(classes), **parameters)
        self._validate_params()
        self.classes_ = self._sorted_classes()
        self._build_from_model(len(self.classes_))
        self.temperature_ = 1.0
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        votes: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
    ) -> FacialExpressionClassifier:
        """Fit the network.

        Parameters
        ----------
        X : batch of n images
            All of one size: arrays, paths or bytes.
        y : array-like of shape (n,)
            Labels, strings or integers, of 2 classes or more.
        sample_weight : array-like of shape (n,), default=None
            Weight of each image in the loss. Only ratios count.
        votes : array-like of shape (n, n_classes), default=None
            How many annotators chose each label, or shares of them; columns in the order of
            `classes_`, or a table with their names. What is learnt then follows `vote_mode`; `y`
            stays the labels that scores are made with.
        X_val, y_val : like X and y, default=None
            Images to watch instead of a part of `X`. In a Pipeline, request them with
            ``set_fit_request(X_val=True, y_val=True)`` and name ``X_val`` in the Pipeline's
            ``transform_input``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If images or labels are not what they must be; the message names the first.
        TypeError
            If one of `callbacks` cannot be copied.
        """
        task = begin_fit(self, X, y, sample_weight, epochs=self._most_epochs(X))
        with self._all_or_nothing():
            examples, labels = self._examples(X, y, sample_weight, reset=True)
            go_on = self.warm_start and hasattr(self, "network_")
            if not go_on:
                self.classes_ = self._sorted_classes(labels)
            self._check_class_weight()
            targets = codes = self._codes(labels)
            if votes is not None:
                votes = votes_by_class(votes, len(labels), self.classes_)
                targets = vote_targets(votes, self.vote_mode)
            examples = examples._replace(codes=codes, targets=targets)
            self.class_prior_ = self._target_shares(examples)
            self._fit_network(
                examples,
                self._validation(X_val, y_val),
                n_outputs=len(self.classes_),
                anew=not go_on,
                task=task,
            )
            self.temperature_ = 1.0
        end_fit(self, task)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> FacialExpressionClassifier:
        """Train one epoch on a part of the data, going on from what was learnt before.

        The layers that the last fit ended with are trained; the first call knows no
        `frozen_epochs`. Nothing is watched: `early_stopping`, `reduce_lr` and
        `validation_fraction` have no effect. A `learning_rate` that was set since the last call
        counts from then on; another `optimizer` starts anew.

        Parameters
        ----------
        X : batch of n images
        y : array-like of shape (n,)
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; needed in the first call unless the parameter
            `classes` holds them.
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If images or labels are not what they must be, or `classes` are missing in the first
            call or others than in it.
        TypeError
            If one of `callbacks` cannot be copied.
        """
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' is not known from a part of the data: give partial_fit a "
                "dict of weights, such as sklearn.utils.compute_class_weight makes of all labels."
            )
        with self._all_or_nothing():
            first = not hasattr(self, "network_")
            examples, y = self._examples(X, y, sample_weight, reset=first)
            if first:
                if classes is None and self.classes is None:
                    raise ValueError("classes must be passed on the first call to partial_fit.")
                known = None if classes is None else label_array(classes, "classes")
                self.classes_ = self._sorted_classes(known)
            elif classes is not None and not np.array_equal(self.classes_, np.unique(classes)):
                raise ValueError(
                    f"classes={shorten(list(classes))} is not the same as on the first call to "
                    f"partial_fit: {shorten(self.classes_.tolist())}."
                )
            self._check_class_weight()
            codes = self._codes(y)
            examples = examples._replace(codes=codes, targets=codes)
            shares, n_before = self._target_shares(examples), 0 if first else self.n_iter_
            if hasattr(self, "class_prior_") and n_before:
                shares = (n_before * self.class_prior_ + shares) / (n_before + 1)
            self.class_prior_ = shares
            self._fit_network(
                examples,
                None,
                n_outputs=len(self.classes_),
                anew=first,
                partial=True,
            )
            self.temperature_ = 1.0
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of every class.

        Parameters
        ----------
        X : batch of n images
            Of the size and on the scale of those fitted on.

        Returns
        -------
        ndarray of shape (n, n_classes), float32
            Columns in the order of `classes_`; rows sum to 1.

        Raises
        ------
        ValueError
            If an image can't be read, or has not the size and scale of those fitted on, or
            `class_prior` does not fit the classes.
        """
        check_is_fitted(self, "network_")
        expected = self._expected_prior()
        proba = apply_temperature(self._forward(X), self._temperature())
        if expected is None:
            return proba
        return apply_class_prior(proba, self.class_prior_, expected)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of every image.

        Parameters
        ----------
        X : batch of n images

        Returns
        -------
        ndarray of shape (n,)
            Labels from `classes_`.

        Raises
        ------
        ValueError
            If an image can't be read, or has not the size and scale of those fitted on.
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def _examples(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool, name: str = "y"
    ) -> tuple[Examples, np.ndarray]:
        """Images and weights, checked; the labels too, which are no codes yet."""
        if y is not None:
            labels = label_array(y, name)
            # As an array, in which pandas's nullable numbers stay integers. Of a column,
            # scikit-learn warns.
            y = y if getattr(y, "ndim", 1) == 2 else labels
        images, y = self._images_and_targets(X, y, reset=reset)
        check_classification_targets(y)
        return Examples(images, y, y, self._weights(sample_weight, images)), y

    def _watched(self, X: Any, y: Any) -> Examples:
        examples, y = self._examples(X, y, None, reset=False, name="y_val")
        # Not weighed: class weights steer what is learnt, not how well it went.
        codes = self._codes(y)
        return Examples(examples.images, codes, codes)

    def _sorted_classes(self, y: Any = None) -> np.ndarray:
        if y is None or self.classes is not None:
            named: Any = self.classes
            if isinstance(named, dict):
                named = labels_in_order(named)
            elif isinstance(named, set | frozenset):
                named = list(named)
            y = label_array(named, "classes")
        classes = np.unique(y)
        if len(classes) < 2:
            raise ValueError(
                f"{type(self).__name__} needs labels of at least 2 classes; the data holds only "
                f"one class: {shorten(classes.tolist()[0])}. See {page('guide/own_photos')}"
            )
        return classes

    def _codes(self, y: np.ndarray) -> np.ndarray:
        """Labels as their places in `classes_`."""
        hint = encoding_hint(y, self.classes_)
        if hint:
            raise ValueError(
                f"y holds numbers, but the classes are {self.classes_.tolist()}.{hint}"
            )
        return label_codes(y, self.classes_, name="y", known="the classes ")

    def _target_shares(self, examples: Examples) -> np.ndarray:
        """Mean target of the training images, as the loss weighs them."""
        targets, n_classes = examples.targets, len(self.classes_)
        if targets.ndim == 1:
            targets = np.eye(n_classes)[targets]
        targets = targets / targets.sum(axis=1, keepdims=True)
        weights = np.ones(len(targets)) if examples.weights is None else examples.weights
        class_weights = self._class_weights(examples)
        if class_weights is not None:
            weights = weights * class_weights
        rows = self._rows(examples)
        if rows is not None:
            weights = weights * np.bincount(rows, minlength=len(targets))
        if not np.any(weights):
            return np.full(n_classes, 1 / n_classes)  # the fit refuses to learn from nothing
        shares = np.average(targets, axis=0, weights=weights)
        return (1 - self.label_smoothing) * shares + self.label_smoothing / n_classes

    def _expected_prior(self) -> np.ndarray | None:
        """Return `class_prior` as an array, None for the training's shares."""
        if self.class_prior is None:
            return None
        if not hasattr(self, "class_prior_"):
            raise ValueError(
                f"class_prior={shorten(self.class_prior)} needs the shares of the classes in "
                "training, which a saved model does not hold. Set them as an array: "
                "classifier.class_prior_ = shares."
            )
        if isinstance(self.class_prior, str):
            return np.full(len(self.classes_), 1 / len(self.classes_))
        return np.asarray(self.class_prior, dtype=float)

    def _target_rule(self, targets: np.ndarray, n_outputs: int, mixes: bool) -> TargetRule | None:
        multi_target = targets.ndim == 2 and self.vote_mode == "multi_target"
        if multi_target and (mixes or self.label_smoothing):
            raise ValueError(
                "vote_mode='multi_target' takes accepted labels, not shares of them: it goes "
                "neither with label_smoothing nor with augment's mixup."
            )
        if targets.ndim == 1 and not mixes and not self.label_smoothing:
            return None
        drawn = targets.ndim == 2 and self.vote_mode == "probabilistic"
        return TargetRule(n_outputs, self.label_smoothing, drawn, multi_target)

    def _loss(self, rule: TargetRule | None) -> Any:
        if rule is None:
            return "sparse_categorical_crossentropy"
        return best_accepted if rule.any_accepted else "categorical_crossentropy"

    def _check_class_weight(self) -> None:
        if isinstance(self.class_weight, dict):
            weights_of_classes(self.class_weight, self.classes_)

    def _class_weights(self, examples: Examples) -> np.ndarray | None:
        if self.class_weight is None or examples.codes is None:
            return None
        if isinstance(self.class_weight, dict):
            weights = weights_of_classes(self.class_weight, self.classes_)
        else:
            weights = 1.0 / np.maximum(np.bincount(examples.codes, minlength=len(self.classes_)), 1)
        return (weights / weights.mean())[examples.codes]

    def _temperature(self) -> float:
        """Return the temperature that predictions are made with."""
        if self.temperature is not None:
            return self.temperature
        return getattr(self, "temperature_", 1.0)  # missing in pickles of earlier versions

    def _rows(self, examples: Examples) -> np.ndarray | None:
        if not self.oversample or examples.codes is None:
            return None
        return oversampled(examples.codes, self.oversample)

    def _metrics(self) -> list[Any]:
        return ["accuracy"]

    def _check_outputs(self) -> None:
        probe = np.random.default_rng(0).integers(0, 256, (2, *self.image_shape_), dtype=np.uint8)
        outputs = np.asarray(self.network_(self.pixel_range_.bring(probe), training=False))
        if outputs.min() < 0 or not np.allclose(outputs.sum(axis=1), 1, atol=1e-3):
            name = model_name(self.network) if is_model(self.network) else repr(self.network)
            raise ValueError(
                f"The network {name} returns {np.round(outputs[0, :8], 4).tolist()} for an image: "
                "these are no probabilities. It must end in a softmax. If its outputs are logits "
                "(from_logits=True), give keras.Sequential([model, keras.layers.Softmax()])."
            )

    def _outputs(self, n_outputs: int) -> str:
        return f"{n_outputs} classes"

    def _in_order(self, model: keras.Model) -> keras.Model:
        if self.classes is None:
            return model
        order = np.argsort(np.asarray(labels_in_order(self.classes)))
        if (order == np.arange(len(order))).all():
            return model
        # The file's outputs stand in the user's order, the columns of predict_proba in sorted.
        outputs = keras.ops.take(model.outputs[0], order.tolist(), axis=-1)
        return keras.Model(model.inputs[0], outputs, name=model.name)

"""`FacialExpressionClassifier`: a Keras CNN as a scikit-learn classifier."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from skfer import _training
from skfer._labels import (
    encoded_labels_hint,
    is_missing,
    label_array,
    label_codes,
    warn_similar_classes,
)
from skfer._utils import page, shorten
from skfer.estimators._base import NetworkEstimator
from skfer.estimators._sklearn_callbacks import end_fit
from skfer.metrics import apply_class_prior, apply_temperature
from skfer.networks._keras_settings import standard_keras

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from skfer._training._data import Examples


class FacialExpressionClassifier(ClassifierMixin, NetworkEstimator):
    """Classify facial expressions with a convolutional network.

    The classifier fits a Keras network to face images of one size. In a `Pipeline`, `FaceCropper`
    and `GrayscaleResizer` before it find the faces in photos and resize them.

    Parameters
    ----------
    network : str, path, keras.Model, callable or None, default=None
        A name from `skfer.networks.list_networks`; a built Keras model; the path of a saved one
        (``.keras`` or ``.h5``); or a function ``(input_shape, n_outputs) -> keras.Model`` that
        ends in a softmax. None is the network of `weights`, and "small_cnn" without them. The fit
        starts from a copy of a model, which gets a new last layer if its number of outputs is not
        the number of labels. A 1x1 convolution with a stride is replaced by an equivalent pooling
        and convolution.
    weights : str, path or FrozenEstimator, default=None
        Weights that the fit starts from: a name from `skfer.list_pretrained`, such as "fer2013";
        "imagenet" (downloaded by Keras) for a network of `keras.applications`; the path of a
        saved Keras model of the same network; a fitted classifier inside a
        `sklearn.frozen.FrozenEstimator`. Its last layer is used for the labels that both have. A
        file has no labels: its last layer is used if the number of outputs is the same. All other
        weights are random. None means that all weights are random.
    network_params : dict, default=None
        Further parameters of the network's function, such as ``{"dense_units": 1024}``.
    epochs : int or None, default=None
        Number of passes over the training images. None is ``28000 / n_images`` between 12 and 80,
        and with `weights` ``2000 / n_images`` between 5 and 30. After the fit, `n_iter_` is the
        number of epochs that were run.
    batch_size : int, default=32
        Number of images of a step, on all devices together.
    learning_rate : float, default=None
        Constant learning rate, or the highest of a `schedule`. None is 0.008 for the default
        network with the optimizer "adam" and a cosine schedule, and the optimizer's own rate
        otherwise.
    optimizer : str or keras.optimizers.Optimizer, default="adam"
        Keras name of the optimizer, or an instance, whose settings are copied.
    schedule : {"auto", "cosine", "one_cycle"} or None, default="auto"
        Learning rate over the steps of the fit, or of each of its two phases: "cosine" rises over
        5 % of the steps and falls to 0, "one_cycle" rises over 30 %. None is constant. "auto" is
        None in `partial_fit` and if `reduce_lr` or a schedule of the optimizer sets the rate, and
        "cosine" otherwise.
    dropout : float, default=None
        Dropout rate in the blocks of the network, in [0, 1); None is the network's own.
    activation : str, default=None
        Keras name of the activation, such as "elu"; None is the network's own.
    augment : {"none", "flip", "light", "strong"}, dict or None, default="light"
        Random changes to the training images: "flip" mirrors them, "light" also rotates
        (10 degrees), shifts (8 %) and zooms (10 %) them, "strong" has larger changes and also
        changes brightness, contrast, noise and blur, and erases parts. A dict sets `flip`,
        `rotation` and `shear` (degrees), `shift` and `zoom` (shares), `brightness` and `contrast`
        (shares), `noise` (share of the pixel range), `blur` (pixels), `erasing` (probability) and
        `mixup` (alpha of its distribution).
    oversample : bool or float, default=False
        Repeat images of smaller classes up to the size of the largest class, or up to this share
        of it in (0, 1]. With `augment`, the repeated images differ.
    label_smoothing : float, default=0
        Share of every training target that is spread evenly over all classes, in [0, 1).
    vote_mode : {"cross_entropy", "probabilistic", "majority", "multi_target"}, \
            default="cross_entropy"
        Targets from the `votes` passed to `fit` [1]_. "cross_entropy": the shares of the votes.
        "probabilistic": a label, drawn with these shares each time the image is used. "majority":
        the label with most votes. "multi_target": every label with 30 % of the votes is right.
    class_weight : dict, "balanced" or None, default=None
        Weight of each label in the loss; "balanced" is inverse to its frequency. Weights are
        finite and not negative; a label that the dict lacks has 1. They are not used in
        `val_loss`.
    classes : sequence of labels or dict, default=None
        All labels, if `y` may lack some. If `network` is a Keras model, in the order of its
        outputs, or a dict as in `from_keras`.
    validation_fraction : float, default=None
        Share of the training images that are held out, stratified, to compute `val_loss` and
        `val_accuracy` after every epoch, in (0, 1). None holds out 0.1 if `early_stopping`
        or `reduce_lr` needs it and nothing otherwise. Not used if `X_val` is given to `fit`.
    early_stopping : bool or int, default=False
        Number of epochs without improvement of `val_loss` before the fit stops; True is 5. The
        weights of the best epoch, of both phases with `fine_tune`, are kept.
    reduce_lr : bool or dict, default=False
        Multiply the rate by 0.1 when `val_loss` has not improved for 2 epochs. A dict sets
        parameters of `keras.callbacks.ReduceLROnPlateau`, such as ``{"factor": 0.2}``.
    weight_average : float, default=None
        Decay, such as 0.999, of an exponential moving average of the weights over the steps of the
        fit. The classifier predicts with this average. None predicts with the last weights.
    fine_tune : dict or None, default=None
        Settings of a fit in two phases. In the first, only the head of the network is trained,
        the layers after its last feature map. In the second, fine-tuning, deeper layers are
        trained too, with batch normalisation frozen. Keys, all optional:

        - "frozen_epochs": number of epochs of the first phase, by default a third of the epochs
          with `weights`, and 0 without. 0 trains all layers with `learning_rate` from the start.
        - "first_layer": name of the first layer that fine-tuning trains, or the number of trained
          layers with weights, counted from the end; all by default. With no frozen epochs, the
          whole fit is fine-tuning.
        - "learning_rate": rate of fine-tuning, by default a tenth of `learning_rate`, and
          `learning_rate` if "frozen_epochs" is 0.
    checkpoint_dir : path, default=None
        Folder for the state of the fit after every epoch. An interrupted fit continues from there
        if it is started again with the same data and parameters, with an int as `random_state`.
        The file is removed at the end of the fit. The state of `callbacks` is not saved.
    test_time_augmentation : {"flip", "ten"} or None, default=None
        Average the probabilities of the image and its mirror image, or of both at five positions.
    temperature : float, default=None
        Probabilities are raised to the power of 1 / temperature and normalised, after any
        averaging: above 1 they become more equal, below 1 less. Labels do not change.
        `skfer.metrics.fit_temperature` fits it to held-out images. None is `temperature_`.
    class_prior : "uniform", array-like of shape (n_classes,) or None, default=None
        Expected shares of the classes among the images to predict, in the order of `classes_`.
        Probabilities are multiplied by the ratio of these shares to those of the training,
        `class_prior_`. "uniform" expects equal shares: rare classes are found more often, at the
        cost of accuracy where they are rare. None expects the shares of the training.
        `skfer.metrics.estimate_class_prior` estimates shares from unlabelled images.
    backend : {"auto", "keras", "onnx", "onnx-int8"}, default="auto"
        Runtime of predictions. "onnx" is ONNX Runtime on the CPU, "keras" the Keras network as a
        TensorFlow graph; probabilities agree to 1e-5. "auto" is "onnx", and "keras" for a network
        with layers that skfer can't export. "onnx-int8" computes in 8 bits, calibrated on drawn
        faces. With the weights "fer2013", it takes about 0.6 of the time; on FER2013's PublicTest,
        1.8 % of the labels change, and the accuracy falls by 0.3 points; a probability changes by
        0.001 in the median, and by 0.33 at most.
    mixed_precision : {"auto", "bfloat16", "float16"} or None, default=None
        Precision of the training. None is float32; "auto" is the fastest on this machine. Weights
        and predictions are always float32.
    distribution : "mirrored", tf.distribute.Strategy, callable or None, default=None
        Devices of the training: "mirrored" splits each batch among all graphics cards of this
        machine; a strategy; or a function that returns one, which is called once in a process.
        None is one device. Predictions always use one. Clones share a strategy, which is not
        pickled. Names and functions are cloned and pickled.
    pixel_range : tuple of two floats, default=(0, 1)
        Lowest and highest pixel value that the network expects. The first layer scales images to
        this range.
    warm_start : bool, default=False
        Whether `fit` starts from the weights of the last fit.
    callbacks : list of keras.callbacks.Callback, default=None
        Keras callbacks. A fit uses deep copies and stores them as `callbacks_`. They see each
        phase of a fit as a separate training.
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, dropout, order of the images and augmentation. The same int gives
        the same weights on the same machine with the same number of threads.
    verbose : "auto" or int, default="auto"
        0 is silent, 1 is a progress bar, 2 a line for each epoch. "auto" is silent if the fit
        takes less than a minute. Otherwise it prints the estimated time and a line for each epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Sorted labels, in the order of the columns of `predict_proba`.
    class_prior_ : ndarray of shape (n_classes,)
        Shares of the classes in training: the mean of the targets, after weights, `oversample`
        and `label_smoothing`. For a saved Keras model, set it before `class_prior` is used.
    network_ : keras.Model
        The fitted network, from pixels to probabilities. If it was loaded, it is built on first
        access, which imports Keras.
    temperature_ : float
        Temperature that is used if `temperature` is None: fitted in `skfer.load_pretrained`, and 1
        after a fit.
    history_ : dict of str to list of float
        `loss` and `accuracy` of every epoch, `val_loss` and `val_accuracy` if there were
        validation images, and `learning_rate` if `reduce_lr` was set.
    n_iter_ : int
        Number of epochs.
    n_samples_seen_ : int
        Number of images that the network was trained on, counted once an epoch.
    fine_tune_epoch_ : int or None
        Number of epochs before fine-tuning.
    callbacks_ : list of keras.callbacks.Callback
        Copies of `callbacks` of the last `fit` or `partial_fit`. They are not pickled or saved.
    image_shape_ : tuple of int
        Height, width and channels of the training images.
    pixel_range_ : PixelRange
        Scale of the training pixels.
    n_features_in_ : int
        Number of columns, if `X` was a table of flat images.

    See Also
    --------
    skfer.preprocessing.FaceCropper : Crop faces from photos.
    skfer.preprocessing.GrayscaleResizer : Resize gray images.

    Notes
    -----
    Only the ratios of `sample_weight` and `class_weight` matter: they are scaled to a mean of 1.
    In `partial_fit` this holds for the `sample_weight` of each call.

    Batch normalisation in Keras averages over several hundred steps. In a fit with fewer than 400
    steps per epoch, layers with a momentum of at least 0.99 (Keras's default) get a lower one, down
    to 0.5. Layers with a lower momentum keep it.

    Callbacks of scikit-learn (version 1.9, ``set_callbacks``) are called in every epoch. Their
    `fitted_estimator` has the `history_` so far.

    The optimizer is not pickled: `partial_fit` after loading starts with a new one.

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
        **NetworkEstimator._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "class_prior": [StrOptions({"uniform"}), "array-like", None],
        "classes": ["array-like", None],
        "oversample": ["boolean", Interval(Real, 0, 1, closed="right")],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither"), None],
        "vote_mode": [StrOptions(set(_training.VOTE_MODES))],
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
        early_stopping: bool | int = False,
        reduce_lr: bool | dict = False,
        weight_average: float | None = None,
        fine_tune: dict | None = None,
        checkpoint_dir: str | os.PathLike | None = None,
        test_time_augmentation: str | None = None,
        temperature: float | None = None,
        class_prior: str | Sequence[float] | np.ndarray | None = None,
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
        self.reduce_lr = reduce_lr
        self.weight_average = weight_average
        self.fine_tune = fine_tune
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
        """Build a fitted classifier from a Keras model.

        `fit` starts from the weights of the model.

        Parameters
        ----------
        model : str, path or keras.Model
            Model that ends in a softmax: the path of a whole model (``.keras``, ``.h5`` or
            ``.hdf5``); the path or the text of an architecture in JSON, with `weights`; or a built
            model, of which a copy is used. Files with a ``Lambda`` layer, which holds code, are
            refused.
        classes : sequence of labels or dict
            Labels in the order of the model's outputs; a dict from output to label; or a dict from
            label to output, such as Keras's ``class_indices``. Keras's folder readers sort labels
            by name.
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
            Fitted for uint8 images or floats from 0 to 255.

        Raises
        ------
        ValueError
            If the file is not such a model or the number of classes does not match.

        Notes
        -----
        For labels of your own, fit a classifier with the model as its network:
        ``FacialExpressionClassifier("model.keras", fine_tune={"frozen_epochs": 2}).fit(X, y)``
        gives it a new last layer if it has another number of outputs.

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
        from skfer.networks._copies import copy_network
        from skfer.networks._keras_file import is_json_text, is_model, load_model_file, load_weights

        if weights is not None and hasattr(model, "get_config"):
            model = copy_network(model)
            load_weights(model, weights)
        elif weights is not None or is_json_text(model):
            model = load_model_file(model, weights)
        if isinstance(model, str) and not is_model(model):
            model = Path(model)  # not the name of a network
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
            Number of annotators who chose each label, or their shares, with columns in the order of
            `classes_`, or a table with their names. The targets then follow `vote_mode`, and `y`
            are the labels for scores.
        X_val, y_val : like X and y, default=None
            Validation images, instead of a part of `X`. In a Pipeline, request them with
            ``set_fit_request(X_val=True, y_val=True)`` and name ``X_val`` in the Pipeline's
            ``transform_input``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If images or labels are not valid; the message names the first.
        TypeError
            If one of `callbacks` cannot be copied.
        """
        task = self._begin_fit(X, y, sample_weight)
        with self._restore_on_error():
            examples, labels = self._examples(X, y, sample_weight, reset=True)
            new = not (self.warm_start and self.__sklearn_is_fitted__())
            if new:
                self.classes_ = self._sorted_classes(labels)
            targets = codes = self._codes(labels)
            if votes is not None:
                votes = _checked_votes(votes, len(labels), self.classes_)
                targets = _training.vote_targets(votes, self.vote_mode)
            examples = examples._replace(codes=codes, targets=targets)
            self.class_prior_ = self._target_shares(examples)
            self._fit_network(
                examples,
                self._validation(X_val, y_val),
                n_outputs=len(self.classes_),
                new=new,
                task=task,
            )
            self.n_samples_seen_ = self.n_iter_ * len(examples.targets)
            self.temperature_ = 1.0
        end_fit(task)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> FacialExpressionClassifier:
        """Train one further epoch on a part of the data.

        The layers that the last fit trained are trained. The first call skips frozen epochs.
        `early_stopping`, `reduce_lr` and `validation_fraction` have no effect. A changed
        `learning_rate` is used from the next call on; another `optimizer` starts with new state.
        The first call after a fit with a `schedule` starts a new optimizer with a constant rate.

        Parameters
        ----------
        X : batch of n images
        y : array-like of shape (n,)
        classes : array-like of shape (n_classes,), default=None
            All labels of all calls; required in the first call unless the parameter `classes` is
            set.
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If images or labels are not valid, or `classes` are missing in the first call or
            different from it.
        TypeError
            If one of `callbacks` cannot be copied.
        """
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all data, and partial_fit has a part: set a dict of "
                "weights, as sklearn.utils.class_weight.compute_class_weight returns."
            )
        with self._restore_on_error():
            first = not self.__sklearn_is_fitted__()
            examples, y = self._examples(X, y, sample_weight, reset=first)
            known = None if classes is None else label_array(classes, "classes")
            if first:
                if known is None and self.classes is None:
                    raise ValueError("classes must be passed on the first call to partial_fit.")
                self.classes_ = self._sorted_classes(known)
            if known is not None and not np.array_equal(self.classes_, np.unique(known)):
                raise ValueError(
                    f"classes={shorten(known.tolist())} is not the same as on the first call to "
                    f"partial_fit or in the parameter classes: {shorten(self.classes_.tolist())}."
                )
            codes = self._codes(y)
            examples = examples._replace(codes=codes, targets=codes)
            shares, n_images, n_before = self._target_shares(examples), len(codes), 0
            if not first:  # files of earlier versions do not have the number
                n_before = getattr(self, "n_samples_seen_", self.n_iter_ * n_images)
            if hasattr(self, "class_prior_") and n_before:
                both = n_before * self.class_prior_ + n_images * shares
                shares = both / (n_before + n_images)
            self.class_prior_ = shares
            self._fit_network(examples, None, n_outputs=len(self.classes_), new=first, partial=True)
            self.n_samples_seen_ = n_before + n_images
            self.temperature_ = 1.0
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of every class.

        Parameters
        ----------
        X : batch of n images
            Of the size and on the scale of the training images.

        Returns
        -------
        ndarray of shape (n, n_classes), float32
            Columns in the order of `classes_`; rows sum to 1.

        Raises
        ------
        ValueError
            If an image cannot be read or has another size or scale than the training images, or
            `class_prior` does not fit the classes.
        """
        check_is_fitted(self)
        expected = self._expected_prior()
        proba = apply_temperature(self._forward(X), self._temperature())
        if expected is None:
            return proba
        return apply_class_prior(proba, self.class_prior_, expected)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of every image.

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
            If an image cannot be read or has another size or scale than the training images.
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def _examples(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool, name: str = "y"
    ) -> tuple[Examples, np.ndarray]:
        """Return checked examples without codes, and their labels."""
        if y is not None:
            labels = label_array(y, name)
            # label_array converts nullable integers of pandas. A column is left as it is, so that
            # scikit-learn warns of it.
            y = y if getattr(y, "ndim", 1) == 2 else labels
        images, y = self._image_and_target_arrays(X, y, reset=reset)
        check_classification_targets(y)
        return _training.Examples(images, y, y, self._checked_weights(sample_weight, images)), y

    def _validation_examples(self, X: Any, y: Any) -> Examples:
        examples, y = self._examples(X, y, None, reset=False, name="y_val")
        # Without class weights, which are part of the training loss only.
        codes = self._codes(y, "y_val")
        return _training.Examples(examples.images, codes, codes)

    def _sorted_classes(self, y: Any = None) -> np.ndarray:
        if y is None or self.classes is not None:
            named: Any = self.classes
            if isinstance(named, dict):
                named = labels_in_order(named)
            elif isinstance(named, set | frozenset):
                named = list(named)
            y = label_array(named, "classes")
        classes = np.unique(y)
        warn_similar_classes(classes)
        if len(classes) < 2:
            raise ValueError(
                f"{type(self).__name__} needs labels of at least 2 classes; the data holds only "
                f"one class: {shorten(classes.tolist()[0])}. See {page('guide/own_photos')}"
            )
        return classes

    def _codes(self, y: np.ndarray, name: str = "y") -> np.ndarray:
        """Return the index of each label in `classes_`."""
        hint = encoded_labels_hint(y, self.classes_)
        if hint:
            raise ValueError(
                f"{name} holds numbers, but the classes are {self.classes_.tolist()}.{hint}"
            )
        return label_codes(y, self.classes_, name=name, known="the classes ")

    def _target_shares(self, examples: Examples) -> np.ndarray:
        """Return the mean target of the training images, weighted as in the loss."""
        examples = self._normalized(examples.without_zero_weights(), partial=False)
        targets, n_classes = examples.targets, len(self.classes_)
        if targets.ndim == 1:
            targets = np.eye(n_classes)[targets]
        targets = targets / targets.sum(axis=1, keepdims=True)
        rows = self._epoch_rows(examples)
        counts = np.bincount(range(len(targets)) if rows is None else rows)
        weights = counts if examples.weights is None else counts * examples.weights
        shares = np.average(targets, axis=0, weights=weights)
        return (1 - self.label_smoothing) * shares + self.label_smoothing / n_classes

    def _expected_prior(self) -> np.ndarray | None:
        """Return `class_prior` as an array; None for the shares of the training."""
        if self.class_prior is None:
            return None
        if not hasattr(self, "class_prior_"):
            raise ValueError(
                f"class_prior={shorten(self.class_prior)} needs the shares of the classes in "
                "training, which a saved model does not hold. Set them as an array: "
                "classifier.class_prior_ = shares."
            )
        if isinstance(self.class_prior, str):
            if self.class_prior != "uniform":
                raise ValueError(
                    f"class_prior={shorten(self.class_prior)} must be 'uniform', the share of each "
                    "class, or None."
                )
            return np.full(len(self.classes_), 1 / len(self.classes_))
        return np.asarray(self.class_prior, dtype=float)

    def _objective(self, targets: np.ndarray, n_outputs: int) -> dict[str, Any]:
        augmentation = _training.Augmentation.from_parameter(self.augment)
        mixes = augmentation is not None and augmentation.mixup > 0
        multi_target = targets.ndim == 2 and self.vote_mode == "multi_target"
        if multi_target and (mixes or self.label_smoothing):
            raise ValueError(
                "vote_mode='multi_target' takes accepted labels, not shares of them. It can't be "
                "combined with label_smoothing or with mixup in augment."
            )
        objective = {"metrics": lambda: ["accuracy"]}
        if targets.ndim == 1 and not mixes and not self.label_smoothing:
            loss = "sparse_categorical_crossentropy"
            return {**objective, "loss": loss, "target_transform": None}
        sample = targets.ndim == 2 and self.vote_mode == "probabilistic"
        return {
            **objective,
            "loss": _training.multi_target_loss if multi_target else "categorical_crossentropy",
            "target_transform": _training.TargetTransform(
                n_outputs, self.label_smoothing, sample, multi_target
            ),
        }

    def _class_weights(self, examples: Examples) -> np.ndarray | None:
        if self.class_weight is None or examples.codes is None:
            return None
        if isinstance(self.class_weight, dict):
            weights = _class_weight_array(self.class_weight, self.classes_)
        else:
            weights = 1.0 / np.maximum(np.bincount(examples.codes, minlength=len(self.classes_)), 1)
        return (weights / weights.mean())[examples.codes]

    def _temperature(self) -> float:
        """Return the temperature of predictions."""
        if self.temperature is not None:
            return self.temperature
        return getattr(self, "temperature_", 1.0)  # missing in older pickles

    def _epoch_rows(self, examples: Examples) -> np.ndarray | None:
        if not self.oversample or examples.codes is None:
            return None
        return _training.oversampled_rows(examples.codes, self.oversample)

    def _check_outputs(self) -> None:
        from skfer.networks._keras_file import is_model, model_name

        probe = np.random.default_rng(0).integers(0, 256, (2, *self.image_shape_), dtype=np.uint8)
        outputs = np.asarray(self.network_(self.pixel_range_.convert(probe), training=False))
        if outputs.min() < 0 or not np.allclose(outputs.sum(axis=1), 1, atol=1e-3):
            name = model_name(self.network) if is_model(self.network) else repr(self.network)
            raise ValueError(
                f"The network {name} returns {np.round(outputs[0, :8], 4).tolist()} for an image: "
                "these are not probabilities. It must end in a softmax. If its outputs are logits "
                "(from_logits=True), give keras.Sequential([model, keras.layers.Softmax()])."
            )

    def _describe_targets(self, n_outputs: int) -> str:
        return f"{n_outputs} classes"

    def _sort_outputs(self, model: keras.Model) -> keras.Model:
        if self.classes is None:
            return model
        order = np.argsort(np.asarray(labels_in_order(self.classes)))
        if (order == np.arange(len(order))).all():
            return model
        import keras

        # Outputs are in the order of the model, columns of predict_proba in sorted order.
        outputs = keras.ops.take(model.outputs[0], order.tolist(), axis=-1)
        return keras.Model(model.inputs[0], outputs, name=model.name)


def labels_in_order(classes: Any) -> list[Any]:
    """Return the labels of `classes`, a sequence or a dict, in the order of a model's outputs."""
    if isinstance(classes, dict):
        labels = _labels_from_dict(classes)
    elif isinstance(classes, str | bytes | set | frozenset):
        raise ValueError(
            f"classes={shorten(classes)} has no order of labels: give a list, in the order of the "
            "model's outputs."
        )
    else:
        labels = list(classes)
    for index, label in enumerate(labels):
        if is_missing(label):
            raise ValueError(f"classes[{index}] is {shorten(label)}: every output needs a label.")
        if label in labels[:index]:
            raise ValueError(
                f"classes names {shorten(label)} twice: every output needs a label of its own."
            )
    return labels


def _labels_from_dict(classes: dict) -> list[Any]:
    by_output = _are_outputs(classes)
    by_label = _are_outputs(classes.values())
    swapped = {value: key for key, value in classes.items()} if by_label else {}
    if by_output and by_label and swapped != classes:
        # Labels that are numbers: outputs count from 0 without a gap.
        by_output, by_label = (
            sorted(map(int, side)) == list(range(len(classes)))
            for side in (classes, classes.values())
        )
        if by_output and by_label:
            raise ValueError(
                f"classes={shorten(classes)} can be read as outputs with their labels and as "
                "labels with their outputs: give a list, in the order of the model's outputs."
            )
    if by_output:
        pairs = [(int(output), label) for output, label in classes.items()]
    elif by_label:
        pairs = [(int(output), label) for label, output in classes.items()]
    else:
        raise ValueError(
            f"classes={shorten(classes)} must name outputs by number, as in {{0: 'angry', "
            "1: 'happy'}} or {'angry': 0, 'happy': 1}."
        )
    outputs = sorted(output for output, _ in pairs)
    if outputs != list(range(len(pairs))):
        raise ValueError(
            f"classes={shorten(classes)} names the outputs {outputs}: they must count from 0, each "
            "once."
        )
    return [label for _, label in sorted(pairs, key=lambda pair: pair[0])]


def _are_outputs(values: Iterable[Any]) -> bool:
    """Return whether all values are integers, or integers as text, like keys in JSON."""
    return all(
        (isinstance(value, Integral) and not isinstance(value, bool))
        or (isinstance(value, str) and value.isdecimal())
        for value in values
    )


def _class_weight_array(class_weight: Mapping, classes: np.ndarray) -> np.ndarray:
    """Return the checked weight of each class; 1 if the dict lacks a class."""
    labels = classes.tolist()
    unknown = [label for label in class_weight if label not in labels]
    if unknown:
        raise ValueError(
            f"class_weight has a weight for {shorten(unknown[0])}, which is not one of the "
            f"classes {shorten(labels)}. If y lacks some labels, list all in the parameter "
            f"classes.{encoded_labels_hint(classes, class_weight)}"
        )
    for label, weight in class_weight.items():
        if not isinstance(weight, Real) or not 0 <= float(weight) < np.inf:
            raise ValueError(
                f"class_weight[{shorten(label)}] is {shorten(weight)}: a weight must be a finite "
                "number that is not negative."
            )
    weights = np.array([class_weight.get(label, 1.0) for label in labels], np.float64)
    if not weights.any():
        raise ValueError("class_weight is 0 for every class: there is nothing to learn from.")
    return weights / weights.max()


def _checked_votes(votes: Any, n_images: int, classes: np.ndarray) -> np.ndarray:
    """Return checked votes as an array with a column for each class."""
    if hasattr(votes, "columns"):
        votes = _sort_columns(votes, classes.tolist())
    votes = check_array(votes, input_name="votes")
    expected = (n_images, len(classes))
    if votes.shape != expected:
        raise ValueError(
            f"votes has the shape {votes.shape}, but {n_images} images and the classes "
            f"{shorten(classes.tolist())} need {expected}: a column for each class. If y "
            f"lacks some of them, list all in the parameter classes. See {page('guide/fer2013')}"
        )
    wrong = np.flatnonzero((votes < 0).any(axis=1) | (votes.sum(axis=1) <= 0))
    if len(wrong):
        raise ValueError(
            f"votes[{wrong[0]}] is {shorten(votes[wrong[0]].tolist())}: votes must not be "
            "negative, and every image needs at least one. Leave out images without votes."
        )
    return votes


def _sort_columns(votes: Any, classes: list) -> Any:
    """Return a table of votes with its columns in the order of the classes."""
    names = list(votes.columns)
    if names == list(range(len(names))):  # a table without names
        return votes
    if set(names) != set(classes):
        raise ValueError(
            f"votes has the columns {names}, but the classes are {classes}. Name a column for "
            "each class, or give an array in their order. If y lacks some of them, list all in "
            f"the parameter classes.{encoded_labels_hint(np.asarray(classes), names)}"
        )
    return votes[classes]

"""`FaceCropper`: pictures of people to one face each."""

from __future__ import annotations

import os
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import joblib
import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from skfer._base import ImageEstimator, ImagesOut
from skfer._dense_images import for_each_image, memory_share
from skfer._images import Images, read_image
from skfer.detection import Detections, FaceDetector
from skfer.preprocessing._face_finder import FaceFinder
from skfer.preprocessing._face_selection import SELECTIONS
from skfer.preprocessing._late_crops import BatchOfCrops
from skfer.preprocessing._missing_faces import report_missing


class FaceCropper(ImagesOut, ImageEstimator):
    """Cut one face out of every image.

    One crop comes out for each image that goes in, in the same order. Crops keep the size
    they have in the picture; an `ImageResizer` or `GrayscaleResizer` behind it makes them one
    dense array. Pictures that are faces already (FER2013's 48 x 48 pixels) would be spoilt, as a
    detector finds a smaller box in them or nothing: ``whole_below`` lets them through.

    Parameters
    ----------
    detector : str or FaceDetector, default="haar"
        What finds the faces: a name from `skfer.detection.list_detectors`, or an object whose
        ``detect(image)`` takes uint8 gray or RGB and returns `skfer.detection.Detections`.
    margin : float, default=0.0
        What is added on every side of the face's box, as a fraction of the box's side: 0.5
        doubles the side. The default is how the images of FER2013 were cut: the box that Haar
        finds in one of them is as wide as the image (median 0.98). Beyond the edge of the
        picture, the crop shows its mirror image; the face is never shifted or distorted.
    align : bool, default=False
        Turn, scale and shift every face so that its eyes, nose and mouth come as near as they
        can (least squares) to where they lie in the images of FER2013: the eyes level, in the same
        place of every crop. The crop is a square, framed as the unaligned one with that margin
        is on average. It needs a detector that finds landmarks, such as "yunet" or "mtcnn"; a
        face whose landmarks coincide or are NaN is cut by its box.
    square : bool, default=True
        Make the box a square about its centre, with its longer side. An aligned crop always is.
    select : {"largest", "central", "confident"}, default="largest"
        The face that is taken from several: the largest, the one nearest to the middle of the
        picture, or the one with the highest score.
    min_face_size : int, default=24
        Boxes with a shorter side are left out, in pixels. A detector given by name doesn't
        search for them, which saves much time on large photos.
    whole_below : int, default=0
        Images whose longer side is below so many pixels are taken for faces that are cropped
        already: they are returned whole, without a search and without a warning. 64 lets the
        images of FER2013 through. The longer side decides, because a face is about as wide as
        high, and a narrow strip of a picture is no face.
    on_missing : {"image", "raise", "blank"}, default="image"
        What becomes of an image without a face. "image": it is returned whole. "blank": an
        image of its shape and zeros is returned. Both warn once, with the count. "raise":
        `ValueError` that names all such images.
    memory : str, path, joblib.Memory or None, default=None
        Folder in which found boxes are kept, by the image's content and the detector's settings.
        With it, a `GridSearchCV` detects each image once, however many candidates and folds
        there are, and in however many processes; so does a second run. Without it, every
        `transform` detects anew.
    n_jobs : int or None, default=None
        Threads that read and detect; None is 1, -1 one for each core. They are threads under
        every backend of joblib.
    verbose : int, default=0
        Report the progress, as `joblib.Parallel` does.

    See Also
    --------
    GrayscaleResizer : Crops to the dense array a network takes.
    skfer.detection.HaarDetector : The default detector, and its settings.
    skfer.detection.YuNetDetector : Faster, finds more, and landmarks; its model is one small file.

    Notes
    -----
    The cropper learns nothing: `transform` and `detect` work without `fit`.

    Crops are kept up to a sixteenth of scikit-learn's ``working_memory``: 64 MiB, unless
    `sklearn.set_config` says otherwise. Of later ones only the place is kept: the next step, or
    ``np.asarray``, reads the image and cuts it again. So the files must stay until then, and
    millions of photos take no more memory than thousands.

    An image of more than 16 million pixels is searched for faces on
    a reduced copy of that size, as memory and time of a detector grow with the pixels. Crops are
    cut from the whole image.

    Each `transform` warns of its own images, so a `GridSearchCV` warns at every fit and every
    score. Where images without a face are expected, this turns the warnings off::

        warnings.filterwarnings("ignore", ".* no face found")

    References
    ----------
    Umeyama, S. (1991). Least-squares estimation of transformation parameters between two point
    patterns. IEEE Transactions on Pattern Analysis and Machine Intelligence, 13(4), 376-380.
    https://doi.org/10.1109/34.88573 (how faces are aligned).

    Goodfellow, I. et al. (2013). Challenges in representation learning: a report on three
    machine learning contests. ICONIP, https://arxiv.org/abs/1307.0414 (how FER2013 was cut).

    Examples
    --------
    >>> from skimage.data import astronaut
    >>> from skfer.preprocessing import FaceCropper
    >>> photo = astronaut()
    >>> photo.shape
    (512, 512, 3)
    >>> cropper = FaceCropper(margin=0.1)
    >>> faces = cropper.fit_transform([photo])
    >>> faces.shape, faces[0].shape
    ((1,), (115, 115, 3))
    >>> cropper.detect([photo])[0].boxes
    array([[177,  66,  95,  95]], dtype=int32)
    """

    _parameter_constraints = {
        "detector": [str, HasMethods("detect")],
        "margin": [Interval(Real, 0, None, closed="left")],
        "align": ["boolean"],
        "square": ["boolean"],
        "select": [StrOptions(set(SELECTIONS))],
        "min_face_size": [Interval(Integral, 1, None, closed="left")],
        "whole_below": [Interval(Integral, 0, None, closed="left")],
        "on_missing": [StrOptions({"image", "raise", "blank"})],
        "memory": [str, os.PathLike, joblib.Memory, None],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        detector: str | FaceDetector = "haar",
        *,
        margin: float = 0.0,
        align: bool = False,
        square: bool = True,
        select: str = "largest",
        min_face_size: int = 24,
        whole_below: int = 0,
        on_missing: str = "image",
        memory: str | os.PathLike | joblib.Memory | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.detector = detector
        self.margin = margin
        self.align = align
        self.square = square
        self.select = select
        self.min_face_size = min_face_size
        self.whole_below = whole_below
        self.on_missing = on_missing
        self.memory = memory
        self.n_jobs = n_jobs
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> FaceCropper:
        """Check the parameters and the form of `X`; there is nothing to learn.

        Parameters
        ----------
        X : batch of n images
            Arrays, paths or bytes. Paths are not read.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `X` is no batch of images, a parameter is out of range, or ``align=True`` and the
            detector finds no landmarks.
        """
        self._images(X, reset=True)
        FaceFinder.of(self)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Cut one face out of every image.

        Parameters
        ----------
        X : batch of n images

        Returns
        -------
        ndarray of shape (n,), object
            Crops ``(h, w)``, ``(h, w, 1)`` or ``(h, w, 3)``, as the images were; uint8 stays
            uint8, any other kind of number becomes float32. Crops that find no room in memory
            (see Notes) are objects that ``np.asarray`` makes arrays of.

        Raises
        ------
        ValueError
            If an image can't be read (its index and path are named), if one shows no face
            and ``on_missing="raise"``, or if ``align=True`` and the detector finds no landmarks.
        """
        finder = FaceFinder.of(self)  # it checks the parameters too: fit need not have been called
        images = self._images(X, reset=False)
        blank = self.on_missing == "blank"

        # Nothing of `self` in it: parameters set later don't change crops that are cut again.
        def cut(image: np.ndarray, face: Detections) -> np.ndarray:
            if len(face) == 0:
                # A copy, as every crop is: the caller's array is not handed out.
                return np.zeros_like(image) if blank else image.copy()
            return finder.cut(image, face, 0)

        batch = BatchOfCrops(images, cut, memory_share())

        def put(index: int, image: np.ndarray, faces: Detections) -> None:
            if len(faces):
                faces = faces.take([SELECTIONS[self.select](faces, image.shape)])
            batch.put(index, image, faces)

        self._with_faces(images, finder, put)
        missing = np.flatnonzero(~batch.found).tolist()
        if missing:
            report_missing(missing, images, self.on_missing)
        return self._indexed(batch.crops, X)

    def detect(self, X: Any) -> list[Detections]:
        """Find every face of every image.

        Parameters
        ----------
        X : batch of n images

        Returns
        -------
        list of n Detections
            Boxes in pixels and scores, largest box first; no box is added or left out by
            ``select``, ``square`` and ``margin``. An image that is taken for a face as it is
            (``whole_below``) is one box, with score 1.

        Raises
        ------
        ValueError
            If an image can't be read; its index and path are named.
        """
        finder = FaceFinder.of(self)
        images = self._images(X, reset=False)
        return self._with_faces(images, finder, lambda index, image, faces: faces)

    def cut(self, image: Any, faces: Detections) -> list[np.ndarray]:
        """Cut several faces out of one image, each as `transform` would cut it.

        Parameters
        ----------
        image : array of shape (H, W) or (H, W, 3), path or bytes
            One image, not a batch.
        faces : Detections
            Faces of that image, as `detect` returns them.

        Returns
        -------
        list of k ndarray of shape (h, w) or (h, w, 3)
            One crop for each face, in their order.

        Raises
        ------
        ValueError
            If the image can't be read, or if ``align=True`` and the faces have no landmarks.

        Examples
        --------
        >>> from skimage.data import astronaut
        >>> from skfer.preprocessing import FaceCropper
        >>> cropper = FaceCropper()
        >>> (faces,) = cropper.detect([astronaut()])
        >>> [crop.shape for crop in cropper.cut(astronaut(), faces)]
        [(95, 95, 3)]
        """
        return FaceFinder.of(self).cut_all(read_image(image, 0), faces)

    def _with_faces(
        self,
        images: Images,
        finder: FaceFinder,
        function: Callable[[int, np.ndarray, Detections], Any],
    ) -> list[Any]:
        """What the function makes of every image's place, the image and its faces."""

        def task(index: int) -> Any:
            image = images[index]
            return function(index, image, finder.find(image))

        return for_each_image(task, range(len(images)), self.n_jobs, self.verbose)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []  # the result is an array of objects
        return tags

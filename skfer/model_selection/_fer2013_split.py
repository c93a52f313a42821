"""`fer2013_split`: FER2013's own split, for searches."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import PredefinedSplit
from sklearn.utils import Bunch


def fer2013_split(faces: Bunch) -> PredefinedSplit:
    """FER2013's own split as a cross-validator: fit on Training, choose on PublicTest.

    Parameters
    ----------
    faces : Bunch
        As `skfer.datasets.load_fer2013` or `load_ferplus` returns it, without the part that is
        held out for the end.

    Returns
    -------
    sklearn.model_selection.PredefinedSplit
        One split, for the images in the order of `faces`. A search that refits does so on
        Training and PublicTest together: `refit=False` leaves PublicTest unseen.

    Raises
    ------
    ValueError
        If images of the held-out part are among them, or one of the two parts is missing.

    See Also
    --------
    HeldOutGuard : Refuses images that are held out, whatever the data.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skfer.datasets import load_fer2013
    >>> from skfer.model_selection import fer2013_split
    >>> faces = load_fer2013("fer2013.csv")  # doctest: +SKIP
    >>> search = GridSearchCV(pipeline, grid, cv=fer2013_split(faces))  # doctest: +SKIP
    >>> search.fit(faces.images, faces.labels)  # doctest: +SKIP
    """
    if not isinstance(faces, Bunch) or "test_fold" not in faces:
        raise ValueError(
            "faces must be what load_fer2013 or load_ferplus returns, with the parts of its images "
            f"in test_fold; it is of type {type(faces).__name__}."
        )
    if faces.test_fold is None:
        raise ValueError(
            f"{len(faces.private_test_index)} images of the part that is held out for the end are "
            "among faces, and nothing may be chosen on them. Leave usage at None to load the rest."
        )
    test_fold = np.asarray(faces.test_fold)
    if len(np.unique(test_fold)) < 2:
        parts = ", ".join(np.unique(faces.usage).tolist())
        raise ValueError(
            f"faces holds {parts} alone: to choose on PublicTest what was fitted on Training, "
            "load both."
        )
    return PredefinedSplit(test_fold)

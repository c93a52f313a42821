"""`clip_names`: whom and when an image shows, read off the name of its file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

#: Patterns by name. Subject, clip and frame as in S010_004_00000017.png of the Cohn-Kanade data.
PATTERNS = {
    "ck+": r"(?P<clip>(?P<subject>S\d+)_\d+)_(?P<frame>\d+)",
}


class ClipNames(NamedTuple):
    """What `clip_names` returns: arrays of one element for each file.

    Attributes
    ----------
    subject : ndarray of shape (n,), str
        The person.
    clip : ndarray of shape (n,), str
        The clip, told from clips of other people.
    frame : ndarray of shape (n,), int
        The place of the image in its clip; -1 where names don't tell.

    Examples
    --------
    >>> from skfer.datasets import clip_names
    >>> subject, clip, frame = clip_names(["S010_004_00000017.png"])
    >>> clip.tolist(), frame.tolist()
    (['S010_004'], [17])
    """

    subject: np.ndarray
    clip: np.ndarray
    frame: np.ndarray


def clip_names(paths: Iterable[str | os.PathLike], pattern: str = "ck+") -> ClipNames:
    r"""Subject, clip and frame of images, from the names of their files.

    Frames of one clip are nearly the same image, and a person looks like themselves: where some
    are in training and others in a test, accuracy is that of recognising people. The subjects are
    groups for `sklearn.model_selection.StratifiedGroupKFold` or `GroupKFold`.

    Parameters
    ----------
    paths : iterable of n str or os.PathLike
        Only the names of the files matter.
    pattern : str, default="ck+"
        "ck+" reads ``S010_004_00000017.png``: subject S010, clip S010_004, frame 17. Any other is
        a regular expression for the beginning of names, with a group called ``subject`` and, if
        names tell more, ``clip`` and ``frame``. Without ``clip``, a subject is one clip.

    Returns
    -------
    ClipNames

    Raises
    ------
    ValueError
        If a name doesn't fit, or `pattern` is no such expression.

    See Also
    --------
    load_image_folder : Its `names` reads a whole folder so.

    References
    ----------
    Lucey, P. et al. (2010). The extended Cohn-Kanade dataset (CK+). CVPR workshops.

    Examples
    --------
    >>> from skfer.datasets import clip_names
    >>> names = clip_names(["happy/S010_004_00000017.png", "sad/S011_002_00000003.png"])
    >>> names.subject.tolist(), names.clip.tolist(), names.frame.tolist()
    (['S010', 'S011'], ['S010_004', 'S011_002'], [17, 3])
    >>> clip_names(["anna-3.jpg"], r"(?P<subject>[a-z]+)-(?P<frame>\d+)").subject.tolist()
    ['anna']
    """
    expression = _compiled(pattern)
    parts = expression.groupindex
    subjects, clips, frames = [], [], []
    for index, path in enumerate(paths):
        found = expression.match(Path(path).name)
        if found is None or not found["subject"]:
            raise ValueError(
                f"paths[{index}] ({os.fspath(path)!r}) does not fit pattern={pattern!r}"
                + (", as in S010_004_00000017.png." if pattern in PATTERNS else ".")
            )
        subjects.append(found["subject"])
        clips.append(found["clip"] if "clip" in parts else found["subject"])
        frames.append(int(found["frame"]) if "frame" in parts else -1)
    return ClipNames(np.array(subjects, str), np.array(clips, str), np.array(frames, np.int64))


def _compiled(pattern: str) -> re.Pattern:
    try:
        expression = re.compile(PATTERNS.get(pattern, pattern))
    except re.error as error:
        raise ValueError(f"pattern={pattern!r} is no regular expression: {error}.") from error
    if "subject" not in expression.groupindex:
        raise ValueError(
            f"pattern={pattern!r} must be one of {sorted(PATTERNS)} or a regular expression with a "
            r"group called subject, such as '(?P<subject>[^_]+)_'."
        )
    return expression

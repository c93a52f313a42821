"""`clip_names`: subject, clip and frame from the name of an image file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

# A file name of each data set, and the pattern for the beginning of its names. `label` is a code
# of EXPRESSION_CODES; the subject of KDEF is sex and number.
PATTERNS = {
    "ck+": ("S010_004_00000017.png", r"(?P<clip>(?P<subject>S\d+)_\d+)_(?P<frame>\d+)"),
    "jaffe": (
        "KA.AN1.39.tiff",
        r"(?P<subject>[A-Z]{2})[.-](?P<label>AN|DI|FE|HA|NE|SA|SU)\d*[.-]",
    ),
    "kdef": (
        "AF01ANS.JPG",
        r"(?P<session>[AB])(?P<subject>[FM]\d\d)"
        r"(?P<label>AF|AN|DI|HA|NE|SA|SU)(?P<view>F[LR]|H[LR]|S)(?![A-Z])",
    ),
    "raf-db": ("train_00001.jpg", r"(?P<usage>train|test)_\d+"),
}
# Number of a frame that fits into 64 bits.
_FRAME = re.compile(r"\d{1,18}")


class ClipNames(NamedTuple):
    """Subject, clip and frame of each file.

    Attributes
    ----------
    subject : ndarray of shape (n,), str
        The person.
    clip : ndarray of shape (n,), str
        The clip, unique for all subjects.
    frame : ndarray of shape (n,), int
        Index of the image in its clip; -1 if the name has none.

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
    r"""Return subject, clip and frame of images, from the names of their files.

    Subjects are groups for `sklearn.model_selection.GroupKFold`: with images of one person in
    training and test, the accuracy is too high.

    Parameters
    ----------
    paths : iterable of n str or os.PathLike
        Only the names of the files matter.
    pattern : str, default="ck+"
        "ck+" reads ``S010_004_00000017.png``: subject S010, clip S010_004, frame 17; "jaffe"
        ``KA.AN1.39.tiff``: subject KA; "kdef" ``AF01ANS.JPG``: subject F01. Any other is a
        regular expression for the beginning of names, with a group ``subject`` and optionally
        ``clip`` and ``frame``, a number. Without ``clip``, a subject is one clip.

    Returns
    -------
    ClipNames

    Raises
    ------
    ValueError
        If a name doesn't fit, or `pattern` is not such an expression.

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
    expression = name_pattern(pattern)
    if "subject" not in expression.groupindex:
        raise ValueError(
            f"The pattern {pattern!r} must be a regular expression with a group called subject, "
            f"such as '(?P<subject>[^_]+)_', or one of {sorted(PATTERNS)}."
        )
    return clips_of(parts_of_names(paths, expression, pattern))


def name_pattern(pattern: str) -> re.Pattern:
    """Return a ready-made pattern or a regular expression, compiled."""
    try:
        known = PATTERNS.get(pattern)
        expression = re.compile(pattern) if known is None else re.compile(known[1], re.I)
    except re.error as error:
        raise ValueError(
            f"The pattern {pattern!r} is not a regular expression: {error}."
        ) from error
    if not expression.groupindex:
        raise ValueError(
            f"The pattern {pattern!r} must be one of {sorted(PATTERNS)} or a regular expression "
            "with a group called subject or label, such as '(?P<subject>[^_]+)_'."
        )
    return expression


def parts_of_name(path: str | os.PathLike, expression: re.Pattern) -> dict[str, str] | None:
    """Return the groups that a file name has, or None if it does not fit."""
    found = expression.match(Path(path).name)
    parts = {} if found is None else found.groupdict()
    fits = parts and all(parts.get(group, "x") for group in ("subject", "label"))
    fits = fits and _FRAME.fullmatch(parts.get("frame") or "0") is not None
    return {group: text or "" for group, text in parts.items()} if fits else None


def parts_of_names(
    paths: Iterable[str | os.PathLike], expression: re.Pattern, pattern: str
) -> list[dict[str, str]]:
    """Return the groups that each file name has; refuse a name that does not fit."""
    found = []
    for index, path in enumerate(paths):
        parts = parts_of_name(path, expression)
        if parts is None:
            raise ValueError(f"paths[{index}] ({os.fspath(path)!r}) {misfit(pattern)}")
        found.append(parts)
    return found


def misfit(pattern: str) -> str:
    """Return the end of a sentence about a file name that does not fit a pattern."""
    example = f", as in {PATTERNS[pattern][0]}." if pattern in PATTERNS else "."
    return f"does not fit the pattern {pattern!r}{example}"


def clips_of(names: Sequence[dict[str, str]]) -> ClipNames:
    """Return subject, clip and frame of each of the names, which all have a subject."""
    return ClipNames(
        np.array([parts["subject"] for parts in names], str),
        np.array([parts.get("clip") or parts["subject"] for parts in names], str),
        np.array([int(parts.get("frame") or -1) for parts in names], np.int64),
    )

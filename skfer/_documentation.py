"""Where the documentation is: what errors point to, and the HTML view of estimators."""

from __future__ import annotations

import itertools

import skfer

SITE = "https://skfer.readthedocs.io/en/stable"


def page(name: str) -> str:
    """The address of a page, for the end of an error whose way out takes more than a line.

    Parameters
    ----------
    name : str
        The page's file in ``docs/``, without its ending.

    Examples
    --------
    >>> from skfer._documentation import page
    >>> page("guide/own_photos")
    'https://skfer.readthedocs.io/en/stable/guide/own_photos.html'
    """
    return f"{SITE}/{name}.html"


def reference_page(cls: type) -> str:
    """The address of a public class's page, which is called as the class is imported.

    Examples
    --------
    >>> from skfer._documentation import reference_page
    >>> from skfer.detection import HaarDetector
    >>> reference_page(HaarDetector)
    'https://skfer.readthedocs.io/en/stable/api/generated/skfer.detection.HaarDetector.html'
    """
    if cls.__name__ in skfer.__all__:
        module = "skfer"
    else:
        parts = cls.__module__.split(".")
        module = ".".join(itertools.takewhile(lambda part: not part.startswith("_"), parts))
    return page(f"api/generated/{module}.{cls.__name__}")


class Documented:
    """Estimators whose HTML view, as notebooks show it, links to their page."""

    # scikit-learn links to classes of this package only, not to those a user derives from them.
    _doc_link_module = "skfer"

    @property
    def _doc_link_template(self) -> str:
        # Whole, and so without what versions of scikit-learn fill in by different names.
        return reference_page(type(self))

"""Packages that only some need, imported where they are used; an error that says how to get one."""

from __future__ import annotations

import importlib
from typing import Any

from skfer._documentation import page

# What a module's package is called, where the names differ.
_PACKAGES = {
    "av": "PyAV",
    "flask": "Flask",
    "pillow_heif": "pillow-heif",
    "skimage": "scikit-image",
}


def import_extra(module: str, needed_by: str, extra: str, otherwise: str = "") -> Any:
    """A module of an optional package.

    Parameters
    ----------
    module : str
    needed_by : str
        What can't do without, for the error.
    extra : str
        The extra of skfer that the package comes with.
    otherwise : str, default=""
        Another way out, beside installing it.

    Raises
    ------
    ImportError
        If it isn't installed.
    """
    try:
        importlib.import_module(module.partition(".")[0])
        return importlib.import_module(module)
    except ImportError as error:
        raise not_installed(module, needed_by, extra, otherwise) from error


def not_installed(module: str, needed_by: str, extra: str, otherwise: str = "") -> ImportError:
    """The error that says how to get the package of a module.

    Examples
    --------
    >>> from skfer._extras import not_installed
    >>> print(not_installed("av", "recognize_video", "video"))
    recognize_video needs PyAV, which is not installed: pip install "skfer[video]". See https...
    """
    name = module.partition(".")[0]
    package = _PACKAGES.get(name, name)
    way_out = f", or {otherwise}" if otherwise else ""
    return ImportError(
        f'{needed_by} needs {package}, which is not installed: pip install "skfer[{extra}]"'
        f"{way_out}. See {page('faq')}"
    )

"""Helpers: files and folders, text in errors, documentation pages, optional packages, threads."""

from __future__ import annotations

import importlib
import os
import re
import reprlib
import stat
import sys
from collections.abc import Callable
from numbers import Integral
from pathlib import Path
from typing import IO, Any

import skfer

_MAX_QUOTE = 80
# Control characters, marks that change the direction of text, and parts of names that are not
# UTF-8.
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_NOT_UTF8 = re.compile("[\ud800-\udfff]")
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

_MAX_LEVELS = 100  # of folders in a folder

SITE = "https://skfer.readthedocs.io/en/stable"
# Names of packages that differ from those of their modules.
_PACKAGES = {
    "av": "PyAV",
    "flask": "Flask",
    "pillow_heif": "pillow-heif",
    "skimage": "scikit-image",
}

# Whether this process was forked from one that had used TensorFlow.
_forked_in_use = False


def lazy_names(modules: dict[str, str]) -> Callable[[str], Any]:
    """Return a module's `__getattr__` that imports each name from its module on first use."""

    def __getattr__(name: str) -> Any:  # noqa: N807
        if name not in modules:
            raise AttributeError(f"there is no name {name!r}")
        return getattr(importlib.import_module(modules[name]), name)

    return __getattr__


def open_regular(path: str | os.PathLike) -> IO[bytes]:
    """Open a file for reading bytes, without waiting for a pipe or reading a device."""

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))

    kind = stat.S_IFMT(os.stat(path).st_mode)
    if kind == stat.S_IFREG:  # a device may do something when it is opened
        file = open(path, "rb", opener=opener)  # noqa: SIM115 - the caller closes it
        kind = stat.S_IFMT(os.fstat(file.fileno()).st_mode)
        if kind == stat.S_IFREG:
            return file
        file.close()
    raise ValueError(f"it is {_KINDS.get(kind, 'of an unknown kind')}, not a file")


def entries_of(folder: Path, root: Path | None = None) -> list[Path]:
    """Return the entries of a folder in `root`, unsorted; refuse one that is too deep in it."""
    if root is not None and len(folder.parts) - len(root.parts) > _MAX_LEVELS:
        raise ValueError(
            f"{shorten(str(folder), 200)} is more than {_MAX_LEVELS} folders deep in {str(root)!r}."
        )
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise ValueError(
            f"The folder {shorten(str(folder), 200)} can't be read: {error.strerror}."
        ) from error


def leads_out(entry: Path, root: Path) -> bool:
    """Return whether an entry of a folder is a link that leads out of it."""
    return entry.is_symlink() and not real_path(entry).is_relative_to(real_path(root))


def real_path(path: Path) -> Path:
    """Return the path without links. `Path.resolve` raises RuntimeError for a link to itself."""
    return Path(os.path.realpath(path))


def link_refusal(link: Path, root: Path) -> ValueError:
    """Return the error for a link that is not followed."""
    return ValueError(
        f"{str(link)!r} is a link to {str(real_path(link))!r}. Links to folders and out of "
        f"{str(root)!r} are not followed. Copy the files into the folder, or list their paths."
    )


def printable(text: str, *, keep: str = "", controls: bool = True) -> str:
    """Escape characters that a terminal acts on, or that no encoding can write."""
    unsafe = _CONTROL if controls else _NOT_UTF8
    return unsafe.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def _escape(character: str) -> str:
    return f"\\u{ord(character):04x}"


def shorten(value: Any, max_length: int = _MAX_QUOTE) -> str:
    """Return the repr of a value for an error, without its middle if it is too long."""
    if isinstance(value, bytes | bytearray):
        value = bytes(value[:max_length])  # the end may be far away
    limited = reprlib.Repr()
    limited.maxstring = limited.maxother = max_length
    limited.maxlist = limited.maxtuple = limited.maxset = limited.maxdict = max_length // 4
    text = limited.repr(value)
    if "\n" in text:  # such as of an array
        text = " ".join(text.split())
    if len(text) <= max_length:
        return text
    half = (max_length - 3) // 2
    return f"{text[:half]}...{text[half - max_length + 3 :]}"


def join_first(names: list[str], n_shown: int) -> str:
    """Join the first names by commas, and count the others: ``"a, b and 3 more"``."""
    more = len(names) - n_shown
    return ", ".join(names[:n_shown]) + (f" and {more} more" if more > 0 else "")


def check_int(name: str, value: Any, least: int = 1) -> None:
    """Raise `ValueError` unless a parameter is an int of at least `least`."""
    if not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name}={value!r} must be an int of at least {least}.")


def page(name: str) -> str:
    """Return the address of a page of the documentation, for errors."""
    return f"{SITE}/{name}.html"


class DocLinkMixin:
    """Mixin of estimators whose HTML representation links to their API page."""

    # scikit-learn links to classes of this package only, not to subclasses of users.
    _doc_link_module = "skfer"

    @property
    def _doc_link_template(self) -> str:
        # A complete address: the names that scikit-learn fills in differ between versions.
        name = type(self).__name__
        module = type(self).__module__.partition("._")[0]
        return page(f"api/generated/{'skfer' if name in skfer.__all__ else module}.{name}")


def import_extra(module: str, needed_by: str, extra: str, otherwise: str = "") -> Any:
    """Import a module of an optional package."""
    try:
        importlib.import_module(module.partition(".")[0])
        return importlib.import_module(module)
    except ImportError as error:
        raise missing_package(module, needed_by, extra, otherwise) from error


def pyplot(needed_by: str) -> Any:
    """Return `matplotlib.pyplot`, or raise an ImportError that says what to install."""
    return import_extra("matplotlib.pyplot", needed_by, "plot")


def missing_package(module: str, needed_by: str, extra: str, otherwise: str = "") -> ImportError:
    """Return the error that says how to install the package of a module."""
    name = module.partition(".")[0]
    package = _PACKAGES.get(name, name)
    way_out = f", or {otherwise}" if otherwise else ""
    return ImportError(
        f'{needed_by} needs {package}, which is not installed: pip install "skfer[{extra}]"'
        f"{way_out}. See {page('faq')}"
    )


def tensorflow_is_usable() -> bool:
    """Return False in a process forked after TensorFlow had started its threads."""
    return not _forked_in_use


def require_usable_tensorflow() -> None:
    """Raise an error where TensorFlow would hang."""
    if not tensorflow_is_usable():
        raise RuntimeError(
            "This process was forked from one that had used TensorFlow, whose threads do "
            'not survive a fork: it would hang. Use joblib\'s default backend "loky", or '
            'multiprocessing\'s "spawn" instead of "fork".'
        )


def tensorflow_in_use() -> bool:
    """Return whether TensorFlow has started its threads in this process. It is not imported."""
    module = sys.modules.get("tensorflow.python.eager.context")
    try:
        context = module.context_safe()  # type: ignore[union-attr]
        return context is not None and bool(context._initialized)
    except AttributeError:
        # There is no public API for this; TensorFlow counts as unused.
        return False


def _note_a_fork() -> None:
    global _forked_in_use
    _forked_in_use = _forked_in_use or tensorflow_in_use()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_a_fork)


def threads_allowed() -> int | None:
    """Return ``OMP_NUM_THREADS``, at most the number of cores; None if it is not set.

    joblib and Dask set it in their workers. TensorFlow, OpenCV and ONNX Runtime ignore it: in two
    workers on two cores, each would use both cores.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if not re.fullmatch("[0-9]{1,9}", wanted) or not int(wanted):
        return None
    return min(int(wanted), os.cpu_count() or 1)


def limit_opencv() -> None:
    """Limit OpenCV's threads in the same way, unless other code has set their number."""
    import cv2

    allowed = threads_allowed()
    if allowed is not None and cv2.getNumThreads() == cv2.getNumberOfCPUs():
        cv2.setNumThreads(min(allowed, cv2.getNumberOfCPUs()))

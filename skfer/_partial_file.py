"""`partial_file`: a file that is there as a whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

# The disk, the user's share of it, or the largest file there may be is full; or the disk fails.
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


@contextlib.contextmanager
def partial_file(path: str | os.PathLike) -> Iterator[Path]:
    """A file beside `path`, which takes its place when the block ends well.

    If the block fails or is interrupted, nothing is left and an older file stays as it was.

    Parameters
    ----------
    path : str or os.PathLike
        Where the file is to be.

    Yields
    ------
    Path
        What to write, with the same suffix.

    Raises
    ------
    OSError
        If nothing can be written in that folder, or there is no room for all of it; the message
        names the file.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{str(target)!r} is a folder, where a file is to be written.")
    # Not by tempfile, whose files are the user's alone: this one is to be as open() makes it.
    part = target.with_name(f".{target.stem}.{secrets.token_hex(8)}{target.suffix}")
    try:
        part.touch(exist_ok=False)
    except OSError as error:
        told = type(error)(f"{str(target)!r} can't be written: {error.strerror}.")
        told.errno = error.errno
        raise told from error
    try:
        yield part
        part.replace(target)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        # An error raised while writing doesn't say in which file.
        told = OSError(f"{str(target)!r} can't be written: {error.strerror}.")
        told.errno = error.errno
        raise told from error
    finally:
        part.unlink(missing_ok=True)

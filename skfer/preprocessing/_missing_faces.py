"""What is said of images in which no face was found."""

from __future__ import annotations

import warnings

from skfer._documentation import page
from skfer._images import Images, image_name

# An error names this many images, then counts the rest.
_NAMED = 10


def report_missing(missing: list[int], images: Images, on_missing: str) -> None:
    """Warn of the images without a face, or raise `ValueError`, as ``on_missing`` says."""
    if on_missing == "raise":
        named = ", ".join(image_name(images, index) for index in missing[:_NAMED])
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise ValueError(
            f"{len(missing)} of {len(images)} images: no face found in {named}{more}. "
            f"on_missing='image' or 'blank' lets them pass. See {page('guide/own_photos')}"
        )
    what = "the whole image is used" if on_missing == "image" else "the crop is blank"
    warnings.warn(
        f"{len(missing)} of {len(images)} images: no face found; {what} "
        f"(on_missing={on_missing!r}). See {page('guide/own_photos')}",
        UserWarning,
        stacklevel=4,  # past transform and scikit-learn's wrapper of it, to the caller's line
    )

"""Print the system packages to install if OpenCV cannot find its libraries."""

import sys

try:
    import cv2  # noqa: F401
except ImportError as error:
    if "cannot open shared object file" not in str(error):
        raise
    sys.exit(
        f"OpenCV is installed, but a system library is missing: {error}\n"
        "Install it, then run make again:\n"
        "    sudo apt-get update && sudo apt-get install -y libgl1 libglib2.0-0"
    )

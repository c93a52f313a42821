"""Build the wheel and the source archive, with YuNet's model if it can be had.

    python scripts/build_dist.py dist

The model is taken from ``$SKFER_DATA/models``, from the user's cache folder, or downloaded. Its
checksum is verified. Without it, "auto" means the Haar detector. The checkout stays without it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from skfer.detection import download_yunet
from skfer.detection._yunet import MODEL_NAME, is_yunet_model

PACKAGED = Path(__file__).parents[1] / "skfer" / "detection" / MODEL_NAME


def find_model() -> Path | None:
    """Return the path of YuNet's model, or None without network access."""
    local = Path(os.environ.get("SKFER_DATA", ""), "models", MODEL_NAME)
    if local.is_file() and is_yunet_model(local):
        return local
    try:
        return download_yunet()
    except OSError as error:
        print(f"The wheel is built without YuNet. {error}")
        return None


def main() -> None:
    """Build both archives with a temporary copy of the model in the package."""
    PACKAGED.unlink(missing_ok=True)
    model = find_model()
    try:
        if model is not None:
            shutil.copyfile(model, PACKAGED)
            print(f"The wheel contains {MODEL_NAME}.")
        subprocess.run([sys.executable, "-m", "build", "--outdir", sys.argv[1]], check=True)
    finally:
        PACKAGED.unlink(missing_ok=True)


if __name__ == "__main__":
    main()

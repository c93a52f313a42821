"""Transformers from pictures to what a network takes, or to features of their own."""

from skfer.preprocessing._face_cropper import FaceCropper
from skfer.preprocessing._hog import HOGDescriptor
from skfer.preprocessing._image_resizer import GrayscaleResizer, ImageResizer
from skfer.preprocessing._lbp import LBPDescriptor

__all__ = ["FaceCropper", "GrayscaleResizer", "HOGDescriptor", "ImageResizer", "LBPDescriptor"]

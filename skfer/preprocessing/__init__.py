"""Transformers from pictures to what a network takes."""

from skfer.preprocessing._face_cropper import FaceCropper
from skfer.preprocessing._image_resizer import GrayscaleResizer, ImageResizer

__all__ = ["FaceCropper", "GrayscaleResizer", "ImageResizer"]

"""Transformers that prepare images for a network or compute features from them."""

from skfer.preprocessing._descriptors import HOGDescriptor, LBPDescriptor
from skfer.preprocessing._face_cropper import FaceCropper
from skfer.preprocessing._image_resizer import GrayscaleResizer, ImageResizer

__all__ = ["FaceCropper", "GrayscaleResizer", "HOGDescriptor", "ImageResizer", "LBPDescriptor"]

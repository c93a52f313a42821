"""Reports of how good a fitted Pipeline is, and where it stops being so."""

from skfer.evaluation._corruptions import CORRUPTIONS, Corruption, corrupt_images
from skfer.evaluation._robustness import robustness_report

__all__ = ["CORRUPTIONS", "Corruption", "corrupt_images", "robustness_report"]

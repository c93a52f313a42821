"""Reports of how good a fitted Pipeline is, for whom, and where it stops being so."""

from skfer.evaluation._corruptions import CORRUPTIONS, Corruption, corrupt_images
from skfer.evaluation._cross_dataset import cross_dataset_matrix
from skfer.evaluation._groups import group_report
from skfer.evaluation._leak_audit import leak_audit
from skfer.evaluation._robustness import robustness_report

__all__ = [
    "CORRUPTIONS",
    "Corruption",
    "corrupt_images",
    "cross_dataset_matrix",
    "group_report",
    "leak_audit",
    "robustness_report",
]

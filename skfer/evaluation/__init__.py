"""Reports of how good a fitted Pipeline is, for whom and how far, and of its data."""

from skfer.evaluation._corruptions import CORRUPTIONS, Corruption, corrupt_images
from skfer.evaluation._cross_dataset import cross_dataset_matrix
from skfer.evaluation._groups import group_report
from skfer.evaluation._label_report import cross_val_label_report, label_noise, label_report
from skfer.evaluation._leak_audit import leak_audit
from skfer.evaluation._robustness import robustness_report
from skfer.evaluation._votes import vote_agreement, votes_on_report

__all__ = [
    "CORRUPTIONS",
    "Corruption",
    "corrupt_images",
    "cross_dataset_matrix",
    "cross_val_label_report",
    "group_report",
    "label_noise",
    "label_report",
    "leak_audit",
    "robustness_report",
    "vote_agreement",
    "votes_on_report",
]

"""Reports on classifiers (robustness, fairness, transfer) and on data (labels, leaks)."""

from skfer.evaluation._cross_dataset import cross_dataset_matrix
from skfer.evaluation._groups import group_report
from skfer.evaluation._label_report import (
    cross_val_label_report,
    label_noise,
    label_report,
    vote_agreement,
    votes_on_report,
)
from skfer.evaluation._leak_audit import leak_audit
from skfer.evaluation._robustness import CORRUPTIONS, Corruption, corrupt_images, robustness_report

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

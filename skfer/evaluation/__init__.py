"""Reports of how good a fitted Pipeline is, where it stops being so, and of its labels."""

from skfer.evaluation._corruptions import CORRUPTIONS, Corruption, corrupt_images
from skfer.evaluation._label_report import cross_val_label_report, label_noise, label_report
from skfer.evaluation._robustness import robustness_report
from skfer.evaluation._votes import vote_agreement, votes_on_report

__all__ = [
    "CORRUPTIONS",
    "Corruption",
    "corrupt_images",
    "cross_val_label_report",
    "label_noise",
    "label_report",
    "robustness_report",
    "vote_agreement",
    "votes_on_report",
]

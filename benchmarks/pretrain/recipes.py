"""Recipes of the runs of ``train.py``: networks and settings."""

from __future__ import annotations

_MILD = {
    "rotation": 12.0,
    "zoom": 0.12,
    "shift": 3.0,
    "gamma": 0.35,
    "contrast": 0.3,
    "brightness": 0.12,
    "blur": 0.25,
    "jpeg": 0.1,
    "noise": 0.25,
    "erasing": 0.2,
}
_DEFAULTS = {
    "network": "mini_resnet",
    "batch_size": 128,
    "learning_rate": 0.1,
    "warm_up": 0.03,
    "decay": 0.6,
    "weight_decay": 5e-4,
    "average": 0.999,
    "label_smoothing": 0.1,
    "logit_adjustment": 0.0,
    "sizes": ((0, 40),),  # first epoch of each side of the training images
    "seed": 1,
    "augment": _MILD,
}

RUNS = {
    "small": _DEFAULTS
    | {
        "network_params": {"width": 0.5, "dropout": 0.1},
        "start": "shrunk",
        "epochs": 50,
        "sizes": ((0, 40), (44, 48)),
        "learning_rate": 0.05,
        "weight_decay": 2e-4,
        "teacher": "shipped",
        "taught": 0.7,
        "logit_adjustment": 0.15,
    },
    "base": _DEFAULTS
    | {
        "start": "shipped",
        "epochs": 34,
        "sizes": ((0, 40), (31, 48)),
        "learning_rate": 0.02,
        "decay": 0.62,
        "teacher": "shipped_base",
        "taught": 0.6,
        "logit_adjustment": 0.3,
        "augment": _MILD | {"erasing": 0.25, "cutmix": 0.2, "resolution": 0.1},
    },
    # A teacher from random weights, so that it makes other errors than the shipped weights.
    "teacher": _DEFAULTS
    | {
        "seed": 2,
        "epochs": 36,
        "sizes": ((0, 32), (12, 40), (31, 48)),
        "teacher": "shipped_base",
        "taught": 0.5,
        "augment": _MILD | {"blur": 0.1, "noise": 0.1, "erasing": 0.25},
    },
}

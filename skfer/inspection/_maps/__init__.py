"""Maps of what an estimator looks at: how they are made, judged and summed up by region."""

from skfer.inspection._maps._deletion import (
    deletion_curve,
    deletion_score,
    insertion_curve,
    insertion_score,
)
from skfer.inspection._maps._grad_cam import grad_cam
from skfer.inspection._maps._occlusion import occlusion_sensitivity
from skfer.inspection._maps._region_importance import region_importance
from skfer.inspection._maps._regions import FACE_REGIONS, region_masks, region_weights
from skfer.inspection._maps._saliency import saliency

__all__ = [
    "FACE_REGIONS",
    "deletion_curve",
    "deletion_score",
    "grad_cam",
    "insertion_curve",
    "insertion_score",
    "occlusion_sensitivity",
    "region_importance",
    "region_masks",
    "region_weights",
    "saliency",
]

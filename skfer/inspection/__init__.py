"""Plots and maps for inspecting data, networks, fits and predictions."""

from skfer.inspection._circumplex import CircumplexDisplay
from skfer.inspection._class_balance import ClassBalanceDisplay
from skfer.inspection._evaluation_displays import (
    CoverageDisplay,
    CrossDatasetDisplay,
    GroupDisplay,
    PredictionSetDisplay,
    ReliabilityDisplay,
    RobustnessDisplay,
)
from skfer.inspection._history import HistoryDisplay
from skfer.inspection._image_displays import ImageGridDisplay, LabelReportDisplay, LeakDisplay
from skfer.inspection._map_displays import (
    GradCAMDisplay,
    MapDisplay,
    OcclusionDisplay,
    SaliencyDisplay,
)
from skfer.inspection._maps import grad_cam, saliency
from skfer.inspection._network_plot import NetworkDisplay, layer_table, plot_network
from skfer.inspection._perturbation import (
    deletion_curve,
    deletion_score,
    insertion_curve,
    insertion_score,
    occlusion_sensitivity,
)
from skfer.inspection._regions import (
    FACE_REGIONS,
    RegionImportanceDisplay,
    region_importance,
    region_masks,
    region_weights,
)

__all__ = [
    "FACE_REGIONS",
    "CircumplexDisplay",
    "ClassBalanceDisplay",
    "CoverageDisplay",
    "CrossDatasetDisplay",
    "GradCAMDisplay",
    "GroupDisplay",
    "HistoryDisplay",
    "ImageGridDisplay",
    "LabelReportDisplay",
    "LeakDisplay",
    "MapDisplay",
    "NetworkDisplay",
    "OcclusionDisplay",
    "PredictionSetDisplay",
    "RegionImportanceDisplay",
    "ReliabilityDisplay",
    "RobustnessDisplay",
    "SaliencyDisplay",
    "deletion_curve",
    "deletion_score",
    "grad_cam",
    "insertion_curve",
    "insertion_score",
    "layer_table",
    "occlusion_sensitivity",
    "plot_network",
    "region_importance",
    "region_masks",
    "region_weights",
    "saliency",
]

"""Looking at data, networks, fits and answers: displays as scikit-learn has them."""

from skfer.inspection._circumplex import CircumplexDisplay
from skfer.inspection._class_balance import ClassBalanceDisplay
from skfer.inspection._coverage import CoverageDisplay
from skfer.inspection._cross_dataset import CrossDatasetDisplay
from skfer.inspection._grad_cam_display import GradCAMDisplay
from skfer.inspection._groups import GroupDisplay
from skfer.inspection._history import HistoryDisplay
from skfer.inspection._image_grid import ImageGridDisplay
from skfer.inspection._label_report import LabelReportDisplay
from skfer.inspection._leaks import LeakDisplay
from skfer.inspection._map_display import MapDisplay
from skfer.inspection._maps import (
    FACE_REGIONS,
    deletion_curve,
    deletion_score,
    grad_cam,
    insertion_curve,
    insertion_score,
    occlusion_sensitivity,
    region_importance,
    region_masks,
    region_weights,
    saliency,
)
from skfer.inspection._network_plot import NetworkDisplay, layer_table, plot_network
from skfer.inspection._occlusion_display import OcclusionDisplay
from skfer.inspection._prediction_sets import PredictionSetDisplay
from skfer.inspection._region_display import RegionImportanceDisplay
from skfer.inspection._reliability import ReliabilityDisplay
from skfer.inspection._robustness import RobustnessDisplay
from skfer.inspection._saliency_display import SaliencyDisplay

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

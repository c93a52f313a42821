"""Looking at data, networks and fits: displays as scikit-learn has them."""

from skfer.inspection._class_balance import ClassBalanceDisplay
from skfer.inspection._coverage import CoverageDisplay
from skfer.inspection._cross_dataset import CrossDatasetDisplay
from skfer.inspection._groups import GroupDisplay
from skfer.inspection._history import HistoryDisplay
from skfer.inspection._image_grid import ImageGridDisplay
from skfer.inspection._leaks import LeakDisplay
from skfer.inspection._network_plot import NetworkDisplay, layer_table, plot_network
from skfer.inspection._prediction_sets import PredictionSetDisplay
from skfer.inspection._reliability import ReliabilityDisplay
from skfer.inspection._robustness import RobustnessDisplay

__all__ = [
    "ClassBalanceDisplay",
    "CoverageDisplay",
    "CrossDatasetDisplay",
    "GroupDisplay",
    "HistoryDisplay",
    "ImageGridDisplay",
    "LeakDisplay",
    "NetworkDisplay",
    "PredictionSetDisplay",
    "ReliabilityDisplay",
    "RobustnessDisplay",
    "layer_table",
    "plot_network",
]

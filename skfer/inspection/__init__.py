"""Looking at data, networks and fits: displays as scikit-learn has them."""

from skfer.inspection._circumplex import CircumplexDisplay
from skfer.inspection._class_balance import ClassBalanceDisplay
from skfer.inspection._coverage import CoverageDisplay
from skfer.inspection._history import HistoryDisplay
from skfer.inspection._image_grid import ImageGridDisplay
from skfer.inspection._network_plot import NetworkDisplay, layer_table, plot_network
from skfer.inspection._reliability import ReliabilityDisplay
from skfer.inspection._robustness import RobustnessDisplay

__all__ = [
    "CircumplexDisplay",
    "ClassBalanceDisplay",
    "CoverageDisplay",
    "HistoryDisplay",
    "ImageGridDisplay",
    "NetworkDisplay",
    "ReliabilityDisplay",
    "RobustnessDisplay",
    "layer_table",
    "plot_network",
]

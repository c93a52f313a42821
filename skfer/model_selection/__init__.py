"""Which images a model may be chosen with: splits, and a guard of those held out."""

from skfer.model_selection._fer2013_split import fer2013_split
from skfer.model_selection._held_out_guard import HeldOutGuard

__all__ = ["HeldOutGuard", "fer2013_split"]

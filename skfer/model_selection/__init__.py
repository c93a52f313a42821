"""Splits for model selection, and a guard for held-out images."""

from skfer.model_selection._splits import HeldOutGuard, fer2013_split

__all__ = ["HeldOutGuard", "fer2013_split"]

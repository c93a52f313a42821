"""Estimators with a network; they are imported from `skfer`."""

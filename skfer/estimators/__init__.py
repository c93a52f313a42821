"""Classifiers, regressor and embedder, which `skfer` exports."""

"""Batches of images: read, decode, validate and scale."""

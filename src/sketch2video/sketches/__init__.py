"""Frames → line drawings."""

from sketch2video.sketches.classical import extract_sketches

__all__ = ["extract_sketches"]

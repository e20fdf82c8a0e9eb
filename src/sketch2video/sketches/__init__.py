"""Frames → line drawings."""

from sketch2video.sketches.classical import extract_sketches
from sketch2video.sketches.drawn import ink_of_drawing, lines_of

__all__ = ["extract_sketches", "ink_of_drawing", "lines_of"]

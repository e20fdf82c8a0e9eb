"""Frames → line drawings."""

from sketch2video.sketches.classical import extract_sketches
from sketch2video.sketches.drawn import ink_of_drawing, lines_of
from sketch2video.sketches.extract import draw_lines, made_by

__all__ = ["draw_lines", "extract_sketches", "ink_of_drawing", "lines_of", "made_by"]

"""Curves as formulas, SVG and files of other programs."""

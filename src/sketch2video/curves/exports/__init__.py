"""Export of curves as formulas, SVG, pictures and JSON."""

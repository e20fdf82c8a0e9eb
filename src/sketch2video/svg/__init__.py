"""Reading of SVG: the drawing as a browser renders it, as ink."""

from sketch2video.svg.document import SvgDrawing, is_svg, read_svg

__all__ = ["SvgDrawing", "is_svg", "read_svg"]

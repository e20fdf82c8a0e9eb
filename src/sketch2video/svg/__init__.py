"""Reading of SVG: the drawing as a browser renders it, as ink."""

from sketch2video.svg.document import is_svg, read_svg

__all__ = ["is_svg", "read_svg"]

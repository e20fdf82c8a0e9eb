"""SVG in: what a browser shows of a drawing, as ink."""

from sketch2video.svg.document import is_svg, read_svg

__all__ = ["is_svg", "read_svg"]

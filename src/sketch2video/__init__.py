"""sketch2video: text to hand-drawn sketch to video."""

from importlib.metadata import version

__version__ = version("sketch2video")

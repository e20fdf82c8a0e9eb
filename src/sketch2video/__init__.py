"""sketch2video: text to hand-drawn sketch to video."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("sketch2video")
except PackageNotFoundError:  # a registered model brings the code alone
    __version__ = "unknown"

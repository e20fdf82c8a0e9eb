"""Benchmarks: the equation against other methods, the video loader, and all other ``make bench-*``."""

from sketch2video.tracking.environment import quiet

quiet()

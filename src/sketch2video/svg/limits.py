"""Limits on what a document draws in all its frames: a small file could otherwise take all memory or time."""

from __future__ import annotations

MOST_ELEMENTS = 100_000
"""Largest number of visited elements; a few with nested ``use``, clips or masks could expand to billions."""
MOST_POINTS = 5_000_000
MOST_FRAMES = 1_000
"""Largest number of groups of frames: each is skipped in all other frames, which takes time that grows as a square."""
_DEEPEST = 100
"""Largest nesting depth of elements, including those that ``use`` inserts."""


class TooLarge(ValueError):
    """A document draws too much."""


class Limits:
    """Counts of what a document draws.

    Attributes:
        points_left: number of points that it may still draw.
    """

    def __init__(self) -> None:
        self.points_left = MOST_POINTS
        self._elements_left = MOST_ELEMENTS
        self._skipped_left = MOST_FRAMES**2

    def visit(self, depth: int) -> None:
        """Count an element at a nesting depth.

        Raises:
            TooLarge: there are too many elements, or too deeply nested ones.
        """
        self._elements_left -= 1
        if self._elements_left < 0:
            raise TooLarge(f"draws more than {MOST_ELEMENTS} elements")
        if depth > _DEEPEST:
            raise TooLarge(f"has more than {_DEEPEST} levels of nested elements")

    def skip(self) -> None:
        """Count the group of a frame that is skipped, since another frame is drawn.

        Raises:
            TooLarge: there are too many.
        """
        self._skipped_left -= 1
        if self._skipped_left < 0:
            raise TooLarge(f"has more than {MOST_FRAMES} frames, or repeats them too often")

    def draw(self, points: int) -> None:
        """Count points.

        Raises:
            TooLarge: there are too many.
        """
        self.points_left -= points
        if self.points_left < 0:
            raise TooLarge(f"draws more than {MOST_POINTS} points")

"""The loss curve of a training."""

from __future__ import annotations

from dataclasses import dataclass, field

CURVE_POINTS = 100
"""Points of a loss curve; each is the mean over the steps since the one before."""


@dataclass
class LossCurve:
    """Means over windows of ``every`` steps; a checkpoint also holds the current, incomplete window."""

    every: int
    points: list[dict[str, float]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0

    def add(self, step: int, values: dict[str, float], rate: float, *, last: bool) -> dict[str, float] | None:
        """Add a step's values; a new point when a window is full or the training ends."""
        for key, value in values.items():
            self.sums[key] = self.sums.get(key, 0.0) + value
        self.count += 1
        if step % self.every and not last:
            return None
        point = {"step": step, "learning_rate": rate} | {key: total / self.count for key, total in self.sums.items()}
        self.points.append(point)
        self.sums, self.count = {}, 0
        return point

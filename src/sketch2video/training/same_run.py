"""Two trainings of one stage, one after the other, as one run with one loss curve."""

from __future__ import annotations

from pathlib import Path

from sketch2video.training.loop import RunLogger, TrainResult

ALIKE = {"step", "learning_rate"}
"""Columns of a loss curve that two trainings of a stage share."""


class _SameRun:
    """A logger that continues the run of an earlier training."""

    def __init__(self, logger: RunLogger, after: int, prefix: str) -> None:
        self.logger, self.after, self.prefix = logger, after, prefix

    def begin(self, run_id: str | None) -> str:
        """Return the run of the earlier training."""
        return run_id or ""

    def metrics(self, values: dict[str, float], step: int) -> None:
        """See :class:`RunLogger`."""
        named = {key if key in ALIKE else f"{self.prefix}{key}": value for key, value in values.items()}
        self.logger.metrics(named, self.after + step)

    def figure(self, path: Path) -> None:
        """See :class:`RunLogger`."""
        self.logger.figure(path)


def in_same_run(logger: RunLogger, after: int, prefix: str) -> RunLogger:
    """A logger for a second training of a stage, in the run that the first one has started.

    Args:
        logger: of the first training, which began its run, from its checkpoint at least.
        after: steps of the first training, added to those of the second.
        prefix: of the names of the second training's values.
    """
    return _SameRun(logger, after, prefix)


def joined(first: TrainResult, second: TrainResult, after: int, prefix: str) -> TrainResult:
    """The results of two trainings of a stage; see :func:`in_same_run` for the arguments."""
    metrics = first.metrics | {f"{prefix}{key}": value for key, value in second.metrics.items()}
    history = [
        {key if key in ALIKE else f"{prefix}{key}": value for key, value in point.items()}
        | {"step": point["step"] + after}
        for point in second.history
    ]
    return TrainResult(metrics, first.history + history)

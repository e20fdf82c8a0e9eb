"""What the stages of a pipeline's call cost."""

from __future__ import annotations

import time

import torch


class Timings:
    """Wall time of the stages of one call, lap by lap.

    Args:
        device: what computes. An accelerator is waited for at the end of every stage, so that none pays for another.

    Attributes:
        seconds: by the stage's name, in their order.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, float] = {}
        self._device = device
        self._begin = time.perf_counter()

    def lap(self, stage: str) -> None:
        """End a stage, which began when the one before it ended."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._begin
        self._begin = now

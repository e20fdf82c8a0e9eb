"""Wall time of the stages of a pipeline's call."""

from __future__ import annotations

import time

import torch


class Timings:
    """Wall time of the stages of one call.

    Args:
        device: device of the computation. An accelerator is synchronised at the end of every stage.

    Attributes:
        seconds: seconds by the stage's name, in order.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, float] = {}
        self._device = device
        self._begin = time.perf_counter()

    def lap(self, stage: str) -> None:
        """End a stage, which began at the end of the previous one."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._begin
        self._begin = now

"""No control: the conditions are the caption and the frame rate alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sketch2video.controls.control import Control

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class NoControl(Control):
    """There are no pictures."""

    name = "none"
    channels = 0
    way = None

    def arrays(self, clips: Path, curves: Path) -> dict[str, Path]:
        """None."""
        return {}

    def pictures(
        self,
        batch: dict[str, Tensor],
        height: int,
        width: int,
        corruption: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        """None."""
        return


NONE = NoControl()

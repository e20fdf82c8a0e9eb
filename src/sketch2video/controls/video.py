"""Control videos: pictures of the user's own that belong to the clips frame by frame, such as maps, poses or depths."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sketch2video.controls.control import Control

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class VideoControl(Control):
    """The array ``control`` of the clips, from ``path_to_control`` of the captions; it is never corrupted."""

    name = "video"
    channels = 3

    def arrays(self, clips: Path, curves: Path) -> dict[str, Path]:
        """The clips' array ``control``."""
        return {"control": clips}

    def pictures(
        self,
        batch: dict[str, Tensor],
        height: int,
        width: int,
        corruption: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The videos in their own size, which is that of the clips, whatever height and width are."""
        return batch["control"].movedim(-1, -3).float() / 255


VIDEO = VideoControl()

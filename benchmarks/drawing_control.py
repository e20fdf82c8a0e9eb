"""The drawing itself as a control: what a system can do without the equation between drawing and video."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sketch2video.controls import Control, register_control, unregister_control

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class DrawingControl(Control):
    """The ink that the stage ``sketch`` found, in the folder ``sketches`` beside that of the clips; never corrupted."""

    name = "drawing"
    channels = 1
    lines = True

    def arrays(self, clips: Path, curves: Path) -> dict[str, Path]:
        """The drawings' array ``ink``."""
        return {"ink": clips.parent / "sketches"}

    def pictures(
        self,
        batch: dict[str, Tensor],
        height: int,
        width: int,
        corruption: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The drawings in their own size, which is that of the clips, whatever height and width are."""
        return batch["ink"].unsqueeze(-3).float() / 255


DRAWING = DrawingControl()


@contextmanager
def drawing_registered() -> Iterator[None]:
    """Register the control for a while."""
    register_control(DRAWING)
    try:
        yield
    finally:
        unregister_control(DRAWING.name)

"""The base class of controls: pictures that condition a system's decoder and denoiser, frame by frame.

A :class:`Control` object holds all differences between the sketch system, the text-only system and one that follows
maps or poses. To add a control, define a subclass and register an object of it
(:func:`~sketch2video.controls.register_control`) before a system is trained or loaded.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sketch2video.data.clips.shards import ShardReader

if TYPE_CHECKING:
    # Methods import torch where they need it: commands that only check a control's name start without it.
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Way:
    """How an evaluation generates clips from captions and pictures of the real clips, and its names in reports.

    Attributes:
        name: of the way; names of its scores end with ``_<name>``.
        title: of clips that were generated so.
        heading: of their shares.
        short: in tables, beside "from text".
        sentence: in a sentence that begins "a video from the text alone, and once more".
    """

    name: str
    title: str
    heading: str
    short: str
    sentence: str


AFTER_CONTROL = Way(
    name="control",
    title="made after control",
    heading="Made after the real clips' control videos",
    short="after control",
    sentence="after the real clip's control video",
)
"""The way with control pictures that are an argument of the pipeline's call, ``control``."""


class Control(ABC):
    """Pictures that a system follows. Objects have no state: results depend on the arguments alone.

    Attributes:
        name: in parameters, in configs of networks and in names of checkpoints; letters, digits and underscores.
        channels: C of the pictures; 0 if there are none.
        lines: whether the pictures are line drawings, ink 1 on 0 with C = 1. Errors near lines weigh more in losses,
            lines stay as dark as they are when pictures shrink, people see them as black on white, and an evaluation
            scores how videos follow them.
        draws: whether the system draws first: a pipeline generates curves from the caption unless curves are given,
            and returns them.
        way: how an evaluation generates with pictures of the real clips; None: from captions alone.
    """

    name: str
    channels: int
    lines: bool = False
    draws: bool = False
    way: Way | None = AFTER_CONTROL

    @abstractmethod
    def arrays(self, clips: Path, curves: Path) -> dict[str, Path]:
        """The arrays of a batch that :meth:`pictures` reads, and the folders of their shards.

        Args:
            clips, curves: the folders that ``ingest`` and ``fit`` write.
        """

    def table(self, clips: Path, curves: Path) -> Path:
        """The table of the clips that have these arrays, with ``shard`` and ``row``."""
        return clips / "clips.parquet"

    @abstractmethod
    def pictures(
        self,
        batch: dict[str, Tensor],
        height: int,
        width: int,
        corruption: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor | None:
        """The pictures of a batch of clips.

        In training a control may corrupt them, so that a network does not trust every pixel of pictures that are
        generated when sampling.

        Args:
            batch: the arrays of :meth:`arrays`, with two leading axes N and T; other arrays are not read.
            height, width: H and W of the pictures, px.
            corruption: share of the clips that are corrupted, in [0, 1].
            generator: the only source of randomness; None: no corruption.

        Returns:
            (N, T, C, H, W) float32 in [0, 1]; None if C is 0.
        """

    def pictures_of_clips(self, rows: pd.DataFrame, clips: Path, curves: Path, size: int) -> Tensor | None:
        """The pictures of stored clips, not corrupted: (N, T, C, size, size) float32 in [0, 1]; None if C is 0.

        Args:
            rows: of :meth:`table`, N.
            clips, curves: see :meth:`arrays`.
            size: height and width, px.
        """
        import torch

        arrays = self.arrays(clips, curves).items()
        batch = {name: torch.from_numpy(ShardReader(folder).batch(name, rows)) for name, folder in arrays}
        return self.pictures(batch, size, size)

    def given(self, rows: pd.DataFrame, clips: Path, curves: Path, size: int) -> dict[str, Any]:
        """The arguments of a pipeline's call by which it follows the pictures of stored clips.

        Args:
            rows, clips, curves, size: see :meth:`pictures_of_clips`.

        Returns:
            ``control``, uint8 (N, T, size, size, C); nothing if C is 0.
        """
        pictures = self.pictures_of_clips(rows, clips, curves, size)
        return {} if pictures is None else {"control": (pictures * 255).round().byte().movedim(-3, -1).numpy()}

    def shown(self, pictures: Tensor) -> np.ndarray:
        """Pictures (..., C, H, W) in [0, 1] for display: uint8 (..., H, W, 3).

        Lines are black on white, three channels are RGB, and of any others the mean is grey.
        """
        from sketch2video.training.previews import ink_to_uint8, to_uint8

        if self.lines:
            return ink_to_uint8(pictures)
        if self.channels != 3:
            pictures = pictures.mean(-3, keepdim=True).expand(*pictures.shape[:-3], 3, *pictures.shape[-2:])
        return to_uint8(2 * pictures - 1)

    @property
    def code(self) -> list[str]:
        """The file that defines the control, which results depend on; none if it is defined in no file."""
        file = getattr(sys.modules.get(type(self).__module__), "__file__", None)
        return [file] if file else []

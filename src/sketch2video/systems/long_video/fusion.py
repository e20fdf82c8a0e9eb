"""Separate tuning and average fusion: one background for all frames of a painted video, equations (9) to (11)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sketch2video.diffusion.objectives import LearningObjective, find_objective
from sketch2video.steadiness.average_fusion import FusionWeights, average_fusion
from sketch2video.steadiness.background import aligned_background, explained
from sketch2video.steadiness.camera import camera_path, is_still
from sketch2video.steadiness.masked_losses import latent_mask
from sketch2video.steadiness.segmenters import segment
from sketch2video.systems.long_video.windows import WindowPainter, Windows


class Painted(NamedTuple):
    """A painted video.

    Attributes:
        latents: (1, T, C, h, w), normalised.
        foreground: bool (T, 1, h, w), as it was when backgrounds were fused; all False where they were not.
    """

    latents: Tensor
    foreground: Tensor


class Parts(NamedTuple):
    """A video taken apart.

    Attributes:
        pictures: uint8 (T, S, S, 3).
        mask: bool (T, S, S), its foreground.
        foreground: bool (T, 1, h, w), where the latent's places hold any of it.
        path: (T, 3, 3), the camera's; see :func:`~sketch2video.steadiness.camera.camera_path`.
    """

    pictures: np.ndarray
    mask: np.ndarray
    foreground: Tensor
    path: np.ndarray

    @property
    def still(self) -> bool:
        """Whether the camera stands still."""
        return is_still(self.path)


class BackgroundFuser(WindowPainter):
    """Fusion of the backgrounds of a painted video; the config of :class:`LongVideoPipeline` says how."""

    @property
    def objective(self) -> LearningObjective:
        """What the network predicts."""
        return find_objective(self.transformer.config.objective, self.transformer.config.time_shift)

    def take_apart(self, windows: Windows, latents: Tensor) -> Parts:
        """F_1 of equation (9): what a video shows, and where its foreground is.

        Args:
            windows: of the video.
            latents: (1, T, C, h, w), normalised.

        Raises:
            UserError: the segmenter cannot be loaded.
        """
        return self.parts_of(self.shown(windows, latents))

    def parts_of(self, pictures: np.ndarray) -> Parts:
        """Equation (9) on frames uint8 (T, S, S, 3).

        Raises:
            UserError: the segmenter cannot be loaded.
        """
        mask = segment(pictures, self.config.segmenter)
        return Parts(pictures, mask, self._places(mask), camera_path(pictures))

    def shown(self, windows: Windows, latents: Tensor) -> np.ndarray:
        """Frames uint8 (T, S, S, 3) of a video's normalised latents (1, T, C, h, w)."""
        decoded = self.decode_videos(self.unnormalised(latents), windows.control)
        frames = np.asarray(self.video_processor.postprocess_video(decoded.transpose(1, 2), "np"))[0]
        return np.asarray((frames * 255).round().astype(np.uint8))

    def latents_of(self, frames: np.ndarray) -> Tensor:
        """Normalised latents (1, T, C, h, w) of frames (T, S, S, 3) in [0, 255]."""
        pictures = torch.from_numpy(frames).to(self._execution_device).movedim(-1, 1) / 127.5 - 1
        return self.normalised(self.encode_pictures(pictures[None]))

    def fuse(
        self, latents: Tensor, noise: Tensor, parts: Parts, time: float, generator: torch.Generator | None
    ) -> Tensor:
        """F_2 of equations (10) and (11): the video at step k, with one background: (1, T, C, h, w), normalised.

        Under a camera that moves, the mean background is made of pictures that are aligned, and encoded again for every
        frame; its noise is then not shared, since noise that stands still belongs to a ground that does.

        Args:
            latents: (1, T, C, h, w), normalised, without noise: r.
            noise: (1, T, C, h, w), with which they are taken back to step k.
            parts: of the video.
            time: of step k.
            generator: see :meth:`paint`.
        """

        def aligned(drawn: Tensor) -> tuple[Tensor, Tensor]:
            mean, seen = aligned_background(parts.pictures, parts.mask, parts.path, drawn.tolist())
            background = ~parts.mask & seen & explained(parts.pictures, mean)
            frames = np.where(background[..., None], mean, parts.pictures).astype(np.float32)
            return self.latents_of(frames)[0], ~self._places(~background & ~parts.mask)

        weights = FusionWeights(self.config.background_weight, self.config.foreground_weight).to(latents.device)
        fused = average_fusion(
            self.objective.noisy(latents, noise, latents.new_full((1,), time))[0],
            latents[0],
            ~parts.foreground,
            self.objective,
            time,
            weights,
            self.config.fused_frames,
            self.config.shared_noise and parts.still,
            generator or torch.default_generator,
            None if parts.still else aligned,
        )
        return fused[None]

    def _places(self, mask: np.ndarray) -> Tensor:
        """Places of the latent with any pixel of a mask: bool (T, H, W) -> (T, 1, h, w)."""
        return latent_mask(torch.from_numpy(mask).to(self._execution_device), self.autoencoder.factor, "any") > 0

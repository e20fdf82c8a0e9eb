"""Separate tuning and average fusion: one background for all frames of a generated video, equations (9) to (11)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sketch2video.diffusion.objectives import Coloured, find_objective
from sketch2video.steadiness.average_fusion import FusionWeights, average_fusion
from sketch2video.steadiness.background import aligned_background, explained
from sketch2video.steadiness.camera import camera_path, is_still
from sketch2video.steadiness.masked_losses import latent_mask
from sketch2video.steadiness.segmenters import segment
from sketch2video.systems.long_video.window_batches import WindowedSketchPipeline, Windows


class GeneratedVideo(NamedTuple):
    """A generated video.

    Attributes:
        latents: (1, T, C, h, w), normalised.
        foreground: bool (T, 1, h, w), the foreground at the time of the fusion; all False without fusion.
    """

    latents: Tensor
    foreground: Tensor


class SeparatedVideo(NamedTuple):
    """A video separated into foreground and background.

    Attributes:
        pictures: uint8 (T, S, S, 3).
        mask: bool (T, S, S), the foreground.
        foreground: bool (T, 1, h, w), latent positions with any foreground.
        path: (T, 3, 3), motion of the camera; see :func:`~sketch2video.steadiness.camera.camera_path`.
    """

    pictures: np.ndarray
    mask: np.ndarray
    foreground: Tensor
    path: np.ndarray

    @property
    def still(self) -> bool:
        """Whether the camera is static."""
        return is_still(self.path)


class BackgroundFuser(WindowedSketchPipeline):
    """Fusion of the backgrounds of a generated video, with the settings of the config of :class:`LongVideoPipeline`."""

    @property
    def objective(self) -> Coloured:
        """The objective of the network's training, for videos of many windows."""
        config = self.transformer.config
        objective = find_objective(config.objective, config.time_shift)
        return Coloured(objective, self.transformer.spectrum, self.config.window)

    def separate(self, windows: Windows, latents: Tensor) -> SeparatedVideo:
        """F_1 of equation (9): the decoded video and its foreground.

        Args:
            windows: windows of the video.
            latents: (1, T, C, h, w), normalised.

        Raises:
            UserError: the segmenter cannot be loaded.
        """
        return self.separate_frames(self.frames_of(windows, latents))

    def separate_frames(self, pictures: np.ndarray) -> SeparatedVideo:
        """Equation (9) for frames uint8 (T, S, S, 3).

        Raises:
            UserError: the segmenter cannot be loaded.
        """
        mask = segment(pictures, self.config.segmenter)
        return SeparatedVideo(pictures, mask, self._latent_positions(mask), camera_path(pictures))

    def frames_of(self, windows: Windows, latents: Tensor) -> np.ndarray:
        """Frames uint8 (T, S, S, 3) of a video's normalised latents (1, T, C, h, w)."""
        decoded = self.decode_videos(self.unnormalised(latents), windows.control)
        frames = np.asarray(self.video_processor.postprocess_video(decoded.transpose(1, 2), "np"))[0]
        return np.asarray((frames * 255).round().astype(np.uint8))

    def latents_of(self, frames: np.ndarray) -> Tensor:
        """Normalised latents (1, T, C, h, w) of frames (T, S, S, 3) in [0, 255]."""
        pictures = torch.from_numpy(frames).to(self._execution_device).movedim(-1, 1) / 127.5 - 1
        return self.normalised(self.encode_pictures(pictures[None]))

    def fuse(
        self,
        latents: Tensor,
        noise: Tensor,
        video: SeparatedVideo,
        time: float,
        generator: torch.Generator | None,
        still: Tensor | None = None,
    ) -> Tensor:
        """F_2 of equations (10) and (11): the video at step k, with one background: (1, T, C, h, w), normalised.

        With a moving camera, the mean background is computed from aligned pictures and encoded again for every frame;
        its noise is then not shared, since shared noise does not move with the background.

        Args:
            latents: (1, T, C, h, w), normalised, without noise: r.
            noise: (1, T, C, h, w), noise of step k.
            video: the separated video.
            time: time of step k.
            generator: see :meth:`LongVideoPipeline.sample_video`.
            still: (1, 1, h, w) bool, the positions whose noise has the spectrum of still ones; see
                :meth:`VideoTransformer.still_positions`.
        """
        objective = self.objective.with_still(still)

        def aligned(drawn: Tensor) -> tuple[Tensor, Tensor]:
            mean, seen = aligned_background(video.pictures, video.mask, video.path, drawn.tolist())
            background = ~video.mask & seen & explained(video.pictures, mean)
            frames = np.where(background[..., None], mean, video.pictures).astype(np.float32)
            return self.latents_of(frames)[0], ~self._latent_positions(~background & ~video.mask)

        weights = FusionWeights(self.config.background_weight, self.config.foreground_weight).to(latents.device)
        fused = average_fusion(
            objective.noisy(latents, noise, latents.new_full((1,), time))[0],
            latents[0],
            ~video.foreground,
            objective,
            time,
            weights,
            self.config.fused_frames,
            self.config.shared_noise and video.still,
            generator or torch.default_generator,
            None if video.still else aligned,
        )
        return fused[None]

    def _latent_positions(self, mask: np.ndarray) -> Tensor:
        """Latent positions with any pixel of a mask: bool (T, H, W) -> (T, 1, h, w)."""
        return latent_mask(torch.from_numpy(mask).to(self._execution_device), self.autoencoder.factor, "any") > 0

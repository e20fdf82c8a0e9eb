"""Overlapping windows of a long video, as input of a network for short clips."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sketch2video.diffusion.samplers import sample
from sketch2video.diffusion.windows import cut_windows, merge_windows
from sketch2video.params import DiffusionSampling
from sketch2video.pipelines.callbacks import StepEnd
from sketch2video.systems.sketch_ldm.pipeline import SketchToVideoPipeline
from sketch2video.text.encoder import TextCondition

WINDOWS_AT_ONCE = 16
"""Maximum number of windows in one batch of the network; bounds the memory of long videos."""


@dataclass(frozen=True)
class Windows:
    """One video of T frames as W windows of K frames.

    Attributes:
        starts: indices of the windows' first frames.
        weights: (K,), by which windows are merged.
        text: encoded captions, one row for each window; None: unconditional.
        control: (1, T, 1, S, S) in [0, 1], the drawing.
        fps: (1,).
    """

    starts: list[int]
    weights: Tensor
    text: TextCondition | None
    control: Tensor
    fps: Tensor

    @property
    def frames(self) -> int:
        """T."""
        return self.control.shape[1]

    def cut(self, video: Tensor, some: slice) -> Tensor:
        """The windows ``some`` (., K, ...) of a video (1, T, ...), equation (18)."""
        return cut_windows(video, self.starts[some], len(self.weights))[0]

    def merge(self, parts: Tensor) -> Tensor:
        """Merge windows (W, K, ...) to a video (1, T, ...), equation (19)."""
        return merge_windows(parts[None], self.starts, self.weights, self.frames)


class WindowedSketchPipeline(SketchToVideoPipeline):
    """Denoising of one video's windows by the sketch system: inter-frame consistency, equations (17) to (19)."""

    def denoise_windows(
        self,
        windows: Windows,
        latents: Tensor,
        sampling: DiffusionSampling,
        generator: torch.Generator | None,
        begun: int = 0,
        on_step_end: StepEnd | None = None,
    ) -> Tensor:
        """Equations (17) to (19): normalised latents (1, T, C, h, w) of one video, its windows merged at every step.

        The network's predictions are merged, for the same noisy video in all windows. A step of a sampler is linear in
        the prediction, so this is equivalent to merging the windows' next steps, except for the noise that is added.

        Args:
            windows: windows of the video.
            latents: (1, T, C, h, w), noise; if sampling has ``begun``, a mixture of data and noise.
            sampling, generator: see :meth:`LongVideoPipeline.sample_video`.
            begun, on_step_end: see :func:`~sketch2video.diffusion.samplers.sample`.
        """
        still = self.transformer.still_positions(windows.control)  # of the whole video, for all its windows

        def predict(video: Tensor, time: Tensor) -> Tensor:
            found = []
            for first in range(0, len(windows.starts), WINDOWS_AT_ONCE):
                some = slice(first, first + WINDOWS_AT_ONCE)
                text = windows.text and TextCondition(windows.text.hidden[some], windows.text.mask[some])
                parts = windows.cut(video, some)
                rates = windows.fps.expand(len(parts))
                control = windows.cut(windows.control, some)
                mask = None if still is None else still.expand(len(parts), -1, -1, -1)
                found.append(self.predict(parts, time, text, control, rates, sampling, mask))
            return windows.merge(torch.cat(found))

        return sample(
            self.scheduler,
            predict,
            latents,
            sampling.num_inference_steps,
            generator,
            self.until_interrupted,
            begun,
            on_step_end,
            self.spectrum_for(windows.control, sampling).filter(windows.frames, len(windows.weights), still),
        )

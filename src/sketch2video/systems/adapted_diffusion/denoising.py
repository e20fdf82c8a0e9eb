"""Denoising of a long video by an image model: overlapping windows, merged at every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, SchedulerMixin, UNet2DConditionModel
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from sketch2video.diffusion.cross_frame_attention import FrameAttention, attend_across_frames
from sketch2video.diffusion.objectives import LEVELS, Diffusion
from sketch2video.diffusion.samplers import begin, step
from sketch2video.diffusion.windows import cut_windows, merge_windows
from sketch2video.networks.precision import precision
from sketch2video.pipelines.callbacks import StepEnd
from sketch2video.pipelines.video_pipeline import VideoPipeline
from sketch2video.systems.adapted_diffusion.noise_schedule import make_scheduler


@dataclass(frozen=True)
class WindowConditions:
    """The windows of a long video, and the conditions of each: h^i and c of equations (17) and (18).

    Attributes:
        starts: indices of the first frames of the N windows, ascending.
        length: K, frames of a window.
        weights: (K,) float32, W of equation (19).
        text: (N, L, D) float32, the encoded caption of each window.
        no_text: (1, L, D) float32, the encoded empty caption.
        features: the adapter's features of all frames, (T, C_i, h_i, w_i) for each scale; None: no adapter condition.
    """

    starts: list[int]
    length: int
    weights: Tensor
    text: Tensor
    no_text: Tensor
    features: list[Tensor] | None


class WindowDenoiser(VideoPipeline):
    """The UNet and the scheduler of :class:`AdaptedDiffusionPipeline`, which registers them."""

    vae: AutoencoderKL
    unet: UNet2DConditionModel
    scheduler: SchedulerMixin

    @property
    def samplers(self) -> tuple[str, ...]:
        """See :class:`VideoPipeline`."""
        return "ddim", "ddpm"

    def set_sampler(self, name: str) -> None:
        """See :class:`VideoPipeline`."""
        self.scheduler = make_scheduler(name)

    @property
    def sample_size(self) -> int:
        """Side of the training pictures, px."""
        return int(self.unet.config.sample_size) * self.factor

    @property
    def sample_frames(self) -> int:
        """1: the network was trained on single pictures."""
        return 1

    @property
    def factor(self) -> int:
        """Downsampling factor of the autoencoder along each axis."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def objective(self) -> Diffusion:
        """The noise process with the scheduler's cumulative product alpha_bar; its time is level / 1000."""
        return Diffusion("epsilon", self.scheduler.betas.tolist())

    def set_frame_attention(self, kind: FrameAttention) -> None:
        """Set the frames to which each frame of a window attends; saved with the pipeline.

        A tuned network should be sampled with the attention with which it was tuned.
        """
        self.register_to_config(frame_attention=kind)

    def initial_noise(self, frames: int, height: int, width: int, generator: torch.Generator | None) -> Tensor:
        """Standard normal noise for the whole video, from which windows are cut: (T, C, h, w) float32.

        Args:
            frames: T.
            height, width: sides of the frames, px.
            generator: random generator.

        Raises:
            ValueError: a side is not a multiple of the factor.
        """
        self._check_sides(height, width)
        shape = frames, self.unet.config.in_channels, height // self.factor, width // self.factor
        return randn_tensor(shape, generator=generator, device=self._execution_device)

    def step_time(self, at: int, num_inference_steps: int) -> float:
        """The objective's time at which a step begins: that of x_k in equations (11) and (12).

        Args:
            at: index of the step.
            num_inference_steps: number of steps of the whole sampling.
        """
        return int(self._timesteps(num_inference_steps)[at]) / LEVELS

    @torch.no_grad()
    def denoise(
        self,
        latents: Tensor,
        conditions: WindowConditions,
        *,
        guidance_scale: float = 7.5,
        adapter_scale: float = 1.0,
        num_inference_steps: int = 50,
        generator: torch.Generator | None = None,
        first_step: int = 0,
        last_step: int | None = None,
        windows_at_once: int = 1,
        on_step_end: StepEnd | None = None,
    ) -> Tensor:
        """Denoise a video, merging its windows in every step: equations (12) and (17).

        Args:
            latents: (T, C, h, w) float32, at the noise level at which ``first_step`` begins.
            conditions: see :meth:`window_conditions`.
            guidance_scale, adapter_scale, windows_at_once: see :meth:`AdaptedDiffusionPipeline.__call__`.
            num_inference_steps: number of steps of the whole sampling.
            generator: random generator of the noise that the scheduler adds, which is sampled for the whole video.
            first_step: index of the first step.
            last_step: index after the last step, for r_k; None: to the end.
            on_step_end: see :func:`~sketch2video.diffusion.samplers.sample`.

        Returns:
            (T, C, h, w) float32: without noise, or at the level at which ``last_step`` begins.

        Raises:
            ValueError: the scheduler cannot begin at every step, the steps are out of range, or the conditions are for
                another number of frames.
        """
        timesteps = self._timesteps(num_inference_steps)
        end = len(timesteps) if last_step is None else last_step
        if not 0 <= first_step <= end <= len(timesteps):
            raise ValueError(f"there are no steps from {first_step} to {end} of {len(timesteps)}")
        if conditions.starts[-1] + conditions.length != len(latents):
            raise ValueError(f"conditions are not of a video of {len(latents)} frames")
        for timestep in self.until_interrupted(timesteps[first_step:end]):
            noise = self.merged_noise(latents, timestep, conditions, guidance_scale, adapter_scale, windows_at_once)
            latents = step(self.scheduler, noise, timestep, latents, generator)
            if on_step_end is not None:
                latents = on_step_end(timestep, latents=latents[None])["latents"][0]
        return latents

    @torch.no_grad()
    def merged_noise(
        self,
        latents: Tensor,
        timestep: Tensor,
        conditions: WindowConditions,
        guidance_scale: float = 7.5,
        adapter_scale: float = 1.0,
        windows_at_once: int = 1,
    ) -> Tensor:
        """The predicted noise of a long video: windows are predicted separately (18) and merged (19).

        Equation (19) merges the results of each window's step. With the same x_t, these differ between windows by a
        multiple of the difference of their predictions, so merging predictions is equivalent, and noise is added once.

        Args:
            latents: (T, C, h, w) float32.
            timestep: a level, int64 ().
            conditions: conditions of the windows.
            guidance_scale, adapter_scale, windows_at_once: see :meth:`AdaptedDiffusionPipeline.__call__`.

        Returns:
            (T, C, h, w) float32.
        """
        starts, length, device = conditions.starts, conditions.length, latents.device
        parts = []
        for first in range(0, len(starts), windows_at_once):
            some = starts[first : first + windows_at_once]
            noisy = cut_windows(latents[None], some, length)[0]
            text = conditions.text[first : first + windows_at_once]
            features = None
            if conditions.features is not None:
                features = [
                    cut_windows(scale[None], some, length)[0].to(device) * adapter_scale
                    for scale in conditions.features
                ]
            if guidance_scale == 1:
                parts.append(self.predict_noise(noisy, timestep, text, features))
                continue
            plain, guided = self.predict_noise(
                torch.cat([noisy, noisy]),
                timestep,
                torch.cat([conditions.no_text.expand_as(text), text]),
                None if features is None else [torch.cat([scale, scale]) for scale in features],
            ).chunk(2)
            parts.append(plain + guidance_scale * (guided - plain))
        return merge_windows(torch.cat(parts)[None], starts, conditions.weights.to(device), len(latents))[0]

    def predict_noise(
        self, latents: Tensor, timestep: Tensor, text: Tensor, features: Sequence[Tensor] | None
    ) -> Tensor:
        """e_theta(v_t, t, h, c) of windows, independent of each other; differentiable.

        Args:
            latents: (N, K, C, h, w) float32.
            timestep: the level of all windows, int64 (), or of each, (N,).
            text: (N, L, D), encoded captions.
            features: (N, K, C_i, h_i, w_i) for each scale of the adapter, or None.

        Returns:
            (N, K, C, h, w) float32.
        """
        windows, frames = latents.shape[:2]
        attend_across_frames(self.unet, self.config.frame_attention, frames)
        with torch.autocast(latents.device.type, torch.bfloat16, enabled=precision() == "bf16"):
            noise = self.unet(
                latents.flatten(0, 1),
                timestep.expand(windows).repeat_interleave(frames),
                encoder_hidden_states=text.repeat_interleave(frames, 0),
                down_intrablock_additional_residuals=features and [scale.flatten(0, 1) for scale in features],
            ).sample
        return noise.float().unflatten(0, (windows, frames))

    def _timesteps(self, num_inference_steps: int) -> Tensor:
        """The scheduler's levels, descending from pure noise."""
        if not isinstance(self.scheduler, DDIMScheduler | DDPMScheduler):
            raise ValueError(
                f"{type(self.scheduler).__name__} may remember steps, so that it cannot begin anywhere; choose one by"
                " make_scheduler"
            )
        return begin(self.scheduler, num_inference_steps, self._execution_device)

    def _check_sides(self, height: int, width: int) -> None:
        if height % self.factor or width % self.factor or not height or not width:
            raise ValueError(
                f"frames are {height} px high and {width} wide; both must be multiples of {self.factor}, and Stable"
                " Diffusion 1.x was trained on 512"
            )


def noise_error(
    pipeline: WindowDenoiser,
    latents: Tensor,
    text: Tensor,
    features: Sequence[Tensor] | None,
    timestep: Tensor,
    noise: Tensor,
) -> Tensor:
    """e - e_theta(x_t, t, h, c) of one window, whose masked squares are equations (14) to (16).

    Args:
        pipeline: the pipeline; its UNet may require gradients.
        latents: x_0, (K, C, h, w) float32.
        text: (1, L, D), the encoded caption.
        features: (K, C_i, h_i, w_i) for each scale of the adapter, times ``adapter_scale``, or None.
        timestep: the level of all frames, int64 ().
        noise: e, (K, C, h, w).

    Returns:
        (K, C, h, w) float32.
    """
    noisy = pipeline.scheduler.add_noise(latents, noise, timestep.expand(len(latents)))
    windows = features and [scale[None].to(latents.device) for scale in features]
    return noise - pipeline.predict_noise(noisy[None], timestep, text, windows)[0]

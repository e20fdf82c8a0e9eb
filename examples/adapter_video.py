"""Long videos by Stable Diffusion and a T2I-Adapter: the base model of the project's fourth paper.

Both are image models, and neither is trained. Overlapping windows are denoised together (eq. 17 to 19,
:mod:`~sketch2video.diffusion.windows`), and the frames of a window attend to each other
(:mod:`~sketch2video.bases.cross_frame_attention`). docs/stable_diffusion.md puts the methods together to the
experiment of the paper.

T is the number of frames of a video, K that of a window; H and W are the sides in px, C, h and w the latent's channels
and sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler, T2IAdapter
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor
from tqdm import tqdm

from sketch2video.bases.base import FIX
from sketch2video.bases.cross_frame_attention import FrameAttention, attend_across_frames
from sketch2video.bases.registry import open_base
from sketch2video.bases.stable_diffusion import FRAMES_AT_ONCE, StableDiffusion
from sketch2video.diffusion.objectives import LEVELS, LearningObjective
from sketch2video.diffusion.samplers import begin, step
from sketch2video.diffusion.windows import (
    captions_of_windows,
    cut_windows,
    merge_windows,
    window_starts,
    window_weights,
)
from sketch2video.errors import UserError
from sketch2video.networks.loading import load_named
from sketch2video.networks.precision import precision
from sketch2video.params import WindowWeights

ADAPTER = (
    "name a folder or a hub id of a T2IAdapter for this model in safetensors; docs/stable_diffusion.md shows how one is"
    " made of a published .bin"
)
SAMPLERS = {"ddim": DDIMScheduler, "ddpm": DDPMScheduler}

Captions = str | Sequence[tuple[int, str]]
"""One caption; or pairs (first frame, caption), each valid until the next one begins."""


@dataclass(frozen=True)
class WindowConditions:
    """The windows of a long video, and the conditions of each: h^i and c of equations (17) and (18).

    Attributes:
        starts: indices of the first frames of the N windows, ascending.
        length: K.
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


class AdapterVideo:
    """Videos of any length that follow a pose video or drawings.

    Args:
        base: of the model.
        unet, vae, tokenizer, text_encoder: its parts.
        adapter: condition pictures -> features for the UNet.
        frame_attention: frames to which each frame of a window attends. A tuned network should be sampled with the
            attention with which it was tuned.

    Attributes:
        scheduler: the sampler; see :meth:`set_sampler`.
        objective: the noise process of the model; its time is level / 1000.
    """

    def __init__(
        self,
        base: StableDiffusion,
        unet: Any,
        vae: Any,
        tokenizer: Any,
        text_encoder: Any,
        adapter: Any,
        frame_attention: FrameAttention = "first_and_own",
    ) -> None:
        self.base, self.frame_attention = base, frame_attention
        self.unet, self.vae, self.adapter = unet, vae, adapter
        self.tokenizer, self.text_encoder = tokenizer, text_encoder
        self.objective: LearningObjective = base.objective(None)
        self.set_sampler("ddim")

    def set_sampler(self, name: str) -> None:
        """Choose the sampler, which begins at the last level.

        Args:
            name: ``ddim``, equations (7) and (8) without noise, in any number of steps; ``ddpm``, equations (4) and
                (5), which the paper uses with 1000 steps.

        Raises:
            UserError: there is no such sampler.
        """
        if name not in SAMPLERS:
            raise UserError(f"there is no sampler {name} here; choose ddim or ddpm")
        own = self.base.load_scheduler()
        settings = {"trained_betas": own.betas.tolist(), "prediction_type": own.config["prediction_type"]}
        self.scheduler = SAMPLERS[name](LEVELS, **settings, clip_sample=False, timestep_spacing="trailing")

    def step_time(self, at: int, num_inference_steps: int) -> float:
        """The objective's time at which step ``at`` of so many begins: that of x_k in equations (11) and (12)."""
        return int(begin(self.scheduler, num_inference_steps, self.unet.device)[at]) / LEVELS

    @torch.no_grad()
    def generate(
        self,
        captions: Captions,
        condition: np.ndarray | None = None,
        num_frames: int | None = None,
        *,
        guidance_scale: float = 7.5,
        adapter_scale: float = 1.0,
        num_inference_steps: int = 50,
        generator: torch.Generator | None = None,
        window: int = 16,
        stride: int = 8,
        weights: WindowWeights = "triangular",
        windows_at_once: int = 1,
    ) -> np.ndarray:
        """Generate one long video: equation (17).

        Args:
            captions: see :data:`Captions`.
            condition: pictures of all frames, see :meth:`adapter_features`; None: captions alone.
            num_frames: T; None: that of the condition.
            guidance_scale, adapter_scale, num_inference_steps, windows_at_once: see :meth:`denoise`.
            generator: random generator.
            window, stride, weights: see :meth:`window_conditions`.

        Returns:
            uint8 (T, H, W, 3) RGB.

        Raises:
            ValueError: the arguments are inconsistent.
        """
        side = int(self.unet.config.sample_size) * self.base.factor
        frames, height, width = (num_frames or 0, side, side) if condition is None else condition.shape[:3]
        if frames < 1 or num_frames not in (None, frames):
            raise ValueError(f"num_frames is {num_frames}, but the condition has {frames} frames; give one of them")
        features = None if condition is None else self.adapter_features(condition)
        latents = self.denoise(
            self.initial_noise(frames, height, width, generator),
            self.window_conditions(captions, frames, window, stride, weights, features),
            guidance_scale=guidance_scale,
            adapter_scale=adapter_scale,
            num_inference_steps=num_inference_steps,
            generator=generator,
            windows_at_once=windows_at_once,
        )
        return self.decode(latents)

    def initial_noise(self, frames: int, height: int, width: int, generator: torch.Generator | None) -> Tensor:
        """Standard normal noise for the whole video, from which windows are cut: (T, C, h, w) float32."""
        self._check_sides(height, width)
        shape = frames, self.base.latent_channels, height // self.base.factor, width // self.base.factor
        return randn_tensor(shape, generator=generator, device=self.unet.device)

    @torch.no_grad()
    def adapter_features(self, condition: np.ndarray) -> list[Tensor]:
        """The adapter's features of all frames, computed in batches.

        Args:
            condition: uint8, (T, H, W, 3) RGB such as poses drawn on black, or (T, H, W) ink, 255 on 0; whichever the
                adapter was trained on. Sides are multiples of 8.

        Returns:
            (T, C_i, h_i, w_i) float32 for each of the adapter's scales, on the CPU.

        Raises:
            ValueError: dtype or shape is wrong.
        """
        channels = self.adapter.config.in_channels
        shape = {1: "(T, H, W) ink", 3: "(T, H, W, 3) RGB"}[channels]
        if condition.dtype != np.uint8 or condition.shape[3:] != {1: (), 3: (3,)}[channels] or condition.ndim < 3:
            raise ValueError(f"condition is {condition.dtype} {condition.shape}; this adapter follows uint8 {shape}")
        self._check_sides(*condition.shape[1:3])
        pictures = torch.from_numpy(np.ascontiguousarray(condition)).view(*condition.shape[:3], channels)
        scales: list[list[Tensor]] = []
        for part in pictures.split(FRAMES_AT_ONCE):
            features = self.adapter(part.to(self.unet.device).movedim(-1, 1).float() / 255)
            scales.append([feature.float().cpu() for feature in features])
        return [torch.cat(scale) for scale in zip(*scales, strict=True)]

    def window_conditions(
        self,
        captions: Captions,
        frames: int,
        window: int,
        stride: int,
        weights: WindowWeights,
        features: list[Tensor] | None,
    ) -> WindowConditions:
        """The windows of a video (18), each with the caption that is valid at its middle.

        Args:
            captions: see :data:`Captions`.
            frames: T.
            window, stride: K and S, the distance of successive windows; a window is at most as long as the video.
            weights: by which windows are merged.
            features: see :meth:`adapter_features`; or None.

        Raises:
            ValueError: see :mod:`~sketch2video.diffusion.windows`; or features have another number of frames.
        """
        captions = [(0, captions)] if isinstance(captions, str) else captions
        if features is not None and any(len(scale) != frames for scale in features):
            raise ValueError(f"there are features of {len(features[0])} frames for a video of {frames}")
        starts, length = window_starts(frames, window, stride), min(window, frames)
        of_windows = captions_of_windows(captions, starts, length)
        different = list(dict.fromkeys(["", *of_windows]))
        text = self.base.encode_text(self.tokenizer, self.text_encoder, different, self.unet.device).hidden
        rows = [different.index(caption) for caption in of_windows]
        return WindowConditions(starts, length, window_weights(weights, length), text[rows], text[:1], features)

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
    ) -> Tensor:
        """Denoise a video, merging its windows in every step: equations (12) and (17).

        Args:
            latents: (T, C, h, w) float32, at the noise level at which ``first_step`` begins.
            conditions: see :meth:`window_conditions`.
            guidance_scale: of the captions; 1 disables guidance.
            adapter_scale: factor of the adapter's features.
            num_inference_steps: number of steps of the whole sampling.
            generator: of the noise that DDPM adds, which is sampled for the whole video.
            first_step: index of the first step.
            last_step: index after the last step, for r_k; None: to the end.
            windows_at_once: windows in one batch of the UNet; more are faster and take more memory.

        Returns:
            (T, C, h, w) float32: without noise, or at the level at which ``last_step`` begins.

        Raises:
            ValueError: the steps are out of range, or the conditions are for another number of frames.
        """
        timesteps = begin(self.scheduler, num_inference_steps, self.unet.device)
        end = len(timesteps) if last_step is None else last_step
        if not 0 <= first_step <= end <= len(timesteps):
            raise ValueError(f"there are no steps from {first_step} to {end} of {len(timesteps)}")
        if conditions.starts[-1] + conditions.length != len(latents):
            raise ValueError(f"conditions are not of a video of {len(latents)} frames")
        for timestep in tqdm(timesteps[first_step:end], desc="sampling", unit="step"):
            merged = self.merged(latents, timestep, conditions, guidance_scale, adapter_scale, windows_at_once)
            latents = step(self.scheduler, merged, timestep, latents, generator)
        return latents

    @torch.no_grad()
    def merged(
        self,
        latents: Tensor,
        timestep: Tensor,
        conditions: WindowConditions,
        guidance_scale: float = 7.5,
        adapter_scale: float = 1.0,
        windows_at_once: int = 1,
    ) -> Tensor:
        """The prediction (T, C, h, w) for a long video: windows are predicted separately (18) and merged (19).

        Equation (19) merges the results of each window's step. With the same x_t, these differ between windows by a
        multiple of the difference of their predictions, so merging predictions is equivalent, and noise is added once.
        See :meth:`denoise` for the arguments; ``timestep`` is a level, int64 ().
        """
        starts, length, device = conditions.starts, conditions.length, latents.device
        parts = []
        for first in range(0, len(starts), windows_at_once):
            some = starts[first : first + windows_at_once]
            noisy = cut_windows(latents[None], some, length)[0]
            text = conditions.text[first : first + windows_at_once]
            features = None
            if conditions.features is not None:
                scaled = (scale[None] * adapter_scale for scale in conditions.features)
                features = [cut_windows(scale, some, length)[0].to(device) for scale in scaled]
            if guidance_scale == 1:
                parts.append(self.predict(noisy, timestep, text, features))
                continue
            plain, guided = self.predict(
                torch.cat([noisy, noisy]),
                timestep,
                torch.cat([conditions.no_text.expand_as(text), text]),
                None if features is None else [torch.cat([scale, scale]) for scale in features],
            ).chunk(2)
            parts.append(plain + guidance_scale * (guided - plain))
        return merge_windows(torch.cat(parts)[None], starts, conditions.weights.to(device), len(latents))[0]

    def predict(self, latents: Tensor, timestep: Tensor, text: Tensor, features: Sequence[Tensor] | None) -> Tensor:
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
        attend_across_frames(self.unet, self.frame_attention, frames)
        with torch.autocast(latents.device.type, torch.bfloat16, enabled=precision() == "bf16"):
            prediction = self.unet(
                latents.flatten(0, 1),
                timestep.expand(windows).repeat_interleave(frames),
                encoder_hidden_states=text.repeat_interleave(frames, 0),
                down_intrablock_additional_residuals=features and [scale.flatten(0, 1) for scale in features],
            ).sample
        return prediction.float().unflatten(0, (windows, frames))

    def error(
        self, latents: Tensor, text: Tensor, features: Sequence[Tensor] | None, timestep: Tensor, noise: Tensor
    ) -> Tensor:
        """e_theta(x_t, t, h, c) - e of one window, whose masked squares are equations (14) to (16); differentiable.

        Args:
            latents: x_0, (K, C, h, w) float32.
            text: (1, L, D), the encoded caption.
            features: (K, C_i, h_i, w_i) for each scale of the adapter, times ``adapter_scale``, or None.
            timestep: the level of all frames, int64 ().
            noise: e, (K, C, h, w).

        Returns:
            (K, C, h, w) float32.
        """
        time = timestep.expand(len(latents)) / LEVELS
        windows = features and [scale[None].to(latents.device) for scale in features]
        predicted = self.predict(self.objective.noisy(latents, noise, time)[None], timestep, text, windows)[0]
        return self.objective.residual(predicted, latents, noise, time)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> np.ndarray:
        """Frames uint8 (T, H, W, 3) RGB of latents (T, C, h, w), decoded in batches."""
        parts = latents[None].split(FRAMES_AT_ONCE, dim=1)
        frames = torch.cat([self.base.decode(self.vae, part)[0].cpu() for part in parts])
        return (255 * (frames / 2 + 0.5).clamp(0, 1)).round().byte().movedim(1, -1).numpy()

    def _check_sides(self, height: int, width: int) -> None:
        if height % self.base.factor or width % self.base.factor or not height or not width:
            raise ValueError(f"frames are {height} px high and {width} wide; both must be multiples of 8")


def load_adapter_video(
    model: str | Path, adapter: str | Path, frame_attention: FrameAttention = "first_and_own"
) -> AdapterVideo:
    """Load a Stable Diffusion and a T2I-Adapter, frozen, in float32, on the accelerator or the CPU.

    Args:
        model: a folder or a hub id of a base of :class:`~sketch2video.bases.stable_diffusion.StableDiffusion`.
        adapter: a folder or a hub id of a T2IAdapter in safetensors.
        frame_attention: see :class:`AdapterVideo`.

    Raises:
        UserError: one of them is missing, damaged, not in safetensors or cannot be downloaded, or they do not match.
    """
    base = open_base(model)
    if not isinstance(base, StableDiffusion):
        raise UserError(f"{model} is {base.title}, for which there are no T2I-Adapters; name a Stable Diffusion 1.x")
    tokenizer, text_encoder = base.load_text()
    unet = load_named(base.classes["unet"], model, "the unet of a Stable Diffusion", FIX, part="unet")
    parts = [unet, base.load_vae(), text_encoder, load_named(T2IAdapter, adapter, "a T2IAdapter", ADAPTER)]
    made_for, factor = parts[-1].config, parts[-1].downscale_factor
    if made_for.in_channels not in (1, 3):
        raise UserError(f"{adapter} follows pictures of {made_for.in_channels} channels, not 1 or 3; {ADAPTER}")
    if (list(made_for.channels), factor) != (list(unet.config.block_out_channels), base.factor):
        raise UserError(f"{adapter} belongs to another network than {model}: its features have other sizes; {ADAPTER}")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    unet, vae, text_encoder, adapter = (part.requires_grad_(False).to(device) for part in parts)
    return AdapterVideo(base, unet, vae, tokenizer, text_encoder, adapter, frame_attention)

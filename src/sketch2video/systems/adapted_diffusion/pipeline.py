"""Long videos by Stable Diffusion and a T2I-Adapter, which a user names: the base of the project's fourth paper.

Both know single pictures only. What makes a video of them is here: overlapping windows that are denoised side by side
(eq. 17 to 19, :mod:`~sketch2video.diffusion.windows`) and frames that see each other within a window
(:mod:`~sketch2video.diffusion.cross_frame_attention`). Average fusion (eq. 10 to 12) and combined tuning (eq. 13 to 16)
take the smaller pieces: a video at a noise level, sampling on from there, the error of a prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    SchedulerMixin,
    T2IAdapter,
    UNet2DConditionModel,
)
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.utils.torch_utils import randn_tensor
from diffusers.video_processor import VideoProcessor
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from sketch2video.diffusion.cross_frame_attention import FrameAttention, attend_across_frames
from sketch2video.diffusion.objectives import LEVELS, Diffusion
from sketch2video.diffusion.samplers import begin, step
from sketch2video.diffusion.windows import (
    WindowWeights,
    captions_of_windows,
    cut_windows,
    merge_windows,
    window_starts,
    window_weights,
)
from sketch2video.errors import UserError
from sketch2video.networks.loading import load_clip_tokenizer, load_named, one_line
from sketch2video.networks.precision import precision
from sketch2video.pipelines.output import VideoOutput
from sketch2video.pipelines.video_pipeline import check_captions, check_settings

SCHEDULE = {
    "num_train_timesteps": LEVELS,
    "beta_start": 8.5e-4,
    "beta_end": 1.2e-2,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
}
"""The process that Stable Diffusion 1.x was trained on, and that the paper names."""

FRAMES_AT_ONCE = 8
"""Frames that the adapter or the autoencoder sees together; bounds the memory of long videos."""

_MODEL = "name a folder or a hub id of a Stable Diffusion 1.x in safetensors, such as CompVis/stable-diffusion-v1-4"
_ADAPTER = (
    "name a folder or a hub id of a T2IAdapter for this model in safetensors; docs/stable_diffusion.md says how one is"
    " made of a published .bin"
)


@dataclass(frozen=True)
class WindowConditions:
    """The windows of a long video, and what each of them is told: h^i and c of equations (17) and (18).

    Attributes:
        starts: first frames of the N windows, ascending.
        length: K, as windows are cut.
        weights: (K,) float32, W of equation (19).
        text: (N, L, D) float32, the caption of each window.
        no_text: (1, L, D) float32, the empty caption.
        features: what the adapter says of each frame, (T, C_i, h_i, w_i) a scale; None: nothing.
    """

    starts: list[int]
    length: int
    weights: Tensor
    text: Tensor
    no_text: Tensor
    features: list[Tensor] | None


class AdaptedDiffusionPipeline(DiffusionPipeline):
    """Stable Diffusion that follows a pose video or drawings and makes a video of any length.

    T is the frames of the video, H and W its sides in px, C, h and w the latent's channels and sides.

    Args:
        vae: pictures <-> latents.
        text_encoder, tokenizer: what reads captions.
        unet: predicts noise.
        adapter: condition pictures -> features for the UNet.
        scheduler: see :func:`make_scheduler`.
        frame_attention: whom frames of a window see; see :meth:`set_frame_attention`.
    """

    model_cpu_offload_seq = "text_encoder->adapter->unet->vae"

    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    unet: UNet2DConditionModel
    adapter: T2IAdapter
    scheduler: SchedulerMixin

    def __init__(
        self,
        vae: AutoencoderKL,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        unet: UNet2DConditionModel,
        adapter: T2IAdapter,
        scheduler: SchedulerMixin,
        frame_attention: FrameAttention = "first_and_own",
    ) -> None:
        super().__init__()
        self.register_modules(
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            adapter=adapter,
            scheduler=scheduler,
        )
        self.register_to_config(frame_attention=frame_attention)
        self.video_processor = VideoProcessor(vae_scale_factor=self.factor, do_normalize=False)

    @property
    def factor(self) -> int:
        """Pixels of a latent place's side."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def objective(self) -> Diffusion:
        """How data and noise are mixed at a level, with the cumulative product alpha_bar; its time is level / 1000."""
        return Diffusion("epsilon", self.scheduler.betas.tolist())

    def set_frame_attention(self, kind: FrameAttention) -> None:
        """Choose whom the frames of a window see; it is saved with the pipeline.

        What is tuned should be sampled with the attention that it was tuned with.
        """
        self.register_to_config(frame_attention=kind)

    @torch.no_grad()
    def __call__(
        self,
        captions: str | Sequence[tuple[int, str]],
        condition: np.ndarray | None = None,
        num_frames: int | None = None,
        guidance_scale: float = 7.5,
        adapter_scale: float = 1.0,
        num_inference_steps: int = 50,
        generator: torch.Generator | None = None,
        window: int = 16,
        stride: int = 8,
        window_weights: WindowWeights = "triangular",
        output_type: str = "np",
        windows_at_once: int = 1,
    ) -> VideoOutput:
        """Generate one long video: equation (17).

        Args:
            captions: what to show; or (first frame, caption), each of which holds until the next begins.
            condition: what to follow frame by frame, see :meth:`adapter_features`; None: captions alone.
            num_frames: T; None: that of the condition.
            guidance_scale: how strongly captions are followed; 1 is the plain model.
            adapter_scale: how strongly the condition is followed; 0 ignores it.
            num_inference_steps: steps of the scheduler.
            generator: source of all randomness.
            window: frames that are denoised together, K.
            stride: frames from one window's beginning to the next one's, S; at most ``window``.
            window_weights: how windows that overlap are merged.
            output_type: "np", "pt", "pil" or "latent"; see :class:`~sketch2video.pipelines.output.VideoOutput`.
            windows_at_once: windows that pass the UNet together; more are faster and take more memory.

        Returns:
            Frames of one video (N = 1).

        Raises:
            ValueError: arguments that do not belong together.
        """
        # 1. Check what was asked for
        captions = [(0, captions)] if isinstance(captions, str) else list(captions)
        check_captions([caption for _, caption in captions])
        frames, height, width = self._video_size(condition, num_frames)
        check_settings(frames, num_inference_steps, 1, output_type)

        # 2. Read captions and condition
        features = None if condition is None else self.adapter_features(condition)
        conditions = self.window_conditions(captions, frames, window, stride, window_weights, features)

        # 3. Denoise
        latents = self.denoise(
            self.initial_noise(frames, height, width, generator),
            conditions,
            guidance_scale=guidance_scale,
            adapter_scale=adapter_scale,
            num_inference_steps=num_inference_steps,
            generator=generator,
            windows_at_once=windows_at_once,
        )

        # 4. Decode
        video = latents[None]
        if output_type != "latent":
            channels_first = self.decode(latents).transpose(0, 1)[None]
            video = self.video_processor.postprocess_video(channels_first, output_type)
        self.maybe_free_model_hooks()
        return VideoOutput(frames=video)

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> Tensor:
        """States of captions' tokens, as Stable Diffusion reads them: float32 (N, L, D), L the same for all.

        What is longer than CLIP reads is cut off. The empty caption is none.
        """
        tokens = self.tokenizer(
            list(captions),
            padding="max_length",
            max_length=min(self.tokenizer.model_max_length, self.text_encoder.config.max_position_embeddings),
            truncation=True,
            return_tensors="pt",
        )
        return self.text_encoder(tokens.input_ids.to(self._execution_device)).last_hidden_state.float()

    @torch.no_grad()
    def adapter_features(self, condition: np.ndarray) -> list[Tensor]:
        """What the adapter says of each frame, a few frames at a time.

        Args:
            condition: uint8, (T, H, W, 3) RGB such as poses drawn on black, or (T, H, W) ink, 255 on 0; whichever the
                adapter was trained on. Sides are multiples of the autoencoder's factor (8).

        Returns:
            (T, C_i, h_i, w_i) float32 for each of the adapter's scales, in main memory: for Stable Diffusion and
            512 x 512 px 9.5 MB a frame.

        Raises:
            ValueError: the condition is something else.
        """
        channels = self.adapter.config.in_channels
        shape = {1: "(T, H, W) ink", 3: "(T, H, W, 3) RGB"}[channels]
        if condition.dtype != np.uint8 or condition.shape[3:] != {1: (), 3: (3,)}[channels] or condition.ndim < 3:
            raise ValueError(f"condition is {condition.dtype} {condition.shape}; this adapter follows uint8 {shape}")
        self._check_sides(*condition.shape[1:3])
        pictures = torch.from_numpy(np.ascontiguousarray(condition)).view(*condition.shape[:3], channels)
        scales: list[list[Tensor]] = []
        for part in pictures.split(FRAMES_AT_ONCE):
            features = self.adapter(part.to(self._execution_device).movedim(-1, 1).float() / 255)
            scales.append([feature.float().cpu() for feature in features])
        return [torch.cat(scale) for scale in zip(*scales, strict=True)]

    def window_conditions(
        self,
        captions: str | Sequence[tuple[int, str]],
        frames: int,
        window: int,
        stride: int,
        weights: WindowWeights,
        features: list[Tensor] | None,
    ) -> WindowConditions:
        """Cut a video into windows (18), each with the caption that holds in its middle.

        Args:
            captions: see :meth:`__call__`.
            frames: T.
            window, stride: K and S; a window is at most as long as the video.
            weights: how windows are merged.
            features: of :meth:`adapter_features`, or None.

        Raises:
            ValueError: see :mod:`~sketch2video.diffusion.windows`; or features are of another number of frames.
        """
        captions = [(0, captions)] if isinstance(captions, str) else captions
        if features is not None and any(len(scale) != frames for scale in features):
            raise ValueError(f"there are features of {len(features[0])} frames for a video of {frames}")
        starts, length = window_starts(frames, window, stride), min(window, frames)
        said = captions_of_windows(captions, starts, length)
        different = list(dict.fromkeys(["", *said]))
        text = self.encode_text(different)
        places = [different.index(caption) for caption in said]
        return WindowConditions(starts, length, window_weights(weights, length), text[places], text[:1], features)

    def initial_noise(self, frames: int, height: int, width: int, generator: torch.Generator | None) -> Tensor:
        """One noise for the whole video, from which windows are cut: (T, C, h, w) float32, of variance 1.

        Args:
            frames: T.
            height, width: of the frames, px.
            generator: the source of randomness.

        Raises:
            ValueError: a side is no multiple of the factor.
        """
        self._check_sides(height, width)
        shape = frames, self.unet.config.in_channels, height // self.factor, width // self.factor
        return randn_tensor(shape, generator=generator, device=self._execution_device)

    def step_time(self, at: int, num_inference_steps: int) -> float:
        """The objective's time at which a step begins: that of x_k in equations (11) and (12).

        Args:
            at: number of the step, from 0.
            num_inference_steps: of the whole way.
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
    ) -> Tensor:
        """Take a video through the scheduler's steps, merging windows in each of them: equations (12) and (17).

        Args:
            latents: (T, C, h, w) float32, at the noise level at which ``first_step`` begins.
            conditions: of :meth:`window_conditions`.
            guidance_scale, adapter_scale, windows_at_once: see :meth:`__call__`.
            num_inference_steps: of the whole way.
            generator: of the noise that the scheduler adds, which is drawn for the whole video.
            first_step: number of the first step that is taken, from 0.
            last_step: number of the first step that is not taken any more, where r_k is wanted; None: to the end.

        Returns:
            (T, C, h, w) float32: without noise, or at the level at which ``last_step`` begins.

        Raises:
            ValueError: the scheduler cannot begin anywhere, there are no such steps, or conditions are of another
                video.
        """
        timesteps = self._timesteps(num_inference_steps)
        end = len(timesteps) if last_step is None else last_step
        if not 0 <= first_step <= end <= len(timesteps):
            raise ValueError(f"there are no steps from {first_step} to {end} of {len(timesteps)}")
        if conditions.starts[-1] + conditions.length != len(latents):
            raise ValueError(f"conditions are not of a video of {len(latents)} frames")
        for timestep in self.progress_bar(timesteps[first_step:end]):
            noise = self.merged_noise(latents, timestep, conditions, guidance_scale, adapter_scale, windows_at_once)
            latents = step(self.scheduler, noise, timestep, latents, generator)
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
        """The noise of a long video: windows are predicted apart (18) and merged (19).

        Equation (19) merges what follows each window's step. From one video, x_t, that differs between windows by a
        multiple of what their predictions differ by, so merging these is the same, and fresh noise is drawn but once.

        Args:
            latents: (T, C, h, w) float32.
            timestep: a level, int64 ().
            conditions: of the windows.
            guidance_scale, adapter_scale, windows_at_once: see :meth:`__call__`.

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
        """e_theta(v_t, t, h, c) of windows, each of which sees itself alone. It has a gradient where one is asked for.

        Args:
            latents: (N, K, C, h, w) float32.
            timestep: the level of all windows, int64 (), or of each, (N,).
            text: (N, L, D).
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

    @torch.no_grad()
    def encode(self, frames: np.ndarray) -> Tensor:
        """Latents (T, C, h, w) float32 of frames, a few at a time: the mean of what the autoencoder gives, scaled.

        Args:
            frames: uint8 (T, H, W, 3) RGB.

        Raises:
            ValueError: they are something else.
        """
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
            raise ValueError(f"frames are {frames.dtype} {frames.shape}, expected uint8 (T, H, W, 3)")
        self._check_sides(*frames.shape[1:3])
        latents = []
        for part in torch.from_numpy(np.ascontiguousarray(frames)).split(FRAMES_AT_ONCE):
            pixels = part.to(self._execution_device).movedim(-1, 1).float() / 127.5 - 1
            latents.append(self.vae.encode(pixels).latent_dist.mean)
        return torch.cat(latents) * self.vae.config.scaling_factor

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Frames (T, 3, H, W) float32 in [0, 1], in main memory, of latents (T, C, h, w), a few at a time."""
        parts = (latents / self.vae.config.scaling_factor).split(FRAMES_AT_ONCE)
        frames = torch.cat([self.vae.decode(part.to(self._execution_device)).sample.float().cpu() for part in parts])
        return (frames / 2 + 0.5).clamp(0, 1)

    def _timesteps(self, num_inference_steps: int) -> Tensor:
        """The scheduler's levels, from noise on."""
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
                " Diffusion 1.x knows 512"
            )

    def _video_size(self, condition: np.ndarray | None, num_frames: int | None) -> tuple[int, int, int]:
        """T, H and W."""
        if condition is None:
            if num_frames is None:
                raise ValueError("neither a condition nor num_frames says how long the video is; give one of them")
            side = self.unet.config.sample_size * self.factor
            return num_frames, side, side
        if num_frames not in (None, len(condition)):
            raise ValueError(f"num_frames is {num_frames}, but the condition has {len(condition)} frames")
        return condition.shape[:3]


def noise_error(
    pipeline: AdaptedDiffusionPipeline,
    latents: Tensor,
    text: Tensor,
    features: Sequence[Tensor] | None,
    timestep: Tensor,
    noise: Tensor,
) -> Tensor:
    """e - e_theta(x_t, t, h, c) of one window, whose masked squares are equations (14) to (16).

    Args:
        pipeline: its UNet gets a gradient where its weights ask for one.
        latents: x_0, (K, C, h, w) float32.
        text: (1, L, D).
        features: (K, C_i, h_i, w_i) for each scale of the adapter, times ``adapter_scale``, or None.
        timestep: the level of all frames, int64 ().
        noise: e, (K, C, h, w).

    Returns:
        (K, C, h, w) float32.
    """
    noisy = pipeline.scheduler.add_noise(latents, noise, timestep.expand(len(latents)))
    windows = features and [scale[None].to(latents.device) for scale in features]
    return noise - pipeline.predict_noise(noisy[None], timestep, text, windows)[0]


def make_scheduler(name: Literal["ddim", "ddpm"] = "ddim") -> SchedulerMixin:
    """A sampler of the paper's process, that begins at the last level.

    Args:
        name: ``ddim``, equations (7) and (8) without noise, in any number of steps; ``ddpm``, equations (4) and (5),
            whose 1000 steps are the paper's.

    Raises:
        UserError: there is no such sampler.
    """
    kinds = {"ddim": DDIMScheduler, "ddpm": DDPMScheduler}
    if name not in kinds:
        raise UserError(f"there is no sampler {name} for Stable Diffusion here; choose ddim or ddpm")
    return kinds[name](**SCHEDULE, clip_sample=False, timestep_spacing="trailing")


def load_adapted_diffusion(
    model: str | Path, adapter: str | Path, frame_attention: FrameAttention = "first_and_own"
) -> AdaptedDiffusionPipeline:
    """A user's Stable Diffusion and T2I-Adapter, frozen, in float32, with DDIM, on the accelerator or the CPU.

    Only safetensors are read. A safety checker, if there is one, is not loaded.

    Args:
        model: a folder or a hub id with the parts ``vae``, ``text_encoder``, ``tokenizer``, ``unet`` and ``scheduler``.
        adapter: a folder or a hub id.
        frame_attention: see :meth:`AdaptedDiffusionPipeline.set_frame_attention`.

    Raises:
        UserError: one of them is missing, damaged or not in safetensors, would have to be downloaded and cannot be, or
            they do not belong together.
    """
    with one_line(model, "a Stable Diffusion", _MODEL):
        config = DDIMScheduler.load_config(model, subfolder="scheduler")
    config.setdefault("prediction_type", "epsilon")  # as in schedulers that were saved before there was a choice
    for key, value in SCHEDULE.items():
        if config.get(key) != value:
            raise UserError(f"{model} was trained with {key} {config.get(key)}, not {value}; {_MODEL}")
    tokenizer = load_clip_tokenizer(model, _MODEL, part="tokenizer")
    kinds = {"vae": AutoencoderKL, "text_encoder": CLIPTextModel, "unet": UNet2DConditionModel}
    parts = {
        part: load_named(kind, model, f"the {part} of a Stable Diffusion", _MODEL, part=part)
        for part, kind in kinds.items()
    }
    parts["adapter"] = load_named(T2IAdapter, adapter, "a T2IAdapter", _ADAPTER)
    for part in parts.values():
        part.requires_grad_(False)
    pipeline = AdaptedDiffusionPipeline(
        **parts, tokenizer=tokenizer, scheduler=make_scheduler(), frame_attention=frame_attention
    )
    made_for = parts["adapter"].config
    if made_for.in_channels not in (1, 3):
        raise UserError(f"{adapter} follows pictures of {made_for.in_channels} channels, not 1 or 3; {_ADAPTER}")
    sizes = list(made_for.channels), parts["adapter"].downscale_factor
    if sizes != (list(parts["unet"].config.block_out_channels), pipeline.factor):
        raise UserError(f"{adapter} belongs to another network than {model}: its features have other sizes; {_ADAPTER}")
    return pipeline.to("cuda" if torch.cuda.is_available() else "cpu")

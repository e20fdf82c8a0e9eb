"""Long videos by Stable Diffusion and a T2I-Adapter of the user's: the base of the project's fourth paper.

Both are image models. They generate videos by overlapping windows that are denoised jointly (eq. 17 to 19,
:mod:`~sketch2video.diffusion.windows`) and attention across the frames of a window
(:mod:`~sketch2video.diffusion.cross_frame_attention`). Average fusion (eq. 10 to 12) and combined tuning (eq. 13 to 16)
use single methods: a video at a noise level, sampling from there, the error of a prediction.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    SchedulerMixin,
    T2IAdapter,
    UNet2DConditionModel,
)
from diffusers.video_processor import VideoProcessor
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from sketch2video.diffusion.cross_frame_attention import FrameAttention
from sketch2video.diffusion.windows import (
    WindowWeights,
    captions_of_windows,
    window_starts,
    window_weights,
)
from sketch2video.pipelines.callbacks import CallbackOnStepEnd
from sketch2video.pipelines.output import VideoOutput
from sketch2video.pipelines.request import Scenes, VideoRequest
from sketch2video.systems.adapted_diffusion.denoising import WindowConditions, WindowDenoiser
from sketch2video.text.encoder import TextCondition

FRAMES_AT_ONCE = 8
"""Number of frames in one batch of the adapter or the autoencoder; bounds the memory of long videos."""


class AdaptedDiffusionPipeline(WindowDenoiser):
    """Videos of any length by Stable Diffusion, conditioned on a pose video or drawings.

    T is the number of frames, H and W are the sides in px, C, h and w the latent's channels and sides.

    Args:
        vae: pictures <-> latents.
        text_encoder, tokenizer: encode captions.
        unet: predicts noise.
        adapter: condition pictures -> features for the UNet.
        scheduler: see :func:`~sketch2video.systems.adapted_diffusion.noise_schedule.make_scheduler`.
        frame_attention: frames to which each frame of a window attends; see :meth:`set_frame_attention`.
    """

    model_cpu_offload_seq = "text_encoder->adapter->unet->vae"

    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    unet: UNet2DConditionModel
    adapter: T2IAdapter
    scheduler: SchedulerMixin
    several_scenes = True

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

    @torch.no_grad()
    def __call__(
        self,
        captions: str | Scenes | None = None,
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
        return_dict: bool = True,
        *,
        prompt: str | Scenes | None = None,
        latents: Tensor | None = None,
        callback_on_step_end: CallbackOnStepEnd | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> VideoOutput | tuple:
        """Generate one long video: equation (17).

        Args:
            captions: one caption; or pairs (first frame, caption), each valid until the next one begins.
            condition: condition pictures of all frames, see :meth:`adapter_features`; None: captions alone.
            num_frames: T; None: that of the condition.
            guidance_scale: guidance scale of the captions; 1 disables guidance.
            adapter_scale: factor of the adapter's features; 0 ignores the condition.
            num_inference_steps: number of sampling steps.
            generator: random generator.
            window: K, frames of a window.
            stride: S, distance of successive windows in frames; at most ``window``.
            window_weights: weights by which overlapping windows are merged.
            output_type: "np", "pt", "pil" or "latent"; see :class:`~sketch2video.pipelines.output.VideoOutput`.
            windows_at_once: windows in one batch of the UNet; more are faster and take more memory.
            return_dict: whether to return a :class:`VideoOutput` instead of the tuple of its values.
            prompt: another name for ``captions``.
            latents: standard normal noise (1, T, C, h, w) from which the video is generated; None: it is sampled.
            callback_on_step_end: called with the pipeline, the step index, the timestep and tensors by name at the end
                of every step; the tensors that it returns by name replace those of the next step. As in diffusers,
                ``pipe._interrupt = True`` skips the remaining steps.
            callback_on_step_end_tensor_inputs: the tensors that it receives, of ``pipe._callback_tensor_inputs``.

        Returns:
            Frames of one video (N = 1).

        Raises:
            ValueError: the arguments are inconsistent.
        """
        frames, height, width = self._video_size(condition, num_frames)
        if captions is None and prompt is None:
            raise ValueError("neither captions nor prompt are given; give one of them")
        request = self.request(
            None if captions is None else [captions],
            None if prompt is None else [prompt],
            callback_on_step_end,
            callback_on_step_end_tensor_inputs,
            latents=latents,
            num_videos=1,
            num_frames=frames,
            fps=1.0,
            sampling={
                "guidance_scale": guidance_scale,
                "control_guidance_scale": adapter_scale,
                "num_inference_steps": num_inference_steps,
            },
            generator=generator,
            output_type=output_type,
        )
        expected = (1, frames, self.unet.config.in_channels, height // self.factor, width // self.factor)
        if latents is not None and latents.shape != expected:
            raise ValueError(f"latents are {tuple(latents.shape)}, expected noise {expected}")

        def make(text: TextCondition | None, pictures: Tensor | None) -> Tensor:
            features = None if condition is None else self.adapter_features(condition)
            scenes = (request.scenes or [])[0]
            conditions = self.window_conditions(scenes, frames, window, stride, window_weights, features)
            noise = self.initial_noise(frames, height, width, generator) if latents is None else latents[0]
            return self.denoise(
                noise.to(self._execution_device, torch.float32),
                conditions,
                guidance_scale=guidance_scale,
                adapter_scale=adapter_scale,
                num_inference_steps=num_inference_steps,
                generator=generator,
                windows_at_once=windows_at_once,
                on_step_end=request.on_step_end,
            )[None]

        return self.generate(request, make, return_dict)

    def read(self, request: VideoRequest) -> None:
        """None: captions are encoded window by window, as they change along a video."""

    def decode_videos(self, made: Tensor, control: Tensor | None) -> Tensor:
        """See :class:`VideoPipeline`; N is 1."""
        return self.decode(made[0])[None]

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> Tensor:
        """Hidden states of the captions' tokens, as Stable Diffusion uses them: float32 (N, L, D), L the same for all.

        Captions are truncated to CLIP's maximum length. The empty caption is the unconditional one.
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
        """The adapter's features of all frames, computed in batches.

        Args:
            condition: uint8, (T, H, W, 3) RGB such as poses drawn on black, or (T, H, W) ink, 255 on 0; whichever the
                adapter was trained on. Sides are multiples of the autoencoder's factor (8).

        Returns:
            (T, C_i, h_i, w_i) float32 for each of the adapter's scales, on the CPU: for Stable Diffusion and
            512 x 512 px 9.5 MB a frame.

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
        """The windows of a video (18), each with the caption that is valid at its middle.

        Args:
            captions: see :meth:`__call__`.
            frames: T.
            window, stride: K and S; a window is at most as long as the video.
            weights: weights by which windows are merged.
            features: see :meth:`adapter_features`; or None.

        Raises:
            ValueError: see :mod:`~sketch2video.diffusion.windows`; or features have another number of frames.
        """
        captions = [(0, captions)] if isinstance(captions, str) else captions
        if features is not None and any(len(scale) != frames for scale in features):
            raise ValueError(f"there are features of {len(features[0])} frames for a video of {frames}")
        starts, length = window_starts(frames, window, stride), min(window, frames)
        window_captions = captions_of_windows(captions, starts, length)
        different = list(dict.fromkeys(["", *window_captions]))
        text = self.encode_text(different)
        rows = [different.index(caption) for caption in window_captions]
        return WindowConditions(starts, length, window_weights(weights, length), text[rows], text[:1], features)

    @torch.no_grad()
    def encode(self, frames: np.ndarray) -> Tensor:
        """Latents (T, C, h, w) float32 of frames: the mean of the autoencoder's posterior, scaled.

        Args:
            frames: uint8 (T, H, W, 3) RGB.

        Raises:
            ValueError: dtype or shape is wrong.
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
        """Frames (T, 3, H, W) float32 in [0, 1], on the CPU, of latents (T, C, h, w), decoded in batches."""
        parts = (latents / self.vae.config.scaling_factor).split(FRAMES_AT_ONCE)
        frames = torch.cat([self.vae.decode(part.to(self._execution_device)).sample.float().cpu() for part in parts])
        return (frames / 2 + 0.5).clamp(0, 1)

    def _video_size(self, condition: np.ndarray | None, num_frames: int | None) -> tuple[int, int, int]:
        """T, H and W."""
        if condition is None:
            if num_frames is None:
                raise ValueError("neither condition nor num_frames gives the number of frames; give one of them")
            side = self.unet.config.sample_size * self.factor
            return num_frames, side, side
        if num_frames not in (None, len(condition)):
            raise ValueError(f"num_frames is {num_frames}, but the condition has {len(condition)} frames")
        return condition.shape[:3]

"""The sketch-guided video LDM: caption -> curves -> drawing -> latent video -> video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.utils.torch_utils import randn_tensor
from diffusers.video_processor import VideoProcessor
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sketch2video.curves import CurveSequence
from sketch2video.errors import UserError
from sketch2video.files import replacing
from sketch2video.models.autoencoder import SketchAutoencoder, load_autoencoder
from sketch2video.models.curve_vae import CurveVAE
from sketch2video.models.flow_matching import guided_velocity, sampling_times
from sketch2video.models.precision import precision
from sketch2video.models.text import TextCondition, encode_text, load_text_encoder
from sketch2video.models.video_transformer import VideoTransformer
from sketch2video.systems.output import VideoOutput

FRAMES_AT_ONCE = 64
"""Frames that are decoded together; bounds the memory of long videos."""


class SketchToVideoPipeline(DiffusionPipeline):
    """Text to video by way of a drawing: the curve VAE draws, the video LDM paints.

    Args:
        tokenizer, text_encoder: what reads captions.
        curve_vae: caption -> curves.
        autoencoder: latents -> frames, with the drawing before its eyes.
        transformer: the video LDM's network.
        scheduler: Euler steps of flow matching.
    """

    model_cpu_offload_seq = "text_encoder->curve_vae->transformer->autoencoder"

    tokenizer: PreTrainedTokenizerBase
    text_encoder: PreTrainedModel
    curve_vae: CurveVAE
    autoencoder: SketchAutoencoder
    transformer: VideoTransformer
    scheduler: FlowMatchEulerDiscreteScheduler

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        text_encoder: PreTrainedModel,
        curve_vae: CurveVAE,
        autoencoder: SketchAutoencoder,
        transformer: VideoTransformer,
        scheduler: FlowMatchEulerDiscreteScheduler,
    ) -> None:
        super().__init__()
        self.register_modules(
            tokenizer=tokenizer,
            text_encoder=text_encoder,
            curve_vae=curve_vae,
            autoencoder=autoencoder,
            transformer=transformer,
            scheduler=scheduler,
        )
        self.video_processor = VideoProcessor(vae_scale_factor=autoencoder.factor)

    @torch.no_grad()
    def __call__(
        self,
        captions: str | Sequence[str] | None = None,
        num_frames: int | None = None,
        fps: float | Sequence[float] = 8.0,
        guidance_scale: float = 4.0,
        sketch_guidance_scale: float = 1.0,
        num_inference_steps: int = 20,
        generator: torch.Generator | list[torch.Generator] | None = None,
        num_videos: int | None = None,
        sketches: np.ndarray | None = None,
        curves: Sequence[CurveSequence] | None = None,
        output_type: str = "np",
        return_dict: bool = True,
    ) -> VideoOutput | tuple:
        """Generate videos.

        Args:
            captions: what to show, one for each of N videos; None: anything.
            num_frames: T; None: that of the drawings if they are given, else as in training.
            fps: frame rate at which the action is meant to be seen, for all videos or for each.
            guidance_scale: how strongly the caption is followed; 1 is the plain model.
            sketch_guidance_scale: how strongly the drawing is followed; 1 is the plain model, 0 ignores it.
            num_inference_steps: Euler steps from noise to video.
            generator: source of all randomness. A list with one for each video makes every video independent of the
                others in its batch.
            num_videos: N, where neither captions nor drawings say it.
            sketches: drawings of the user's own to be followed instead of generated curves: uint8 (N, T, H, W), 255 ink
                on 0; resized to the model's size if they have another one.
            curves: curves of the user's own, one sequence for each video.
            output_type: "np", "pt", "pil" or "latent"; see :class:`VideoOutput`.
            return_dict: whether to return a :class:`VideoOutput` instead of the tuple of its values.

        Raises:
            ValueError: arguments that do not belong together.
        """
        # 1. Check what was asked for
        captions = [captions] if isinstance(captions, str) else captions
        curves = None if curves is None else list(curves)
        count, frames = self.check_inputs(
            captions, num_frames, fps, num_inference_steps, generator, num_videos, sketches, curves, output_type
        )
        device, size = self._execution_device, self.transformer.config.sample_size
        rates = torch.as_tensor(fps, dtype=torch.float32, device=device).expand(count)

        # 2. Read the captions
        text = encode_text(self.tokenizer, self.text_encoder, captions or [""] * count).to(device)

        # 3. Draw
        if sketches is None and curves is None:
            curves = self.draw(text, frames, rates, generator)
        if sketches is None:
            sketches = np.stack([sequence.render(size, size) for sequence in curves or []])
        ink = fit_to_size(torch.from_numpy(sketches).to(device).float() / 255, size)

        # 4. Start from noise
        shape = (
            count,
            frames,
            self.transformer.config.latent_channels,
            size // self.autoencoder.factor,
            size // self.autoencoder.factor,
        )
        latents = randn_tensor(shape, generator=generator, device=device)

        # 5. Denoise
        self.scheduler.set_timesteps(sigmas=sampling_times(num_inference_steps), device=device)
        for timestep in self.progress_bar(self.scheduler.timesteps):
            with torch.autocast(device.type, torch.bfloat16, enabled=precision() == "bf16"):
                velocity = guided_velocity(
                    self.transformer,
                    latents,
                    (timestep / self.scheduler.config.num_train_timesteps).expand(count),
                    ink=ink,
                    text=text.hidden if captions else None,
                    text_mask=text.mask if captions else None,
                    fps=rates,
                    guidance_scale=guidance_scale,
                    sketch_guidance_scale=sketch_guidance_scale,
                )
            latents = self.scheduler.step(velocity, timestep, latents, return_dict=False)[0]

        # 6. Decode
        latents = self.denormalise(latents)
        video = latents if output_type == "latent" else self.decode(latents, ink, output_type)
        self.maybe_free_model_hooks()

        # 7. Answer
        drawn = (ink[:, :, 0] * 255).round().to(torch.uint8).cpu().numpy()
        output = VideoOutput(frames=video, curves=curves, sketches=drawn)
        return output if return_dict else output.to_tuple()

    def check_inputs(
        self,
        captions: Sequence[str] | None,
        num_frames: int | None,
        fps: float | Sequence[float],
        num_inference_steps: int,
        generator: torch.Generator | list[torch.Generator] | None,
        num_videos: int | None,
        sketches: np.ndarray | None,
        curves: list[CurveSequence] | None,
        output_type: str,
    ) -> tuple[int, int]:
        """Compare the arguments of a call with each other.

        Returns:
            N and T.

        Raises:
            ValueError: they do not belong together; the message says which and what to change.
        """
        if sketches is not None and curves is not None:
            raise ValueError("sketches and curves were both given; give one of them")
        if sketches is not None:
            square = sketches.ndim == 4 and sketches.shape[2] == sketches.shape[3]
            if not square or sketches.dtype != np.uint8:
                raise ValueError(f"sketches are {sketches.dtype} {sketches.shape}, expected square uint8 (N, T, H, H)")
        for caption in captions or []:
            if not isinstance(caption, str) or not caption.strip():
                raise ValueError(f"a caption is {caption!r}; give words, or captions=None for a video of anything")
        if curves and len({len(sequence) for sequence in curves}) > 1:
            raise ValueError("curves have different numbers of frames; generate them in separate calls")

        counts = {
            name: len(value)
            for name, value in (
                ("captions", captions),
                ("sketches", sketches),
                ("curves", curves),
                ("generator", generator),
                ("fps", fps),
            )
            if isinstance(value, Sequence | np.ndarray)
        }
        if num_videos is not None:
            counts["num_videos"] = num_videos
        count = next(iter(counts.values()), 1)
        if count < 1 or any(number != count for number in counts.values()):
            raise ValueError(
                f"numbers of videos disagree or are zero: {', '.join(f'{n} {c}' for n, c in counts.items())}"
            )

        drawn = sketches.shape[1] if sketches is not None else len(curves[0]) if curves else None
        if drawn and num_frames and drawn != num_frames:
            raise ValueError(f"num_frames is {num_frames}, but the drawings have {drawn} frames; leave num_frames out")
        frames = drawn or num_frames or self.transformer.config.sample_frames
        for name, value in {"num_frames": frames, "num_inference_steps": num_inference_steps}.items():
            if value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1")
        if not np.all(np.asarray(fps) > 0):
            raise ValueError(f"fps is {fps}; it must be above 0")
        if output_type not in {"np", "pt", "pil", "latent"}:
            raise ValueError(f"output_type is {output_type!r}; choose np, pt, pil or latent")
        return count, frames

    def draw(
        self, text: TextCondition, frames: int, fps: Tensor, generator: torch.Generator | list[torch.Generator] | None
    ) -> list[CurveSequence]:
        """Generated curves for captions: one sequence of ``frames`` frames for each; ``fps`` is (N,)."""
        coefficients, visibility = self.curve_vae.sample(text.hidden, text.mask, frames, fps, generator=generator)
        return [CurveSequence(*both) for both in zip(coefficients.cpu().numpy(), visibility.cpu().numpy(), strict=True)]

    def denormalise(self, latents: Tensor) -> Tensor:
        """The network's latents (N, T, C, h, w) in the autoencoder's units."""
        config = self.transformer.config
        mean, std = (latents.new_tensor(values).view(-1, 1, 1) for values in (config.latent_mean, config.latent_std))
        return latents * std + mean

    def decode(self, latents: Tensor, ink: Tensor, output_type: str) -> np.ndarray | Tensor | list:
        """Videos of latents (N, T, C, h, w) and drawings (N, T, 1, H, W), a few frames at a time."""
        parts = zip(latents.flatten(0, 1).split(FRAMES_AT_ONCE), ink.flatten(0, 1).split(FRAMES_AT_ONCE), strict=True)
        frames = torch.cat([self.autoencoder.decode(*part) for part in parts]).float()
        return self.video_processor.postprocess_video(
            frames.unflatten(0, latents.shape[:2]).transpose(1, 2), output_type
        )


def fit_to_size(ink: Tensor, size: int) -> Tensor:
    """Ink (N, T, H, H) in [0, 1] at the model's size: (N, T, 1, size, size). Thin lines stay dark when it shrinks."""
    if ink.shape[-1] > size:
        ink = functional.adaptive_max_pool2d(ink, size)
    elif ink.shape[-1] < size:
        ink = functional.interpolate(ink, size, mode="bilinear")
    return ink[:, :, None]


def assemble(
    output: Path = Path("models/sketch_ldm"),
    *,
    text_encoder: Path = Path("models/text_encoder"),
    curve_vae: Path = Path("models/curve_vae"),
    autoencoder: Path = Path("models/autoencoder"),
    video_ldm: Path = Path("models/video_ldm"),
) -> None:
    """Write the pipeline folder that is made of the trained parts, atomically.

    Raises:
        UserError: a part is missing or damaged.
    """
    tokenizer, encoder = load_text_encoder(text_encoder)
    transformer = _load(VideoTransformer, video_ldm)
    pipeline = SketchToVideoPipeline(
        tokenizer=tokenizer,
        text_encoder=encoder,
        curve_vae=_load(CurveVAE, curve_vae),
        autoencoder=load_autoencoder(autoencoder),
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=transformer.config.time_shift),
    )
    with replacing(output) as partial:
        pipeline.save_pretrained(partial, safe_serialization=True)


def _load(kind: Any, folder: Path) -> Any:
    try:
        model = kind.from_pretrained(folder, local_files_only=True)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{folder} cannot be loaded as {kind.__name__} ({reason}); run `dvc repro`") from error
    return model.requires_grad_(False).eval()

"""What all systems share: how a pipeline is asked for videos, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from diffusers.models.modeling_utils import ModelMixin
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.video_processor import VideoProcessor
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sketch2video.controls import Control, control_of_network
from sketch2video.pipelines.timing import Timings

FRAMES_AT_ONCE = 64
"""Frames that are encoded or decoded together; bounds the memory of long videos."""

MOVED = {
    "sketch2video.models.autoencoder": "sketch2video.autoencoder.network",
    "sketch2video.models.video_transformer": "sketch2video.diffusion.video_transformer",
    "sketch2video.models.vqgan": "sketch2video.tokens.vqgan.network",
    "sketch2video.models.token_transformer": "sketch2video.tokens.transformer",
    "sketch2video.models.average_fusion": "sketch2video.steadiness.average_fusion",
}
"""Modules of networks by the names that indexes of older versions (``model_index.json``) give them."""

OUTPUT_TYPES = ("np", "pt", "pil", "latent")

Generators = torch.Generator | list[torch.Generator] | None


class VideoPipeline(DiffusionPipeline):
    """Captions to videos, by whatever system.

    Subclasses register the modules and define the call.

    Attributes:
        transformer: the network that makes videos; its config says ``sample_size``, ``sample_frames``, ``control`` and
            ``control_channels``.
        timings: what the stages of the last call cost, in their order.
    """

    tokenizer: PreTrainedTokenizerBase
    text_encoder: PreTrainedModel
    transformer: ModelMixin
    video_processor: VideoProcessor
    timings: Timings

    @classmethod
    def load_config(cls, *args: Any, **kwargs: Any) -> Any:
        """See :class:`~diffusers.ConfigMixin`; finds modules that older versions saved where they are now."""
        found = super().load_config(*args, **kwargs)
        config = found[0] if isinstance(found, tuple) else found
        for name, value in config.items():
            if isinstance(value, list | tuple) and value and value[0] in MOVED:
                config[name] = [MOVED[value[0]], *value[1:]]
        return found

    @property
    def control(self) -> Control:
        """The control that the networks were trained with.

        Raises:
            UserError: it is not registered.
        """
        config = self.transformer.config
        return control_of_network(config.get("control"), config.control_channels)

    @property
    def sample_size(self) -> int:
        """S of the videos, px."""
        return int(self.transformer.config.sample_size)

    @property
    def sample_frames(self) -> int:
        """T of the training clips."""
        return int(self.transformer.config.sample_frames)

    @property
    def longest(self) -> int | None:
        """The most frames that a video may have; None: any number."""
        return None

    @property
    def samplers(self) -> tuple[str, ...]:
        """Names of the samplers that :meth:`set_sampler` knows, the default one first; none where there is no such."""
        return ()

    def call_arguments(self, settings: Any) -> dict[str, Any]:
        """The arguments of a call that sampling parameters ask for.

        Args:
            settings: ``evaluate`` or ``generate`` of the parameters, or the like.
        """
        return {
            "guidance_scale": settings.guidance_scale,
            "control_guidance_scale": settings.control_guidance_scale,
        }


def check_captions(captions: Sequence[str] | None) -> None:
    """Raise a ValueError if a caption has no words."""
    for caption in captions or []:
        if not isinstance(caption, str) or not caption.strip():
            raise ValueError(f"a caption is {caption!r}; give words, or captions=None for a video of anything")


def check_settings(frames: int, num_inference_steps: int, fps: float | Sequence[float], output_type: str) -> None:
    """Raise a ValueError if one of the settings of a call is impossible."""
    for name, value in {"num_frames": frames, "num_inference_steps": num_inference_steps}.items():
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")
    if not np.all(np.asarray(fps) > 0):
        raise ValueError(f"fps is {fps}; it must be above 0")
    if output_type not in OUTPUT_TYPES:
        raise ValueError(f"output_type is {output_type!r}; choose np, pt, pil or latent")


def check_videos(channels: int = 3, **videos: np.ndarray | None) -> None:
    """Raise a ValueError if one of a user's videos, by the argument's name, is not square uint8 (N, T, H, H, C)."""
    for name, frames in videos.items():
        if frames is None:
            continue
        square = frames.ndim == 5 and frames.shape[2] == frames.shape[3] and frames.shape[4] == channels
        if not square or frames.dtype != np.uint8:
            raise ValueError(f"{name} is {frames.dtype} {frames.shape}, expected square uint8 (N, T, H, H, {channels})")


def number_of_videos(arguments: Mapping[str, Any], num_videos: int | None) -> int:
    """N, which all arguments that hold something for every video must agree upon; 1 if none of them says it.

    Raises:
        ValueError: they disagree, or are empty.
    """
    counts = {name: len(value) for name, value in arguments.items() if isinstance(value, Sequence | np.ndarray)}
    if num_videos is not None:
        counts["num_videos"] = num_videos
    count = next(iter(counts.values()), 1)
    if count < 1 or any(number != count for number in counts.values()):
        raise ValueError(f"numbers of videos disagree or are zero: {', '.join(f'{n} {c}' for n, c in counts.items())}")
    return count


def fit_to_size(pictures: Tensor, size: int, lines: bool = False) -> Tensor:
    """Pictures (N, T, C, H, H) in [0, 1] at the model's size; ``lines`` stay as dark as they are when they shrink."""
    count = pictures.shape[:2]
    frames = pictures.flatten(0, 1)
    if pictures.shape[-1] > size and lines:
        frames = functional.adaptive_max_pool2d(frames, size)
    elif pictures.shape[-1] != size:
        frames = functional.interpolate(frames, size, mode="bilinear", antialias=True)
    return frames.unflatten(0, count)


def pictures_of(videos: np.ndarray, size: int, device: torch.device, lines: bool = False) -> Tensor:
    """A user's videos uint8 (N, T, H, H, C) at the model's size: (N, T, C, size, size) in [0, 1]."""
    return fit_to_size(torch.from_numpy(videos).to(device).movedim(-1, -3).float() / 255, size, lines)

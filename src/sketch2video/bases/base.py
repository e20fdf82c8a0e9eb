"""The base class of bases: how a pretrained video model is loaded, encodes, predicts, and is sampled.

Videos are (N, T, 3, H, W) in [-1, 1], T = ``frame_step`` * n + 1. Latent videos are (N, t, C, h, w), t = n + 1,
normalised as the base's network expects them. Timesteps are the scheduler's, in [0, 1000].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import diffusers
import torch
from diffusers import DDIMScheduler, SchedulerMixin
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from sketch2video.diffusion.objectives import LearningObjective
from sketch2video.diffusion.samplers import initial_noise, network_input, step
from sketch2video.errors import UserError
from sketch2video.networks.loading import load_named, one_line
from sketch2video.networks.precision import precision
from sketch2video.text.encoder import TextCondition

LEVELS = 1000
"""Timesteps of all bases; a time in [0, 1] is the timestep / 1000."""

FIX = (
    "name a folder or a hub id of Wan 2.1, LTX-Video, CogVideoX or Stable Diffusion in diffusers' layout and"
    " safetensors"
)

Predict = Callable[[Tensor, Tensor], Tensor]
"""From noisy latents (N, t, C, h, w) and a timestep, a scalar, to the prediction of the network."""


class Base(ABC):
    """A pretrained video model.

    Attributes:
        name: of the kind of base, in configs.
        title: for messages.
        pipelines: classes of pipelines (``model_index.json``) whose folders hold such a base.
        classes: classes of its networks, by the names of their subfolders.
        network_folder: subfolder of the network that predicts.
        parts: subfolders of the base.
        frame_step: a video has a multiple of it, and one, frames: the autoencoder's factor in time.
        frames_first: whether its own pipeline has latents (N, t, C, h, w), and not (N, C, t, h, w).
        factor: px that one latent position spans along an axis.
        patch: latent positions along each axis that one token of the network covers.
        input_layer: dotted name of the network's layer that embeds patches of latents.
        lora_layers: regular expression of the names of the layers that LoRA adapts.
        source: folder or hub id.
        config: of the network.

    Args:
        source: folder or hub id.
        config: of the network; None: it is read from the source.

    Raises:
        UserError: the source is missing or damaged, or another kind of model.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    pipelines: ClassVar[tuple[str, ...]]
    classes: ClassVar[Mapping[str, Any]]
    network_folder: ClassVar[str] = "transformer"
    parts: tuple[str, ...] = ("transformer", "vae", "text_encoder", "tokenizer", "scheduler")
    frame_step: int = 4
    frames_first: bool = False
    factor: int = 8
    patch: int = 2
    input_layer: ClassVar[str]
    lora_layers: ClassVar[str]

    def __init__(self, source: Path | str, config: Mapping[str, Any] | None = None) -> None:
        self.source = str(source)
        if config is None:
            with one_line(source, self.title, FIX):
                config = self.classes[self.network_folder].load_config(source, subfolder=self.network_folder)
        self.config: dict[str, Any] = dict(config or {})
        self.check()

    @abstractmethod
    def check(self) -> None:
        """Set attributes that follow from the config; raise a UserError if the variant cannot be adapted."""

    @property
    def latent_channels(self) -> int:
        """C of a latent video."""
        return int(self.config["in_channels"])

    @property
    def control_channels(self) -> int:
        """Channels of the control as the network sees it: the encoded video, and which frames are drawn."""
        return self.latent_channels + self.frame_step

    @property
    def input_channels(self) -> int:
        """Channels by which the input layer is widened."""
        return self.control_channels

    @property
    def side_step(self) -> int:
        """Both sides of a video are multiples of it, px."""
        return self.factor * self.patch

    def frames_of(self, frames: int) -> int:
        """The largest possible number of frames up to ``frames``; 0 if there is none."""
        return max(0, (frames - 1) // self.frame_step * self.frame_step + 1)

    def latent_frames(self, frames: int) -> int:
        """t of a possible number of frames."""
        return (frames - 1) // self.frame_step + 1

    def load_network(self) -> nn.Module:
        """The network that predicts, frozen; in bfloat16 on a GPU."""
        return self._load(self.network_folder, network_dtype())

    def load_vae(self) -> nn.Module:
        """The autoencoder, frozen, in float32."""
        return self._load("vae", torch.float32)

    def load_text(self) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
        """The tokenizer and the text encoder, frozen; in bfloat16 on a GPU."""
        with one_line(self.source, f"the tokenizer of {self.title}", FIX):
            tokenizer = AutoTokenizer.from_pretrained(self.source, subfolder="tokenizer")
        return tokenizer, self._load("text_encoder", network_dtype())

    def load_scheduler(self) -> SchedulerMixin:
        """The scheduler with which the base is sampled."""
        with one_line(self.source, f"the scheduler of {self.title}", FIX):
            config = DDIMScheduler.load_config(self.source, subfolder="scheduler")  # of any class of schedulers
            return getattr(diffusers, config["_class_name"]).from_config(config)

    def _load(self, part: str, dtype: torch.dtype) -> Any:
        what = f"the {part} of {self.title}"
        network = load_named(self.classes[part], self.source, what, FIX, part=part, dtype=dtype)
        return network.requires_grad_(False)

    @abstractmethod
    def encode(self, vae: Any, videos: Tensor) -> Tensor:
        """Normalised latents (N, t, C, h, w) float32 of videos (N, T, 3, H, W) in [-1, 1], without randomness."""

    @abstractmethod
    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        """Videos (N, T, 3, H, W), about [-1, 1], float32, of normalised latents."""

    def decode_finished(self, vae: Any, latents: Tensor, generator: Any) -> Tensor:
        """As :meth:`decode`, with all that is sampled in decoding.

        Args:
            vae, latents: see :meth:`decode`.
            generator: random generator, or None.
        """
        return self.decode(vae, latents)

    @abstractmethod
    def encode_text(
        self,
        tokenizer: PreTrainedTokenizerBase,
        encoder: PreTrainedModel,
        captions: Sequence[str],
        device: torch.device,
    ) -> TextCondition:
        """Encoded captions; the states where the mask is False are not used."""

    def no_text(
        self, tokenizer: PreTrainedTokenizerBase, encoder: PreTrainedModel, device: torch.device
    ) -> TextCondition:
        """The condition (1, L, D) of unconditional videos: the empty caption."""
        return self.encode_text(tokenizer, encoder, [""], device)

    @abstractmethod
    def objective(self, time_shift: float | None) -> LearningObjective:
        """How noise is added and what the network predicts.

        Args:
            time_shift: shift of the times of training towards noise, see
                :func:`~sketch2video.networks.flow_matching.shifted`; None: that of the base's scheduler.
        """

    def timestep(self, time: Tensor) -> Tensor:
        """The timesteps of times (N,) in [0, 1] of the objective."""
        return time * LEVELS

    @abstractmethod
    def predict(
        self,
        network: Any,
        latents: Tensor,
        timestep: Tensor,
        text: TextCondition,
        control: Tensor | None,
        fps: Tensor,
    ) -> Tensor:
        """The network's prediction (N, t, C, h, w).

        Args:
            network: that of :meth:`load_network`, with a widened input layer if there is a control.
            latents: (N, t, C, h, w), noisy.
            timestep: (N,), in [0, 1000].
            text: of N captions.
            control: (N, t, ``control_channels``, h, w); None: the network sees what the base sees.
            fps: (N,), frames a second.
        """

    def noise(self, shape: tuple[int, ...], generator: Any, device: torch.device) -> Tensor:
        """Standard normal noise (N, t, C, h, w), drawn in the order in which the base's own pipeline draws it."""
        if self.frames_first:
            return randn_tensor(shape, generator=generator, device=device)
        count, frames, *rest = shape
        return randn_tensor((count, rest[0], frames, *rest[1:]), generator=generator, device=device).transpose(1, 2)

    def begin(self, scheduler: SchedulerMixin, steps: int, noise: Tensor) -> Tensor:
        """Set the scheduler's timesteps for so many steps, and return them."""
        scheduler.set_timesteps(steps, device=noise.device)
        return scheduler.timesteps

    def sample(
        self,
        scheduler: SchedulerMixin,
        predict: Predict,
        noise: Tensor,
        steps: int,
        generator: Any,
        progress: Callable[[Tensor], Iterable[Tensor]] = iter,
        on_step_end: Callable[..., dict[str, Tensor]] | None = None,
    ) -> Tensor:
        """Latents (N, t, C, h, w) from standard normal noise, as the base's own pipeline samples.

        Args:
            scheduler: the sampler.
            predict: the prediction, with guidance.
            noise: (N, t, C, h, w) float32.
            steps: number of steps.
            generator: for the noise that some samplers add.
            progress: wraps the timesteps, such as ``tqdm``; it may end before the last.
            on_step_end: called with a timestep and ``latents`` after it; returns the latents for the next step.
        """
        timesteps = self.begin(scheduler, steps, noise)
        latents, advance = initial_noise(scheduler, noise), self.stepper(scheduler, generator)
        for timestep in progress(timesteps):
            prediction = predict(network_input(scheduler, latents, timestep), timestep).float()
            latents = advance(prediction, timestep, latents)
            if on_step_end is not None:
                latents = on_step_end(timestep, latents=latents)["latents"]
        return latents

    def stepper(self, scheduler: SchedulerMixin, generator: Any) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """From prediction, timestep and latents to the latents after the step, within one sampling."""
        return lambda prediction, timestep, latents: step(scheduler, prediction, timestep, latents, generator)


def network_dtype() -> torch.dtype:
    """The dtype of frozen networks: bfloat16 on a GPU that multiplies in it, else float32."""
    return torch.bfloat16 if torch.cuda.is_available() and precision() == "bf16" else torch.float32


def drawn_channels(drawn: Tensor, step: int) -> Tensor:
    """Which frames are drawn, as channels of latent frames: (N, T) bool -> (N, t, step, 1, 1) float32.

    As in the image-to-video model of Wan 2.1 (Wan Team 2025, section 5.1) the first frame, which has a latent frame of
    its own, fills all channels of it.
    """
    padded = torch.cat([drawn[:, :1].expand(-1, step - 1), drawn], dim=1)
    return padded.float().unflatten(1, (-1, step))[..., None, None]


def beside(latents: Tensor, control: Tensor | None) -> Tensor:
    """Latents (N, t, C, h, w) with the channels of a control behind theirs; None: without any."""
    return latents if control is None else torch.cat([latents, control], dim=2)


def padded_tokens(
    tokenizer: PreTrainedTokenizerBase, captions: Sequence[str], length: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, int64 (N, length) each, of captions that are cut and padded to one length."""
    tokens = tokenizer(list(captions), padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    return tokens.input_ids.to(device), tokens.attention_mask.to(device)


def refuse(source: str, reason: str) -> UserError:
    """The error for a model that cannot be a base."""
    return UserError(f"{source} {reason}; {FIX}")

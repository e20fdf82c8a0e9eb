"""A base's network with LoRA and a widened input layer; saved without the weights of the base."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sketch2video.bases.base import Base, drawn_channels
from sketch2video.bases.registry import VARIABLE, open_base
from sketch2video.bases.weights_hash import weights_hash
from sketch2video.bases.widened_input import widen
from sketch2video.errors import UserError
from sketch2video.files import read_json
from sketch2video.text.encoder import TextCondition

WEIGHTS = "adapters.safetensors"
"""File of the weights that were trained."""


class AdaptedTransformer(ModelMixin, ConfigMixin):
    """The prediction of a base for noisy latents, given text and the latents of a control.

    Arguments are given by name.

    Args:
        network: of the base; its layers are changed in place, and its weights frozen.
        base: the base, which was opened from ``source``.
        source: folder or hub id of the base in training.
        hashes: :func:`~sketch2video.bases.weights_hash.weights_hash` of the base's networks by name.
        rank: of the LoRA matrices, which are scaled by 1; the random ones use torch's global generator.
        control: name of the control.
        sample_size, sample_frames: S and T of the videos that a pipeline generates unless it is asked for others.
        buckets: sizes of the training clips, such as ``832x480x49``.
    """

    ignore_for_config = ["network", "base"]  # noqa: RUF012 (diffusers' own way)
    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        network: nn.Module,
        base: Base,
        source: str,
        hashes: Mapping[str, str],
        rank: int,
        control: str,
        sample_size: int,
        sample_frames: int,
        buckets: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.base = base
        network.requires_grad_(False)
        self.network: Any = _with_lora(network, base.lora_layers, rank)
        widen(self.network, base.input_layer, base.input_channels)
        for weight in self.adapters().values():
            weight.requires_grad_(True).data = weight.data.float()

    @property
    def _no_split_modules(self) -> list[str] | None:
        """Those of the base's network; see diffusers."""
        return getattr(self.network, "_no_split_modules", None)

    def adapters(self) -> dict[str, nn.Parameter]:
        """The weights that are trained and saved, by name: LoRA matrices and the new part of the input layer."""
        weights = dict(self.network.named_parameters())
        return {name: weight for name, weight in weights.items() if ".lora_" in name or self._is_new(name)}

    def _is_new(self, name: str) -> bool:
        return name.startswith(f"{self.base.input_layer}.control.")

    @property
    def input_weights(self) -> list[nn.Parameter]:
        """The new part of the input layer."""
        return [weight for name, weight in self.adapters().items() if self._is_new(name)]

    def forward(
        self,
        latents: Tensor,
        timestep: Tensor,
        text: Tensor,
        text_mask: Tensor,
        fps: Tensor,
        control: Tensor | None = None,
        drawn: Tensor | None = None,
    ) -> Tensor:
        """The prediction of the base's objective.

        Args:
            latents: (N, t, C, h, w), normalised and noisy.
            timestep: (N,), in [0, 1000].
            text: (N, L, D), encoded captions.
            text_mask: (N, L) bool.
            fps: (N,), frames a second.
            control: (N, t, C, h, w), the encoded control video; None: the network has no control.
            drawn: (N, T) bool, False at frames that are not drawn; a sample without any has no control. Required with
                ``control``.

        Returns:
            (N, t, C, h, w), of the dtype of the network.
        """
        seen = None
        if control is not None and drawn is not None:
            marks = drawn_channels(drawn, self.base.frame_step).expand(-1, -1, -1, *control.shape[-2:])
            given = drawn.any(1).view(-1, 1, 1, 1, 1)
            seen = torch.cat([torch.where(given, control, 0.0), marks.to(control.dtype)], dim=2)
        return self.base.predict(self.network, latents, timestep, TextCondition(text, text_mask), seen, fps)

    def enable_gradient_checkpointing(self, *arguments: Any, **options: Any) -> None:
        """Compute activations of the base's blocks again in the backward pass instead of keeping them.

        Raises:
            UserError: the base does not support it.
        """
        if not getattr(self.network, "_supports_gradient_checkpointing", False):
            raise UserError(f"{self.base.title} has no gradient checkpointing; set gradient_checkpointing to false")
        self.network.enable_gradient_checkpointing(*arguments, **options)

    def save_pretrained(self, save_directory: str | os.PathLike, **_: Any) -> None:
        """Write ``config.json`` and the trained weights; the weights of the base are not written."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        self.save_config(folder)
        weights = {name: weight.detach().cpu().contiguous() for name, weight in self.adapters().items()}
        save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike, base: str | Path | None = None, **_: Any) -> AdaptedTransformer:
        """Load the trained weights and the network of the base.

        Args:
            folder: that :meth:`save_pretrained` wrote.
            base: folder or hub id of the base; None: that of the environment variable SKETCH2VIDEO_BASE, or else the
                one of the training.

        Raises:
            UserError: folder or base are missing or damaged, or the base is not the one of the training.
        """
        folder = Path(folder)
        config = {name: value for name, value in read_json(folder / cls.config_name).items() if name[0] != "_"}
        opened = open_base(base or os.environ.get(VARIABLE) or config["source"])
        network = opened.load_network()
        check_hash(network, "transformer", opened, config["hashes"], folder)
        model = cls(network=network, base=opened, **config)
        try:
            saved, weights = load_file(folder / WEIGHTS), model.adapters()
            if saved.keys() != weights.keys():
                raise ValueError("its weights have other names")
            for name, weight in weights.items():
                weight.data.copy_(saved[name])
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{folder / WEIGHTS} cannot be loaded ({reason}); train the model again") from error
        return model.requires_grad_(False).eval()


def check_hash(network: nn.Module, part: str, base: Base, hashes: Mapping[str, str], folder: Path) -> None:
    """Raise unless a network of a base is the one that a model was trained with.

    Args:
        network: the loaded network.
        part: its name: ``transformer``, ``vae`` or ``text_encoder``.
        base: the base.
        hashes: those of the training.
        folder: of the model, for the message.

    Raises:
        UserError: it is another one.
    """
    found = weights_hash(network)
    if found != hashes[part]:
        raise UserError(
            f"{base.source} is not the base that {folder} was trained on: its {part} has the hash {found[:12]}, not"
            f" {hashes[part][:12]}; name that base by base= or {VARIABLE}"
        )


def _with_lora(network: nn.Module, layers: str, rank: int) -> nn.Module:
    from peft import LoraConfig, inject_adapter_in_model  # which load slowly

    adapted: nn.Module = inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank, target_modules=layers), network)
    return adapted

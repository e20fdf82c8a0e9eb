"""Tiny untrained pipelines of all systems, and how each is called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sketch2video.curve_vae import CurveVAE
from sketch2video.systems import LongVideoPipeline, SketchToVideoPipeline, TextToVideoPipeline
from tests.bases.tiny import drawing_parts, save_own, stir_adapters, untrained
from tests.conftest import TINY_CURVE_VAE, tiny_parts, tiny_vqgan_pipeline

FRAMES, STEPS = 6, 3

CAPTION = "a red circle moves left to right"


def _sketch(kind: Any, **settings: Any) -> Any:
    return kind(**tiny_parts(control_channels=1), curve_vae=CurveVAE(**TINY_CURVE_VAE), **settings)


MAKERS: dict[str, Callable[[Path], Any]] = {
    "sketch_ldm": lambda _: _sketch(SketchToVideoPipeline),
    "text_ldm": lambda _: TextToVideoPipeline(**tiny_parts(control_channels=3, known_frames=True)),
    "hierarchical_vqgan": lambda _: tiny_vqgan_pipeline(control_channels=1),
    "long_video": lambda _: _sketch(LongVideoPipeline, window=4, fusion_times=()),
    "adapted_video": lambda folder: stir_adapters(
        untrained(save_own(folder / "base", whitening=0.0), **drawing_parts())
    ),
}
"""From an empty folder to a pipeline, by the system's name."""

DENOISING = [name for name in MAKERS if name != "hierarchical_vqgan"]

ASKED: dict[str, dict[str, Any]] = {name: {"num_frames": FRAMES, "num_inference_steps": STEPS} for name in MAKERS}
ASKED["text_ldm"]["control"] = np.random.default_rng(0).integers(0, 256, (1, FRAMES, 32, 32, 3), np.uint8)
"""Arguments of a call of each, besides the caption and the generator."""


def made(name: str, folder: Path) -> Any:
    """A system's pipeline, in evaluation mode, with weights away from their initial zeros."""
    pipeline = MAKERS[name](folder)
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(0)
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()
    if name in ("sketch_ldm", "text_ldm", "long_video"):
        for parameter in pipeline.transformer.parameters():
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return pipeline


def asked(name: str, **changes: Any) -> dict[str, Any]:
    """Arguments of a call that gives latents, with a generator of its own."""
    seeded = {"generator": torch.Generator().manual_seed(0), "output_type": "latent"}
    return ASKED[name] | seeded | changes


def latents_of(output: Any) -> torch.Tensor:
    """What a call gave, as one row."""
    frames = output.frames
    return torch.cat([level.flatten() for level in (frames if isinstance(frames, list) else [frames])])

"""Fixtures of several folders of tests."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from sketch2video.guard import guarded
from sketch2video.tracking.environment import quiet

pytest_plugins = ["tests.scenes_data"]

quiet()
os.environ.update(guarded(os.environ))  # what the tests start ends with them, also if they are killed
# The same examples in every run, however busy the machine is.
hypothesis.settings.register_profile("tests", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("tests")

TINY_CURVE_VAE = {"strokes": 3, "slots": 2, "harmonics": 8, "text_width": 16, "latent_dim": 4, "hidden": 16} | {
    "time_terms": 4,
    "width": 16,
    "layers": 1,
    "heads": 2,
    "num_inference_steps": 4,
}
"""Arguments of an untrained curve VAE that draws in a blink."""


@pytest.fixture(scope="module", autouse=True)
def accelerate_of_its_own() -> Iterator[None]:
    """Accelerate keeps the precision of a process's first training; modules of tests may train in different ones."""
    yield
    if state := sys.modules.get("accelerate.state"):
        state.AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="module", autouse=True)
def seed_of_module(request: pytest.FixtureRequest) -> None:
    """Fixtures of a module draw the same random numbers in every run."""
    _seed(request.node.nodeid)


@pytest.fixture(autouse=True)
def seed_of_test(request: pytest.FixtureRequest) -> None:
    """A test draws the same random numbers in every run, and in any order of the tests; others than its module does."""
    _seed(request.node.nodeid)


def _seed(name: str) -> None:
    if torch := sys.modules.get("torch"):  # if nobody has imported it, its own seed is always the same
        torch.manual_seed(zlib.crc32(name.encode()))


@pytest.fixture(scope="session")
def tiny_pipeline_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole pipeline of untrained networks, small enough to paint 8 frames of 32 × 32 in a blink."""
    from sketch2video.curve_vae import CurveVAE
    from sketch2video.systems.sketch_ldm.pipeline import SketchToVideoPipeline

    pipeline = SketchToVideoPipeline(
        **tiny_parts(control_channels=1),
        curve_vae=CurveVAE(**TINY_CURVE_VAE),
    )
    folder = tmp_path_factory.mktemp("model") / "sketch_ldm"
    pipeline.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_text_pipeline_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without a sketch, for a network that can be given known frames."""
    from sketch2video.systems.text_ldm.pipeline import TextToVideoPipeline

    folder = tmp_path_factory.mktemp("model") / "text_ldm"
    TextToVideoPipeline(**tiny_parts(control_channels=0, known_frames=True)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_vqgan_pipeline_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hierarchical VQGAN's pipeline, likewise."""
    folder = tmp_path_factory.mktemp("model") / "hierarchical_vqgan"
    tiny_vqgan_pipeline().save_pretrained(folder)
    return folder


def tiny_vqgan_pipeline(control_channels: int = 0) -> Any:
    """A tiny untrained pipeline of the hierarchical VQGAN; with a curve VAE where it follows sketches."""
    import torch

    from sketch2video.curve_vae import CurveVAE
    from sketch2video.systems.hierarchical_vqgan.pipeline import HierarchicalVQGANPipeline
    from sketch2video.tokens.transformer import TokenTransformer
    from sketch2video.tokens.vqgan.network import HierarchicalVQGAN

    parts = tiny_parts(control_channels)
    sizes = {"codes": 16, "code_width": 4, "halvings": 3}
    shape = {"width": 16, "layers": 1, "heads": 2, "text_width": 16, "window": 6}
    pipeline = HierarchicalVQGANPipeline(
        tokenizer=parts["tokenizer"],
        text_encoder=parts["text_encoder"],
        vqgan=HierarchicalVQGAN(**sizes, width=16, blocks=1),
        transformer=TokenTransformer(
            **sizes, **shape, sample_size=32, sample_frames=8, control_channels=control_channels
        ),
        curve_vae=CurveVAE(**TINY_CURVE_VAE) if control_channels == 1 else None,
        sampling={"temperature": 0.9, "top_p": 0.95},
    )
    for part in (pipeline.text_encoder, pipeline.transformer, pipeline.vqgan):
        part.eval()
    with torch.no_grad():
        pipeline.vqgan.train()(torch.rand(8, 3, 32, 32) * 2 - 1)  # the codes then lie where pictures are
    pipeline.vqgan.eval()
    for level in pipeline.transformer.parts:  # untrained, but sure of itself: what it sees decides what it says
        level.head.weight.data *= 30
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def tiny_parts(control_channels: int, **settings: Any) -> dict[str, Any]:
    """What tiny pipelines of all systems have, untrained; ``settings`` are more of the transformer's."""
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler
    from transformers import BertConfig, BertModel

    from sketch2video.autoencoder.network import FrameAutoencoder
    from sketch2video.diffusion.video_transformer import VideoTransformer
    from sketch2video.text.training import train_tokenizer

    torch.manual_seed(0)
    tokenizer = train_tokenizer(["a red circle moves left to right", "a blue star grows"], 300, 16)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    shape = {"factor": 4, "width": 16, "layers": 2, "heads": 2, "text_width": 16}
    return {
        "tokenizer": tokenizer,
        "text_encoder": BertModel(BertConfig(vocab_size=len(tokenizer), **sizes), add_pooling_layer=False),
        "autoencoder": FrameAutoencoder(
            4, halvings=2, width=16, control_channels=control_channels, blocks=1, texture=True
        ),
        "transformer": VideoTransformer(
            **shape, sample_size=32, sample_frames=8, control_channels=control_channels, **settings
        ),
        "scheduler": FlowMatchEulerDiscreteScheduler(),
    }

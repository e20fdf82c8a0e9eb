"""Every kind of base: before training, the pipeline gives what the base's own pipeline of diffusers gives."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import CogVideoXPipeline, LTXPipeline, StableDiffusionPipeline, WanPipeline

from sketch2video.bases.base import drawn_channels
from sketch2video.bases.registry import open_base
from sketch2video.bases.stable_diffusion import StableDiffusion
from sketch2video.errors import UserError
from sketch2video.pipelines import latent_video
from sketch2video.systems.adapted_video import pipeline as pipeline_module
from sketch2video.systems.text_ldm.pipeline import TextToVideoPipeline
from tests.bases.tiny import stir_adapters, untrained
from tests.systems.second_device import DEVICE, SecondDevice

CAPTION = "a red circle moves left to right"
FRAMES, HEIGHT, WIDTH = 9, 32, 64


class FrameByFrame:
    """Stable Diffusion's own pipeline of diffusers, called once for each frame."""

    def __init__(self, pipe: StableDiffusionPipeline) -> None:
        self.pipe = pipe
        self.set_progress_bar_config = pipe.set_progress_bar_config

    @classmethod
    def from_pretrained(cls, folder: Path) -> FrameByFrame:
        return cls(StableDiffusionPipeline.from_pretrained(folder))

    def __call__(
        self, prompt: str, num_frames: int, height: int, width: int, generator: torch.Generator, **more: Any
    ) -> Any:
        noise = torch.randn(num_frames, 1, 4, height // 8, width // 8, generator=generator)
        pictures = [self.pipe(prompt, height, width, latents=latents, **more).images[0] for latents in noise]
        return SimpleNamespace(frames=np.stack(pictures)[None])


REFERENCES: dict[str, tuple[Any, dict[str, Any]]] = {
    "wan": (WanPipeline, {}),
    "ltx": (LTXPipeline, {"frame_rate": 25, "max_sequence_length": 128}),
    "cogvideox": (CogVideoXPipeline, {"max_sequence_length": 24}),
    "cogvideox_5b": (CogVideoXPipeline, {"max_sequence_length": 24}),
    "stable_diffusion": (FrameByFrame, {}),
    "own": (TextToVideoPipeline, {"fps": 25.0}),
    "own_pairs": (TextToVideoPipeline, {"fps": 25.0}),
}
"""The base's own pipeline, and further arguments of its call."""

OWN = "own", "own_pairs"
"""Bases of this project, whose pipelines make videos of one size."""

FRAMEWISE = *OWN, "stable_diffusion"
"""Bases whose autoencoders encode single frames."""


@pytest.fixture(autouse=True)
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pipeline_module, latent_video):
        monkeypatch.setattr(module, "precision", lambda: "no")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def call(**changes: Any) -> dict[str, Any]:
    size = {"num_frames": FRAMES, "height": HEIGHT, "width": WIDTH}
    return size | {"guidance_scale": 4.0, "num_inference_steps": 3, "generator": seeded()} | changes


def ink(frames: int = FRAMES) -> np.ndarray:
    drawing = np.zeros((1, frames, HEIGHT, WIDTH), np.uint8)
    drawing[:, :, 8:24, 20] = 255
    return drawing


@pytest.mark.parametrize("guidance_scale", [1.0, 4.0])
@pytest.mark.parametrize("kind", REFERENCES)
def test_before_training_it_is_the_base(
    bases: dict[str, Path], kind: str, guidance_scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StableDiffusion, "frame_attention", "own")  # pictures, as of the base
    reference, more = REFERENCES[kind]
    own = reference.from_pretrained(bases[kind])
    own.set_progress_bar_config(disable=True)
    asked = call(guidance_scale=guidance_scale)
    if kind in OWN:
        asked |= {"height": 32, "width": 32, "num_frames": 8}
    known = set(inspect.signature(reference.__call__).parameters) | {"guidance_scale", "num_inference_steps"}
    of_reference = {name: value for name, value in asked.items() if name in known}
    expected = own(CAPTION, **of_reference, **more, output_type="np").frames
    pipe, frames = untrained(bases[kind]), asked["num_frames"]
    for given in ({}, {"sketches": ink(frames)}, {"sketches": {0: ink()[0, 0]}}):
        asked["generator"].manual_seed(0)
        frames = pipe([CAPTION], **asked, fps=25.0, **given).frames
        np.testing.assert_allclose(frames, expected, atol=1e-4)
    assert expected.std() > 0.01


@pytest.mark.parametrize("kind", REFERENCES)
def test_encoding_and_decoding_are_those_of_the_base(bases: dict[str, Path], kind: str) -> None:
    """A latent that is decoded by the base's own pipeline is the video that was encoded, as far as that goes."""
    base = open_base(bases[kind])
    vae = base.load_vae()
    videos = torch.rand(2, FRAMES, 3, HEIGHT, WIDTH, generator=seeded()) * 2 - 1
    with torch.no_grad():
        latents = base.encode(vae, videos)
        decoded = base.decode(vae, latents)
        if kind in OWN:
            direct = vae(videos.flatten(0, 1)).unflatten(0, videos.shape[:2])
        elif kind in FRAMEWISE:
            pictures = vae.encode(videos.flatten(0, 1)).latent_dist.mode()
            direct = vae.decode(pictures).sample.unflatten(0, videos.shape[:2])
        else:
            zero = [torch.zeros(2)] if vae.config.get("timestep_conditioning") else []
            direct = vae.decode(vae.encode(videos.transpose(1, 2)).latent_dist.mode(), *zero).sample.transpose(1, 2)
    length = (FRAMES - 1) // base.frame_step + 1
    assert latents.shape == (2, length, base.latent_channels, HEIGHT // base.factor, WIDTH // base.factor)
    torch.testing.assert_close(decoded, direct, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", REFERENCES)
def test_captions_of_a_batch_do_not_depend_on_each_other(bases: dict[str, Path], kind: str) -> None:
    base = open_base(bases[kind])
    tokenizer, encoder = base.load_text()
    cpu = torch.device("cpu")
    both = base.encode_text(tokenizer, encoder, [CAPTION, "a man"], cpu)
    alone = base.encode_text(tokenizer, encoder, ["a man"], cpu)
    torch.testing.assert_close(both.hidden[1][both.mask[1]], alone.hidden[0][alone.mask[0]], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", REFERENCES)
def test_noise_of_training_is_what_the_sampler_removes(bases: dict[str, Path], kind: str) -> None:
    """With a perfect prediction, the base's sampler ends at the data from which the objective makes the targets."""
    base = open_base(bases[kind])
    objective, scheduler = base.objective(None), base.load_scheduler()
    # The same in all frames, since frames may share latents.
    data = torch.randn(1, 1, 4, 2, 2, generator=seeded(1)).expand(-1, 3, -1, -1, -1)
    noise = torch.randn(1, 3, 4, 2, 2, generator=seeded(2))
    level = torch.tensor([0.4])
    mixed = objective.noisy(data, noise, level)
    clean, _ = objective.estimates(objective.target(data, noise, level), mixed, level)
    torch.testing.assert_close(clean, data, atol=1e-4, rtol=1e-4)

    def predict(latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        time = timestep[None] / 1000
        a, b, c, d = objective.mixture(time)
        return c * data + d * (latents - a * data) / b

    if kind == "stable_diffusion":  # whose sampler ends at the lowest level, with a noise of 0.03
        scheduler.final_alpha_cumprod = torch.tensor(1.0)
    made = base.sample(scheduler, predict, noise, 8, seeded())
    torch.testing.assert_close(made, data, atol=0.02, rtol=0.02)


@pytest.mark.parametrize("kind", REFERENCES)
def test_a_trained_one_follows_drawings_of_all_or_some_frames(bases: dict[str, Path], kind: str) -> None:
    pipe = stir_adapters(untrained(bases[kind]))
    plain = pipe([CAPTION], **call()).frames
    whole = pipe([CAPTION], **call(), sketches=ink()).frames
    some = pipe([CAPTION], **call(), sketches={0: ink()[0, 0], 8: ink()[0, 0]}).frames
    for one, other in ((plain, whole), (whole, some), (plain, some)):
        assert np.abs(one - other).max() > 1e-3
    ignored = pipe([CAPTION], **call(control_guidance_scale=0.0), sketches=ink()).frames
    unconditional = pipe(**call(), num_videos=1).frames
    np.testing.assert_allclose(ignored, plain, atol=1e-5, err_msg="a scale of 0 is as if there were no drawing")
    assert unconditional.shape == plain.shape


@pytest.mark.parametrize("kind", [kind for kind in REFERENCES if kind not in FRAMEWISE])
def test_any_number_of_frames_is_cut_from_the_next_possible_one(bases: dict[str, Path], kind: str) -> None:
    pipe = stir_adapters(untrained(bases[kind]))
    whole = pipe([CAPTION], **call(num_frames=FRAMES)).frames
    cut = pipe([CAPTION], **call(num_frames=FRAMES - 1)).frames
    assert cut.shape[1] == FRAMES - 1
    np.testing.assert_allclose(cut, whole[:, :-1], atol=1e-5)
    assert len(pipe([CAPTION], **call(num_frames=FRAMES - 1), output_type="pil").frames[0]) == FRAMES - 1


@pytest.mark.parametrize("kind", REFERENCES)
def test_wrong_arguments_are_named(bases: dict[str, Path], kind: str) -> None:
    pipe = untrained(bases[kind])
    with pytest.raises(ValueError, match=f"height and width are 33 and 64; .* multiples of {pipe.base.side_step}"):
        pipe([CAPTION], **call(height=33))
    with pytest.raises(ValueError, match="given for frame 9, but the video has 9"):
        pipe([CAPTION], **call(), sketches={9: ink()[0, 0]})
    with pytest.raises(ValueError, match="strokes was given, but this model has no curve VAE"):
        pipe([CAPTION], **call(num_frames=None), strokes=[stroke()])
    with pytest.raises(ValueError, match=r"latents are \(1, 1, 4, 4, 8\), expected noise"):
        pipe([CAPTION], **call(), latents=torch.zeros(1, 1, 4, 4, 8))


@pytest.mark.parametrize("way", ["model", "sequential"])
@pytest.mark.parametrize("kind", ["wan", "ltx", "cogvideox", "stable_diffusion"])
def test_what_is_offloaded_comes_to_the_device_when_it_is_needed(
    bases: dict[str, Path], kind: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffusers.pipelines.pipeline_utils.empty_device_cache", lambda _: None)
    pipe = stir_adapters(untrained(bases[kind]))
    asked = call(num_inference_steps=2, output_type="pt")
    expected = pipe([CAPTION], **asked, sketches=ink()).frames
    with SecondDevice() as device:
        getattr(pipe, f"enable_{way}_cpu_offload")(device=DEVICE)
        asked["generator"].manual_seed(0)
        found = pipe([CAPTION], **asked, sketches=ink()).frames
        assert device.calls > 0
        torch.testing.assert_close(found.cpu(), expected, atol=1e-4, rtol=1e-4)


def test_tiles_are_decoded_one_by_one(bases: dict[str, Path]) -> None:
    pipe = stir_adapters(untrained(bases["wan"]))
    widths: list[int] = []
    pipe.vae.decoder.register_forward_hook(lambda decoder, given, frames: widths.append(frames.shape[-1]))
    whole = pipe([CAPTION], **call()).frames
    assert set(widths) == {WIDTH}
    of_whole = len(widths)
    widths.clear()
    pipe.vae.enable_tiling(
        tile_sample_min_height=32, tile_sample_min_width=32, tile_sample_stride_height=32, tile_sample_stride_width=16
    )
    tiled = pipe([CAPTION], **call()).frames
    assert max(widths) <= 32
    assert len(widths) > of_whole
    assert tiled.shape == whole.shape
    # Half of a tile is blended with the next one: the first half of the first tile is what it is alone.
    base, vae = pipe.base, pipe.vae
    latents = torch.randn(1, 3, base.latent_channels, HEIGHT // 8, WIDTH // 8, generator=seeded())
    with torch.no_grad():
        tiles = base.decode(vae, latents)
        vae.disable_tiling()
        alone, whole_one = base.decode(vae, latents[..., :4]), base.decode(vae, latents)
    torch.testing.assert_close(tiles[..., :16], alone[..., :16], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(tiles, whole_one, atol=1e-3)
    assert (tiles - whole_one).abs().mean() < whole_one.std(), "tiles differ from the whole in what they see around"


def stroke() -> Any:
    from sketch2video.curves import CurveSequence

    return CurveSequence(np.full((FRAMES, 1, 2, 2), 0.3, np.float32), np.ones((FRAMES, 1), np.float32))


def test_drawn_frames_mark_the_latent_frames_that_they_are_in() -> None:
    drawn = torch.zeros(1, 9, dtype=torch.bool)
    drawn[0, [0, 6]] = True
    marks = drawn_channels(drawn, 4)[0, ..., 0, 0]
    assert marks.tolist() == [[1, 1, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0]]


def test_what_is_no_base_is_named(bases: dict[str, Path], tmp_path: Path, tiny_vqgan_pipeline_folder: Path) -> None:
    with pytest.raises(UserError, match="cannot be loaded as a base"):
        open_base(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds the pipeline HierarchicalVQGANPipeline, not one of WanPipeline"):
        open_base(tiny_vqgan_pipeline_folder)

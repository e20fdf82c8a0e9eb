"""Long videos by tiny untrained models of Stable Diffusion's classes, saved here as they lie on the hub."""

from __future__ import annotations

import copy
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionAdapterPipeline
from PIL import Image
from torch import Tensor

from examples import adapter_video
from examples.adapter_video import AdapterVideo, WindowConditions, load_adapter_video
from examples.unet_tuning import tuned_parameters
from sketch2video.errors import UserError
from sketch2video.media.codec import read_frames
from sketch2video.media.writing import write_video
from sketch2video.steadiness import segmenters
from sketch2video.steadiness.average_fusion import FusionWeights, average_fusion
from sketch2video.steadiness.combined_tuning import tune
from sketch2video.steadiness.masked_losses import LossWeights
from tests.bases.tiny import save_ltx, save_stable_diffusion, tiny_adapter

T, SIDE = 7, 64
"""Frames of the tests' video, and its height in px; it is wider."""

CAPTION = "a man hikes"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tiny")
    model = save_stable_diffusion(folder / "model")
    tiny_adapter().save_pretrained(folder / "adapter")
    return model, folder / "adapter"


@pytest.fixture(autouse=True)
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter_video, "precision", lambda: "no")


@pytest.fixture(scope="module")
def loaded(folders: tuple[Path, Path]) -> AdapterVideo:
    return load_adapter_video(*folders)


@pytest.fixture
def video(loaded: AdapterVideo) -> AdapterVideo:
    return copy.deepcopy(loaded)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def poses(frames: int = T) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (frames, SIDE, SIDE + 32, 3), dtype=np.uint8)


def conditions_of(video: AdapterVideo, window: int = 4, stride: int = 3) -> WindowConditions:
    return video.window_conditions(CAPTION, T, window, stride, "triangular", video.adapter_features(poses()))


def noise_of(video: AdapterVideo, seed: int = 0) -> Tensor:
    return video.initial_noise(T, SIDE, SIDE + 32, seeded(seed))


def text_of(video: AdapterVideo, *captions: str) -> Tensor:
    return video.base.encode_text(video.tokenizer, video.text_encoder, captions, torch.device("cpu")).hidden


@pytest.mark.parametrize(("guidance_scale", "adapter_scale"), [(5.0, 1.0), (1.0, 0.7)])
def test_frames_that_do_not_see_each_other_are_the_pictures_of_diffusers_own_pipeline(
    video: AdapterVideo, guidance_scale: float, adapter_scale: float
) -> None:
    video.frame_attention = "own"
    captions = [(0, CAPTION), (4, "a woman runs")]
    settings = {"guidance_scale": guidance_scale, "num_inference_steps": 4}
    frames = video.generate(
        captions, poses(), adapter_scale=adapter_scale, generator=seeded(), window=4, stride=4, **settings
    )
    reference = StableDiffusionAdapterPipeline(
        vae=video.vae,
        text_encoder=video.text_encoder,
        tokenizer=video.tokenizer,
        unet=video.unet,
        adapter=video.adapter,
        scheduler=video.scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    reference.set_progress_bar_config(disable=True)
    noise = noise_of(video)
    assert frames.shape == (T, SIDE, SIDE + 32, 3)
    pictures = [
        reference(
            "a woman runs" if frame >= 4 else CAPTION,
            Image.fromarray(poses()[frame]),
            latents=noise[[frame]],
            adapter_conditioning_scale=adapter_scale,
            output_type="np",
            height=SIDE,
            width=SIDE + 32,
            **settings,
        ).images[0]
        for frame in (0, 2, 4, 6)  # the second window begins with frame 3, and its middle is frame 5
    ]
    np.testing.assert_allclose(frames[[0, 2, 4, 6]] / 255, pictures, atol=0.51 / 255)
    assert np.abs(pictures[0] - pictures[1]).max() > 0.01


def test_windows_that_overlap_agree_on_frames_that_do_not_see_each_other(video: AdapterVideo) -> None:
    video.frame_attention = "own"
    whole, windows = conditions_of(video, window=T, stride=T), conditions_of(video)
    assert windows.starts == [0, 3]
    level = torch.tensor(700)
    expected = video.merged(noise_of(video), level, whole)
    torch.testing.assert_close(video.merged(noise_of(video), level, windows), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_branches_of_guidance_and_windows_see_themselves_alone(video: AdapterVideo) -> None:
    noise, level = torch.randn(2, 3, 4, 8, 8, generator=seeded()), torch.tensor([900, 100])
    text = text_of(video, "", CAPTION)
    features = [torch.randn(2, 3, c, s, s, generator=seeded()) for c, s in ((32, 8), (64, 4))]
    together = video.predict(noise, level, text, features)
    for window in range(2):
        alone = video.predict(noise[[window]], level[window], text[[window]], [f[[window]] for f in features])
        torch.testing.assert_close(together[window], alone[0], atol=1e-5, rtol=1e-5)


def test_guidance_goes_on_from_the_empty_caption_through_the_caption(video: AdapterVideo) -> None:
    level, noise = torch.tensor(500), noise_of(video)
    empty = video.window_conditions([(0, "")], T, 4, 3, "triangular", None)
    given = video.window_conditions(CAPTION, T, 4, 3, "triangular", None)
    plain, guided = (video.merged(noise, level, one, guidance_scale=1) for one in (empty, given))
    torch.testing.assert_close(
        video.merged(noise, level, given, guidance_scale=3), 3 * guided - 2 * plain, atol=1e-4, rtol=1e-4
    )
    assert (guided - plain).abs().max() > 1e-3


def test_nothing_sees_more_frames_the_longer_the_video_is(video: AdapterVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter_video, "FRAMES_AT_ONCE", 2)
    most: dict[str, int] = {}
    for name, part in {"adapter": video.adapter, "unet": video.unet, "decoder": video.vae.decoder}.items():
        part.register_forward_pre_hook(
            lambda _, inputs, name=name: most.update({name: max(most.get(name, 0), len(inputs[0]))})
        )
    settings = {"num_inference_steps": 2, "window": 3, "stride": 2}
    one = video.generate(CAPTION, poses(), **settings, generator=seeded())
    assert most == {"adapter": 2, "unet": 2 * 3, "decoder": 2}
    two = video.generate(CAPTION, poses(), **settings, generator=seeded(), windows_at_once=2)
    assert most["unet"] == 2 * 2 * 3
    np.testing.assert_allclose(one, two, atol=1)
    assert video.generate(CAPTION, num_frames=2, num_inference_steps=1).shape == (2, SIDE, SIDE, 3)


@pytest.mark.parametrize("name", ["ddim", "ddpm"])
def test_sampling_goes_on_from_any_step(video: AdapterVideo, name: str) -> None:
    video.set_sampler(name)
    conditions, settings = conditions_of(video), {"num_inference_steps": 5}
    generator = seeded(1)
    whole = video.denoise(noise_of(video), conditions, generator=generator, **settings)
    generator = seeded(1)
    latents = video.denoise(noise_of(video), conditions, generator=generator, last_step=2, **settings)
    assert not torch.allclose(latents, whole, atol=0.1)
    torch.testing.assert_close(
        video.denoise(latents, conditions, generator=generator, first_step=2, **settings), whole, atol=1e-5, rtol=1e-5
    )
    other = video.denoise(noise_of(video), conditions, generator=seeded(2), **settings)
    assert torch.equal(other, whole) == (name == "ddim"), "DDPM draws noise in every step"


def test_the_process_is_the_papers(video: AdapterVideo) -> None:
    video.set_sampler("ddpm")
    time = video.step_time(4, 1000)  # the fifth
    assert time == 0.995
    for name in ("ddim", "ddpm"):
        video.set_sampler(name)
        assert [video.step_time(at, 10) for at in (0, 9)] == [0.999, 0.099], "from the last level on"
    kept, lowest, highest = 1.0, math.sqrt(8.5e-4), math.sqrt(1.2e-2)
    for level in range(996):
        kept *= 1 - (lowest + (highest - lowest) * level / 999) ** 2
    assert kept == pytest.approx(0.005, abs=0.0005)
    data, noise, times = torch.ones(1, 1), torch.zeros(1, 1), torch.tensor([time])
    assert video.objective.noisy(data, noise, times).item() == pytest.approx(math.sqrt(kept), rel=1e-3)
    assert video.objective.noisy(noise, data, times).item() == pytest.approx(math.sqrt(1 - kept), rel=1e-5)
    noisy = video.scheduler.add_noise(data, noise + 2, torch.tensor([995]))
    torch.testing.assert_close(noisy, video.objective.noisy(data, noise + 2, times))


def test_a_perfect_prediction_leads_ddim_back(video: AdapterVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    data, noise = torch.randn(T, 4, 8, 12, generator=seeded(3)), noise_of(video)
    monkeypatch.setattr(video, "merged", lambda *_: noise)
    conditions = conditions_of(video)
    for first in (0, 3, 9):
        time = torch.full((T,), video.step_time(first, 10))
        noisy = video.objective.noisy(data, noise, time)
        found = video.denoise(noisy, conditions, num_inference_steps=10, first_step=first)
        torch.testing.assert_close(found, data, atol=1e-4, rtol=1e-4)


def test_one_background_for_all_frames_stays_one(video: AdapterVideo) -> None:
    video.frame_attention = "own"
    features = video.adapter_features(poses(1).repeat(T, 0))
    conditions = video.window_conditions(CAPTION, T, 4, 3, "triangular", features)
    steps = {"num_inference_steps": 4}
    latents = video.denoise(noise_of(video), conditions, last_step=2, **steps)
    clean = video.denoise(latents, conditions, first_step=2, **steps)
    everywhere = torch.ones(T, 1, *clean.shape[2:], dtype=torch.bool)
    with torch.no_grad():
        fused = average_fusion(
            latents, clean, everywhere, video.objective, video.step_time(2, 4), FusionWeights(), 5, True, seeded(5)
        )
    made = video.denoise(fused, conditions, first_step=2, **steps)
    torch.testing.assert_close(made, made[:1].expand_as(made), atol=1e-4, rtol=1e-4)
    assert (clean - clean[:1]).abs().max() > 0.1


def test_the_error_is_that_of_the_network_at_the_noisy_window(video: AdapterVideo) -> None:
    video.frame_attention = "own"
    data, noise, level = torch.randn(3, 4, 8, 12, generator=seeded(1)), noise_of(video)[:3], torch.tensor(600)
    text, features = text_of(video, CAPTION), video.adapter_features(poses(3))
    video.unet.requires_grad_(True)
    error = video.error(data, text, features, level, noise)
    kept = float(torch.prod(1 - video.scheduler.betas[:601].double()))
    for frame in range(3):
        noisy = math.sqrt(kept) * data[frame] + math.sqrt(1 - kept) * noise[frame]
        residuals = [scale[[frame]] for scale in features]
        predicted = video.unet(noisy[None], level, text, down_intrablock_additional_residuals=residuals).sample[0]
        torch.testing.assert_close(error[frame], predicted - noise[frame], atol=1e-4, rtol=1e-4)
    error.square().mean().backward()
    assert all(weight.grad is not None for weight in video.unet.parameters())
    assert not any(weight.requires_grad for weight in video.adapter.parameters())


def test_a_video_is_learned(video: AdapterVideo) -> None:
    torch.manual_seed(0)
    data, text = torch.randn(3, 4, 8, 8, generator=seeded(1)), text_of(video, CAPTION)
    foreground = torch.zeros(3, 1, *data.shape[2:], dtype=torch.bool)
    foreground[:, :, 2:5, 2:5] = True

    def error(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        level = torch.randint(1000, (), generator=generator)
        noise = torch.randn(data.shape, generator=generator)
        return video.error(data, text, None, level, noise), foreground, ~foreground

    curve = tune(error, tuned_parameters(video.unet, None), LossWeights(1, 1, 0), steps=20, learning_rate=3e-3)
    first, last = (sum(point["loss"] for point in part) for part in (curve[:5], curve[-5:]))
    assert last < 0.9 * first


def test_an_adapter_of_ink_takes_drawings(video: AdapterVideo, folders: tuple[Path, Path], tmp_path: Path) -> None:
    torch.manual_seed(1)
    adapter = tiny_adapter(in_channels=1)
    adapter.save_pretrained(tmp_path)
    drawn = load_adapter_video(folders[0], tmp_path)
    ink = poses()[..., 0]
    with torch.no_grad():
        expected = adapter(torch.from_numpy(ink)[:, None] / 255)
    for found, scale in zip(drawn.adapter_features(ink), expected, strict=True):
        torch.testing.assert_close(found, scale, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match=r"this adapter follows uint8 \(T, H, W\) ink"):
        drawn.adapter_features(poses())
    with pytest.raises(ValueError, match=r"this adapter follows uint8 \(T, H, W, 3\) RGB"):
        video.adapter_features(ink)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "num_frames is None, but the condition has 0 frames; give one of them"),
        ({"condition": poses(), "num_frames": 3}, "but the condition has 7 frames"),
        ({"condition": poses()[:, :15]}, "15 px high and 96 wide; both must be multiples of 8"),
        ({"condition": poses() / 255}, "float64"),
        ({"condition": poses(), "captions": [(1, "a")]}, "let the first begin at 0"),
        ({"condition": poses(), "window": 3, "stride": 4}, "are inconsistent"),
    ],
)
def test_what_does_not_belong_together_is_refused(video: AdapterVideo, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        video.generate(**{"captions": CAPTION, **arguments})


def test_steps_conditions_and_samplers_that_do_not_fit_are_refused(video: AdapterVideo) -> None:
    conditions = conditions_of(video)
    with pytest.raises(ValueError, match="no steps from 3 to 2 of 4"):
        video.denoise(noise_of(video), conditions, num_inference_steps=4, first_step=3, last_step=2)
    with pytest.raises(ValueError, match="not of a video of 6 frames"):
        video.denoise(noise_of(video)[:6], conditions)
    with pytest.raises(ValueError, match="features of 3 frames for a video of 7"):
        video.window_conditions(CAPTION, T, 4, 3, "uniform", video.adapter_features(poses(3)))
    with pytest.raises(UserError, match="choose ddim or ddpm"):
        video.set_sampler("euler")


def test_the_commands_of_the_documentation_run(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def square(frames: np.ndarray, name: str) -> np.ndarray:
        assert name == "facebook/sam-vit-base"
        masks = np.zeros(frames.shape[:3], bool)
        masks[:, 16:40, 16:40] = True
        return masks

    monkeypatch.setattr(segmenters, "segment", square)
    monkeypatch.chdir(tmp_path)
    write_video("hike.mp4", poses(6)[:, :, :SIDE], fps=8)
    text = (Path(__file__).parents[2] / "docs" / "stable_diffusion.md").read_text()
    changes = {
        '"CompVis/stable-diffusion-v1-4", "models/t2iadapter_openpose_sd14v1"': f'"{folders[0]}", "{folders[1]}"',
        "frames=48, size=512": "frames=6, size=64",
        "(24,": "(4,",
        "window=16, stride=8,": "window=4, stride=2, num_inference_steps=2,",
        "512, 24, 16, 8, 1000, 4": "64, 6, 4, 2, 4, 2",
        "steps=250": "steps=2",
    }
    code = "\n".join(re.findall("```python\n(.*?)```", text, flags=re.DOTALL))
    for old, new in changes.items():
        assert old in code
        code = code.replace(old, new)
    found: dict[str, Any] = {}
    exec(code, found)
    assert [point["step"] for point in found["curve"]] == [1, 2]
    assert found["foreground"].sum() == 6 * 9
    assert found["background"].sum() == 6 * (64 - 9)
    still = (found["fused"] - found["fused"][:1])[:, :, 5:]
    assert (still == 0).all(), "one background"
    assert (found["noisy"] - found["noisy"][:1])[1:, :, 5:].abs().min() > 0
    assert len(list(read_frames("hike_generated.mp4"))) == 6
    tuned = type(found["video"].unet).from_pretrained("models/hike_tuned")
    expected = found["video"].unet.state_dict()
    assert all(torch.equal(weight, expected[name]) for name, weight in tuned.state_dict().items())


def broken(kind: str, model: Path, adapter: Path) -> tuple[Path, Path]:
    """Folders of which one has a fault."""
    weights = adapter / "diffusion_pytorch_model.safetensors"
    if kind == "another base":
        return save_ltx(model.parent / "ltx"), adapter
    if kind == "no adapter":
        return model, adapter.parent / "nowhere"
    if kind.startswith("without "):
        shutil.rmtree(model / kind.removeprefix("without "))
    if kind == "pickled":
        torch.save(tiny_adapter().state_dict(), weights.with_suffix(".bin"))
        weights.unlink()
    if kind == "another class":
        return model, model / "vae"
    if kind == "another adapter":
        tiny_adapter(channels=[32, 32]).save_pretrained(adapter)
    if kind == "another factor":
        tiny_adapter(downscale_factor=4).save_pretrained(adapter)
    if kind == "another kind of pictures":
        tiny_adapter(in_channels=4).save_pretrained(adapter)
    return model, adapter


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("another base", r"ltx is LTX-Video, for which there are no T2I-Adapters; name a Stable Diffusion"),
        ("no adapter", r"nowhere cannot be loaded as a T2IAdapter \(there is no such folder\); name a folder or a hub"),
        ("without unet", r"model cannot be loaded as Stable Diffusion \(.*\); name a folder"),
        ("pickled", r"adapter cannot be loaded as a T2IAdapter \(.*safetensors.*\); .*docs/stable_diffusion.md"),
        ("another class", r"vae is no complete T2IAdapter: it lacks adapter\..*; name a folder"),
        ("another adapter", r"adapter belongs to another network than .*model: its features have other sizes"),
        ("another factor", r"adapter belongs to another network than .*model: its features have other sizes"),
        ("another kind of pictures", r"adapter follows pictures of 4 channels, not 1 or 3; name a folder"),
    ],
)
def test_what_cannot_be_used_is_one_line(folders: tuple[Path, Path], tmp_path: Path, kind: str, message: str) -> None:
    copies = [Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in folders]
    with pytest.raises(UserError, match=message) as raised:
        load_adapter_video(*broken(kind, *copies))
    assert "\n" not in str(raised.value)

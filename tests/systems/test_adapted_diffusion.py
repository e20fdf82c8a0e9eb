"""Long videos by tiny untrained models of Stable Diffusion's classes, saved here as they lie on the hub."""

from __future__ import annotations

import copy
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import PNDMScheduler, StableDiffusionAdapterPipeline
from PIL import Image
from torch import Tensor

from sketch2video.errors import UserError
from sketch2video.media.codec import read_frames
from sketch2video.media.writing import write_video
from sketch2video.steadiness import segmenters
from sketch2video.steadiness.average_fusion import FusionWeights, average_fusion
from sketch2video.steadiness.combined_tuning import tune, tuned_parameters
from sketch2video.steadiness.masked_losses import LossWeights
from sketch2video.systems.adapted_diffusion import denoising
from sketch2video.systems.adapted_diffusion import pipeline as adapted_diffusion
from sketch2video.systems.adapted_diffusion.base_models import load_adapted_diffusion
from sketch2video.systems.adapted_diffusion.denoising import WindowConditions, noise_error
from sketch2video.systems.adapted_diffusion.noise_schedule import make_scheduler
from sketch2video.systems.adapted_diffusion.pipeline import AdaptedDiffusionPipeline
from tests.systems.tiny_diffusion import save_tiny, tiny_adapter

T, SIDE = 7, 16
"""Frames of the tests' video, and its height in px; it is wider."""

CAPTION = "a man hikes"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return save_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True)
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denoising, "precision", lambda: "no")


@pytest.fixture(scope="module")
def loaded(folders: tuple[Path, Path]) -> AdaptedDiffusionPipeline:
    return load_adapted_diffusion(*folders)


@pytest.fixture
def pipe(loaded: AdaptedDiffusionPipeline) -> AdaptedDiffusionPipeline:
    pipe = AdaptedDiffusionPipeline(**copy.deepcopy(loaded.components))
    pipe.set_progress_bar_config(disable=True)
    return pipe


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def poses(frames: int = T) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (frames, SIDE, SIDE + 8, 3), dtype=np.uint8)


def conditions_of(pipe: AdaptedDiffusionPipeline, window: int = 4, stride: int = 3) -> WindowConditions:
    return pipe.window_conditions(CAPTION, T, window, stride, "triangular", pipe.adapter_features(poses()))


def noise_of(pipe: AdaptedDiffusionPipeline, seed: int = 0) -> Tensor:
    return pipe.initial_noise(T, SIDE, SIDE + 8, seeded(seed))


def test_captions_are_read_by_the_vocabulary_of_the_folder(pipe: AdaptedDiffusionPipeline) -> None:
    tokens = pipe.tokenizer("a hikes hi").input_ids
    assert pipe.tokenizer.convert_ids_to_tokens(tokens[1:-1]) == ["a</w>", "hikes</w>", "h", "i</w>"]
    assert pipe.encode_text(["a man " * 30, ""]).shape == (2, 24, 16)


@pytest.mark.parametrize(("guidance_scale", "adapter_scale"), [(5.0, 1.0), (1.0, 0.7)])
def test_frames_that_do_not_see_each_other_are_the_pictures_of_diffusers_own_pipeline(
    pipe: AdaptedDiffusionPipeline, guidance_scale: float, adapter_scale: float
) -> None:
    pipe.set_frame_attention("own")
    captions = [(0, CAPTION), (4, "a woman runs")]
    settings = {"guidance_scale": guidance_scale, "num_inference_steps": 4}
    video = pipe(captions, poses(), adapter_scale=adapter_scale, generator=seeded(), window=4, stride=4, **settings)
    reference = StableDiffusionAdapterPipeline(
        **pipe.components, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    reference.set_progress_bar_config(disable=True)
    noise = noise_of(pipe)
    assert video.frames.shape == (1, T, SIDE, SIDE + 8, 3)
    pictures = [
        reference(
            "a woman runs" if frame >= 4 else CAPTION,
            Image.fromarray(poses()[frame]),
            latents=noise[[frame]],
            adapter_conditioning_scale=adapter_scale,
            output_type="np",
            height=SIDE,
            width=SIDE + 8,
            **settings,
        ).images[0]
        for frame in (0, 2, 4, 6)  # the second window begins with frame 3, and its middle is frame 5
    ]
    np.testing.assert_allclose(video.frames[0][[0, 2, 4, 6]], pictures, atol=2e-4)
    assert np.abs(pictures[0] - pictures[1]).max() > 0.01


def test_windows_that_overlap_agree_on_frames_that_do_not_see_each_other(pipe: AdaptedDiffusionPipeline) -> None:
    pipe.set_frame_attention("own")
    whole, windows = conditions_of(pipe, window=T, stride=T), conditions_of(pipe)
    assert windows.starts == [0, 3]
    level = torch.tensor(700)
    expected = pipe.merged_noise(noise_of(pipe), level, whole)
    torch.testing.assert_close(pipe.merged_noise(noise_of(pipe), level, windows), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["first_and_own", "first_and_former"])
@torch.no_grad()
def test_a_windows_first_frame_sees_itself_and_the_others_see_it(pipe: AdaptedDiffusionPipeline, kind: Any) -> None:
    noisy, text = noise_of(pipe)[None, :3], pipe.encode_text([CAPTION])
    predictions = {}
    for one in ("own", kind):
        pipe.set_frame_attention(one)
        predictions[one] = pipe.predict_noise(noisy, torch.tensor(500), text, None)[0]
    torch.testing.assert_close(predictions[kind][0], predictions["own"][0], atol=1e-5, rtol=1e-5)
    for frame in (1, 2):
        assert (predictions[kind][frame] - predictions["own"][frame]).abs().max() > 1e-3


@torch.no_grad()
def test_branches_of_guidance_and_windows_see_themselves_alone(pipe: AdaptedDiffusionPipeline) -> None:
    noise, level = torch.randn(2, 3, 4, 8, 8, generator=seeded()), torch.tensor([900, 100])
    text = pipe.encode_text(["", CAPTION])
    features = [torch.randn(2, 3, c, s, s, generator=seeded()) for c, s in ((32, 8), (64, 4))]
    together = pipe.predict_noise(noise, level, text, features)
    for window in range(2):
        alone = pipe.predict_noise(noise[[window]], level[window], text[[window]], [f[[window]] for f in features])
        torch.testing.assert_close(together[window], alone[0], atol=1e-5, rtol=1e-5)


def test_guidance_goes_on_from_the_empty_caption_through_the_caption(pipe: AdaptedDiffusionPipeline) -> None:
    level, noise = torch.tensor(500), noise_of(pipe)
    empty = pipe.window_conditions([(0, "")], T, 4, 3, "triangular", None)
    said = pipe.window_conditions(CAPTION, T, 4, 3, "triangular", None)
    plain, guided = (pipe.merged_noise(noise, level, one, guidance_scale=1) for one in (empty, said))
    torch.testing.assert_close(
        pipe.merged_noise(noise, level, said, guidance_scale=3), 3 * guided - 2 * plain, atol=1e-4, rtol=1e-4
    )
    assert (guided - plain).abs().max() > 1e-3


def test_nothing_sees_more_frames_the_longer_the_video_is(
    pipe: AdaptedDiffusionPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapted_diffusion, "FRAMES_AT_ONCE", 2)
    most: dict[str, int] = {}
    seen = {"adapter": pipe.adapter, "unet": pipe.unet, "decoder": pipe.vae.decoder, "encoder": pipe.vae.encoder}
    for name, part in seen.items():
        part.register_forward_pre_hook(
            lambda _, inputs, name=name: most.update({name: max(most.get(name, 0), len(inputs[0]))})
        )
    settings = {"num_inference_steps": 2, "window": 3, "stride": 2, "generator": seeded()}
    one = pipe(CAPTION, poses(), **{**settings, "generator": seeded()}, output_type="pt")
    pipe.encode((one.frames[0].movedim(1, -1).numpy() * 255).astype(np.uint8))
    assert most == {"adapter": 2, "unet": 2 * 3, "decoder": 2, "encoder": 2}
    two = pipe(CAPTION, poses(), **{**settings, "generator": seeded()}, output_type="pt", windows_at_once=2)
    assert most["unet"] == 2 * 2 * 3
    torch.testing.assert_close(one.frames, two.frames, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["ddim", "ddpm"])
def test_sampling_goes_on_from_any_step(pipe: AdaptedDiffusionPipeline, name: Any) -> None:
    pipe.scheduler = make_scheduler(name)
    conditions, settings = conditions_of(pipe), {"num_inference_steps": 5}
    generator = seeded(1)
    whole = pipe.denoise(noise_of(pipe), conditions, generator=generator, **settings)
    generator = seeded(1)
    latents = pipe.denoise(noise_of(pipe), conditions, generator=generator, last_step=2, **settings)
    assert not torch.allclose(latents, whole, atol=0.1)
    torch.testing.assert_close(
        pipe.denoise(latents, conditions, generator=generator, first_step=2, **settings), whole, atol=1e-5, rtol=1e-5
    )
    other = pipe.denoise(noise_of(pipe), conditions, generator=seeded(2), **settings)
    assert torch.equal(other, whole) == (name == "ddim"), "DDPM draws noise in every step"


def test_the_process_is_the_papers(pipe: AdaptedDiffusionPipeline) -> None:
    pipe.scheduler = make_scheduler("ddpm")
    time = pipe.step_time(4, 1000)  # the fifth
    assert time == 0.995
    for name in ("ddim", "ddpm"):
        pipe.scheduler = make_scheduler(name)  # type: ignore[arg-type]
        assert [pipe.step_time(at, 10) for at in (0, 9)] == [0.999, 0.099], "from the last level on"
    kept, lowest, highest = 1.0, math.sqrt(8.5e-4), math.sqrt(1.2e-2)
    for level in range(996):
        kept *= 1 - (lowest + (highest - lowest) * level / 999) ** 2
    assert kept == pytest.approx(0.005, abs=0.0005)
    data, noise, times = torch.ones(1, 1), torch.zeros(1, 1), torch.tensor([time])
    assert pipe.objective.noisy(data, noise, times).item() == pytest.approx(math.sqrt(kept), rel=1e-3)
    assert pipe.objective.noisy(noise, data, times).item() == pytest.approx(math.sqrt(1 - kept), rel=1e-5)
    noisy = pipe.scheduler.add_noise(data, noise + 2, torch.tensor([995]))
    torch.testing.assert_close(noisy, pipe.objective.noisy(data, noise + 2, times))


def test_a_perfect_prediction_leads_ddim_back(pipe: AdaptedDiffusionPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    data, noise = torch.randn(T, 4, 8, 12, generator=seeded(3)), noise_of(pipe)
    monkeypatch.setattr(pipe, "merged_noise", lambda *_: noise)
    conditions = conditions_of(pipe)
    for first in (0, 3, 9):
        time = torch.full((T,), pipe.step_time(first, 10))
        noisy = pipe.objective.noisy(data, noise, time)
        found = pipe.denoise(noisy, conditions, num_inference_steps=10, first_step=first)
        torch.testing.assert_close(found, data, atol=1e-4, rtol=1e-4)


def test_one_background_for_all_frames_stays_one(pipe: AdaptedDiffusionPipeline) -> None:
    pipe.set_frame_attention("own")
    features = pipe.adapter_features(poses(1).repeat(T, 0))
    conditions = pipe.window_conditions(CAPTION, T, 4, 3, "triangular", features)
    steps = {"num_inference_steps": 4}
    latents = pipe.denoise(noise_of(pipe), conditions, last_step=2, **steps)
    clean = pipe.denoise(latents, conditions, first_step=2, **steps)
    everywhere = torch.ones(T, 1, *clean.shape[2:], dtype=torch.bool)
    with torch.no_grad():
        fused = average_fusion(
            latents, clean, everywhere, pipe.objective, pipe.step_time(2, 4), FusionWeights(), 5, True, seeded(5)
        )
    video = pipe.denoise(fused, conditions, first_step=2, **steps)
    torch.testing.assert_close(video, video[:1].expand_as(video), atol=1e-4, rtol=1e-4)
    assert (clean - clean[:1]).abs().max() > 0.1


def test_the_autoencoders_latents_are_scaled_and_its_pictures_whole(pipe: AdaptedDiffusionPipeline) -> None:
    frames = poses(9)
    latents = pipe.encode(frames)
    pixels = torch.from_numpy(frames).movedim(-1, 1) / 127.5 - 1
    with torch.no_grad():
        expected = pipe.vae.encode(pixels).latent_dist.mode() * 0.18215
        torch.testing.assert_close(latents, expected, atol=1e-5, rtol=1e-5)
        decoded = pipe.vae.decode(expected / 0.18215).sample
    assert latents.shape == (9, 4, SIDE // 2, SIDE // 2 + 4)
    torch.testing.assert_close(pipe.decode(latents), (decoded / 2 + 0.5).clamp(0, 1), atol=1e-5, rtol=1e-5)


def test_output_types(pipe: AdaptedDiffusionPipeline) -> None:
    videos = {
        kind: pipe(CAPTION, num_frames=2, generator=seeded(), num_inference_steps=1, output_type=kind).frames
        for kind in ("latent", "np", "pt", "pil")
    }
    assert videos["latent"].shape == (1, 2, 4, 8, 8)
    torch.testing.assert_close(videos["pt"][0], pipe.decode(videos["latent"][0]))
    np.testing.assert_allclose(videos["np"], videos["pt"].movedim(2, -1).numpy())
    assert [len(video) for video in videos["pil"]] == [2]
    np.testing.assert_allclose(np.stack(videos["pil"][0]) / 255, videos["np"][0], atol=0.51 / 255)


def test_the_error_is_that_of_the_network_at_the_noisy_window(pipe: AdaptedDiffusionPipeline) -> None:
    pipe.set_frame_attention("own")
    data, noise, level = torch.randn(3, 4, 8, 12, generator=seeded(1)), noise_of(pipe)[:3], torch.tensor(600)
    text, features = pipe.encode_text([CAPTION]), pipe.adapter_features(poses(3))
    pipe.unet.requires_grad_(True)
    error = noise_error(pipe, data, text, features, level, noise)
    kept = float(torch.prod(1 - pipe.scheduler.betas[:601].double()))
    for frame in range(3):
        noisy = math.sqrt(kept) * data[frame] + math.sqrt(1 - kept) * noise[frame]
        residuals = [scale[[frame]] for scale in features]
        predicted = pipe.unet(noisy[None], level, text, down_intrablock_additional_residuals=residuals).sample[0]
        torch.testing.assert_close(error[frame], noise[frame] - predicted, atol=1e-4, rtol=1e-4)
    error.square().mean().backward()
    assert all(weight.grad is not None for weight in pipe.unet.parameters())
    assert not any(weight.requires_grad for weight in pipe.adapter.parameters())


def test_a_video_is_learned(pipe: AdaptedDiffusionPipeline) -> None:
    torch.manual_seed(0)
    data, text = pipe.encode(poses(3)), pipe.encode_text([CAPTION])
    foreground = torch.zeros(3, 1, *data.shape[2:], dtype=torch.bool)
    foreground[:, :, 2:5, 2:5] = True

    def error(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        level = torch.randint(1000, (), generator=generator)
        noise = torch.randn(data.shape, generator=generator)
        return noise_error(pipe, data, text, None, level, noise), foreground, ~foreground

    curve = tune(error, tuned_parameters(pipe.unet, None), LossWeights(1, 1, 0), steps=20, learning_rate=3e-3)
    first, last = (sum(point["loss"] for point in part) for part in (curve[:5], curve[-5:]))
    assert last < 0.9 * first


def test_a_pipeline_is_saved_and_loaded_whole(pipe: AdaptedDiffusionPipeline, tmp_path: Path) -> None:
    pipe.set_frame_attention("first_and_former")
    pipe.save_pretrained(tmp_path)
    loaded = AdaptedDiffusionPipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    assert loaded.config.frame_attention == "first_and_former"
    settings = {"num_inference_steps": 2, "window": 3, "stride": 2}
    videos = [one(CAPTION, poses(), generator=seeded(), **settings).frames for one in (pipe, loaded)]
    np.testing.assert_allclose(*videos, atol=1e-5)
    pipe.set_frame_attention("own")
    other = pipe(CAPTION, poses(), generator=seeded(), **settings).frames
    assert np.abs(other - videos[0]).max() > 1e-3


def test_an_adapter_of_ink_takes_drawings(pipe: AdaptedDiffusionPipeline, folders: tuple[Path, Path], tmp_path: Path):
    torch.manual_seed(1)
    adapter = tiny_adapter(in_channels=1)
    adapter.save_pretrained(tmp_path)
    drawn = load_adapted_diffusion(folders[0], tmp_path)
    ink = poses()[..., 0]
    with torch.no_grad():
        expected = adapter(torch.from_numpy(ink)[:, None] / 255)
    for found, scale in zip(drawn.adapter_features(ink), expected, strict=True):
        torch.testing.assert_close(found, scale, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match=r"this adapter follows uint8 \(T, H, W\) ink"):
        drawn.adapter_features(poses())
    with pytest.raises(ValueError, match=r"this adapter follows uint8 \(T, H, W, 3\) RGB"):
        pipe.adapter_features(ink)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "neither condition nor num_frames"),
        ({"condition": poses(), "num_frames": 3}, "but the condition has 7 frames"),
        ({"condition": poses()[:, :15]}, "15 px high and 24 wide; both must be multiples of 2"),
        ({"condition": poses() / 255}, "float64"),
        ({"condition": poses(), "captions": " "}, "give words"),
        ({"condition": poses(), "captions": [(1, "a")]}, "let the first begin at 0"),
        ({"condition": poses(), "window": 3, "stride": 4}, "are inconsistent"),
        ({"num_frames": 2, "output_type": "gif"}, "output_type is 'gif'"),
        ({"num_frames": 2, "num_inference_steps": 0}, "num_inference_steps is 0"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    pipe: AdaptedDiffusionPipeline, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        pipe(**{"captions": CAPTION, **arguments})


def test_steps_conditions_and_schedulers_that_do_not_fit_are_refused(pipe: AdaptedDiffusionPipeline) -> None:
    conditions = conditions_of(pipe)
    with pytest.raises(ValueError, match="no steps from 3 to 2 of 4"):
        pipe.denoise(noise_of(pipe), conditions, num_inference_steps=4, first_step=3, last_step=2)
    with pytest.raises(ValueError, match="not of a video of 6 frames"):
        pipe.denoise(noise_of(pipe)[:6], conditions)
    with pytest.raises(ValueError, match="features of 3 frames for a video of 7"):
        pipe.window_conditions(CAPTION, T, 4, 3, "uniform", pipe.adapter_features(poses(3)))
    pipe.scheduler = PNDMScheduler()
    with pytest.raises(ValueError, match="choose one by make_scheduler"):
        pipe.denoise(noise_of(pipe), conditions)
    with pytest.raises(UserError, match="choose ddim or ddpm"):
        make_scheduler("euler")  # type: ignore[arg-type]


def test_the_commands_of_the_documentation_run(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def square(frames: np.ndarray, name: str) -> np.ndarray:
        assert name == "facebook/sam-vit-base"
        masks = np.zeros(frames.shape[:3], bool)
        masks[:, 4:9, 4:9] = True
        return masks

    monkeypatch.setattr(segmenters, "segment", square)
    monkeypatch.chdir(tmp_path)
    write_video("hike.mp4", poses(6)[:, :, :SIDE], fps=8)
    text = (Path(__file__).parents[2] / "docs" / "stable_diffusion.md").read_text()
    changes = {
        '"CompVis/stable-diffusion-v1-4", "models/t2iadapter_openpose_sd14v1"': f'"{folders[0]}", "{folders[1]}"',
        "frames=48, size=512": "frames=6, size=16",
        "(24,": "(4,",
        "window=16, stride=8,": "window=4, stride=2, num_inference_steps=2,",
        "512, 24, 16, 8, 1000, 4": "16, 6, 4, 2, 4, 2",
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
    assert AdaptedDiffusionPipeline.from_pretrained("models/hike_tuned").unet is not None


def broken(kind: str, model: Path, adapter: Path) -> tuple[Path, Path]:
    """Folders of which one has a fault."""
    weights = adapter / "diffusion_pytorch_model.safetensors"
    if kind == "no model":
        return model.parent / "nowhere", adapter
    if kind == "no adapter":
        return model, adapter.parent / "nowhere"
    if kind.startswith("without "):
        shutil.rmtree(model / kind.removeprefix("without "))
    if kind == "cut off":
        weights.write_bytes(weights.read_bytes()[:-100])
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
    for key, value in {"beta_end": 0.02, "prediction_type": "v_prediction"}.items():
        if kind == key:
            path = model / "scheduler" / "scheduler_config.json"
            path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    return model, adapter


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("no model", r"nowhere cannot be loaded as a Stable Diffusion \(there is no such folder\); name a folder or"),
        ("no adapter", r"nowhere cannot be loaded as a T2IAdapter \(there is no such folder\); name a folder or a hub"),
        ("without scheduler", r"model cannot be loaded as a Stable Diffusion \(.*\); name a folder"),
        ("without tokenizer", r"model cannot be loaded as a CLIP tokenizer \(.*\); name a folder"),
        ("without unet", r"model cannot be loaded as the unet of a Stable Diffusion \(.*\); name a folder"),
        ("cut off", r"adapter cannot be loaded as a T2IAdapter \(.*\); name a folder"),
        ("pickled", r"adapter cannot be loaded as a T2IAdapter \(.*safetensors.*\); .*docs/stable_diffusion.md"),
        ("another class", r"vae is no complete T2IAdapter: it lacks adapter\..*; name a folder"),
        ("another adapter", r"adapter belongs to another network than .*model: its features have other sizes"),
        ("another factor", r"adapter belongs to another network than .*model: its features have other sizes"),
        ("another kind of pictures", r"adapter follows pictures of 4 channels, not 1 or 3; name a folder"),
        ("beta_end", r"model was trained with beta_end 0.02, not 0.012; name a folder"),
        ("prediction_type", r"model was trained with prediction_type v_prediction, not epsilon; name a folder"),
    ],
)
def test_what_cannot_be_used_is_one_line(folders: tuple[Path, Path], tmp_path: Path, kind: str, message: str) -> None:
    copies = [Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in folders]
    with pytest.raises(UserError, match=message) as raised:
        load_adapted_diffusion(*broken(kind, *copies))
    assert "\n" not in str(raised.value)

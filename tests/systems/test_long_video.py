from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from sketch2video.networks.flow_matching import interpolate
from sketch2video.networks.temporal_spectrum import still_positions
from sketch2video.params import DiffusionSampling
from sketch2video.systems import LongVideoPipeline, SketchToVideoPipeline
from sketch2video.systems.long_video import fusion
from sketch2video.systems.long_video import window_batches as windows
from sketch2video.systems.long_video.fusion import SeparatedVideo

CAPTIONS = ["a red circle moves left to right", "a blue star grows"]
MERGED = {"fusion_times": ()}
"""Module 4 alone."""


def loaded(folder: Path, **settings: object) -> LongVideoPipeline:
    """Untrained, but with weights away from their initial zeros, so that every condition has influence."""
    pipeline = LongVideoPipeline.from_pretrained(folder, **settings)
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(0)
    for parameter in pipeline.transformer.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return pipeline


@pytest.fixture(scope="module")
def merged(tiny_pipeline_folder: Path) -> LongVideoPipeline:
    return loaded(tiny_pipeline_folder, **MERGED)


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def drawing(frames: int) -> np.ndarray:
    """A bar that moves to the right: uint8 (1, T, 32, 32)."""
    ink = np.zeros((1, frames, 32, 32), np.uint8)
    for t in range(frames):
        ink[0, t, 8:-8, 4 + t % 24] = 255
    return ink


def test_one_window_is_what_the_sketch_system_makes(merged, tiny_pipeline_folder: Path) -> None:
    plain = SketchToVideoPipeline(**{name: getattr(merged, name) for name in merged.components})
    plain.set_progress_bar_config(disable=True)
    asked = {"num_inference_steps": 3, "guidance_scale": 2.0, "output_type": "latent"}
    ours = merged(CAPTIONS, generator=seeded(0, 1), **asked)
    theirs = plain(CAPTIONS, generator=seeded(0, 1), **asked)
    np.testing.assert_array_equal(ours.sketches, theirs.sketches)
    torch.testing.assert_close(ours.frames, theirs.frames, atol=0.05, rtol=0)  # bfloat16 rounds by the size of a batch


def test_windows_that_do_not_overlap_are_painted_apart(tiny_pipeline_folder: Path) -> None:
    pipeline = loaded(tiny_pipeline_folder, window=4, stride=4, **MERGED)
    ink = drawing(8)
    asked = {"num_inference_steps": 2, "guidance_scale": 4.0, "output_type": "latent"}
    whole = pipeline(CAPTIONS[0], sketches=ink, generator=seeded(0), **asked).frames
    noise = torch.randn((1, 8, *pipeline.latent_shape), generator=seeded(0)[0])
    sampling = DiffusionSampling(num_inference_steps=2, guidance_scale=4.0, control_guidance_scale=1.0)
    for part in (slice(4), slice(4, None)):
        windows = pipeline.windows(
            [(0, CAPTIONS[0])], torch.from_numpy(ink[:, part, None] / 255).float(), torch.tensor([8.0])
        )
        alone = pipeline.unnormalised(pipeline.denoise_windows(windows, noise[:, part], sampling, None))
        torch.testing.assert_close(whole[:, part], alone, atol=0.05, rtol=0)


def test_a_caption_is_seen_by_the_windows_that_it_holds_in(tiny_pipeline_folder: Path) -> None:
    pipeline = loaded(tiny_pipeline_folder, window=4, stride=2, **MERGED)
    asked = {"sketches": drawing(16), "num_inference_steps": 1, "output_type": "latent"}
    one = pipeline([[(0, CAPTIONS[0])]], generator=seeded(0), **asked).frames
    two = pipeline([[(0, CAPTIONS[0]), (8, CAPTIONS[1])]], generator=seeded(0), **asked).frames
    differs = (one - two).abs().amax((0, 2, 3, 4)) > 1e-3
    # The first window with the other caption has its middle at 8 and begins at 6; further steps would spread it.
    assert differs.tolist() == [False] * 6 + [True] * 10


def test_the_network_never_sees_more_than_some_windows(merged, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    predict = merged.predict

    def spied(latents: torch.Tensor, *arguments: object) -> torch.Tensor:
        seen.append(latents.shape[:2])
        return predict(latents, *arguments)

    monkeypatch.setattr(merged, "predict", spied)
    monkeypatch.setattr(windows, "WINDOWS_AT_ONCE", 3)
    merged(CAPTIONS[0], sketches=drawing(40), num_inference_steps=1, generator=seeded(0))
    assert {frames for _, frames in seen} == {8}
    assert [windows for windows, _ in seen] == [3, 3, 3]  # 9 windows of 8 frames, 4 from one to the next


def parts(pictures: np.ndarray | None = None) -> SeparatedVideo:
    """A still video with an object on 2 x 2 positions of the latent."""
    foreground = torch.zeros(8, 1, 8, 8, dtype=torch.bool)
    foreground[..., 2:4, 2:4] = True
    mask = foreground[:, 0].repeat_interleave(4, 1).repeat_interleave(4, 2).numpy()
    still = np.tile(np.eye(3), (8, 1, 1))
    return SeparatedVideo(np.zeros((8, 32, 32, 3), np.uint8) if pictures is None else pictures, mask, foreground, still)


@torch.no_grad()
def test_fused_frames_have_one_background_and_keep_their_foreground(tiny_pipeline_folder: Path) -> None:
    pipeline = loaded(tiny_pipeline_folder, fused_frames=4)
    latents, noise = torch.randn(2, 1, 8, *pipeline.latent_shape, generator=seeded(1)[0])
    fused = pipeline.fuse(latents, noise, parts(), 0.7, seeded(0)[0])
    noisy = interpolate(latents, noise, torch.tensor([0.7]))
    inside = parts().foreground[0, 0]
    torch.testing.assert_close(fused[..., inside], noisy[..., inside])
    torch.testing.assert_close(fused[..., ~inside], fused[:, :1][..., ~inside].expand(-1, 8, -1, -1))


@torch.no_grad()
def test_under_a_moving_camera_pictures_are_aligned_and_encoded_again(tiny_pipeline_folder: Path) -> None:
    pipeline = loaded(tiny_pipeline_folder, fused_frames=3)
    ground = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    path = np.tile(np.eye(3), (8, 1, 1))
    path[:, 0, 2] = -4 * np.arange(8)
    moving = parts(np.stack([ground[:, 4 * t : 4 * t + 32] for t in range(8)]))._replace(path=path)
    latents, noise = torch.randn(2, 1, 8, *pipeline.latent_shape, generator=seeded(1)[0])
    fused = pipeline.fuse(latents, noise, moving, 0.0, seeded(0)[0])
    # At time 0 there is no noise: what is fused is the pictures themselves wherever a drawn frame shows the ground.
    encoded = pipeline.normalised(
        pipeline.autoencoder.encode(torch.from_numpy(moving.pictures).movedim(-1, 1) / 127.5 - 1).mean
    )
    changed = (fused - latents).abs().amax((0, 2)) > 1e-3
    assert not changed[moving.foreground[:, 0]].any()
    assert changed.float().mean() > 0.5
    torch.testing.assert_close(fused[0].movedim(1, -1)[changed], encoded.movedim(1, -1)[changed], atol=0.02, rtol=0.02)


@torch.no_grad()
def test_what_the_segmenter_misses_is_not_overwritten_under_a_moving_camera(tiny_pipeline_folder: Path) -> None:
    pipeline = loaded(tiny_pipeline_folder, fused_frames=8)
    path = np.tile(np.eye(3), (8, 1, 1))
    path[:, 0, 2] = -4 * np.arange(8)
    pictures = np.full((8, 32, 32, 3), 120, np.uint8)
    pictures[:, 24:28, 12:20] = 10  # goes with the camera; parts() has its foreground elsewhere
    moving = parts(pictures)._replace(path=path)
    latents, noise = torch.randn(2, 1, 8, *pipeline.latent_shape, generator=seeded(1)[0])
    fused = pipeline.fuse(latents, noise, moving, 0.0, seeded(0)[0])
    changed = (fused - latents).abs().amax((0, 2)) > 1e-3
    assert not changed[:, 6, 3:5].any()
    assert changed[:, :5, 5:].any()


def test_a_latent_pixel_with_any_foreground_is_foreground(
    tiny_pipeline_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = loaded(tiny_pipeline_folder, segmenter="mine")
    pixels = np.zeros((8, 32, 32), bool)
    pixels[3, 8:13, 20] = True
    monkeypatch.setattr(fusion, "segment", lambda frames, name: pixels if name == "mine" else None)
    windows = pipeline.windows(None, torch.zeros(1, 8, 1, 32, 32), torch.tensor([8.0]))
    with torch.no_grad():
        found = pipeline.separate(windows, torch.zeros(1, 8, *pipeline.latent_shape))
    assert found.foreground.nonzero().tolist() == [[3, 0, 2, 5], [3, 0, 3, 5]]
    assert found.pictures.shape == (8, 32, 32, 3)


@pytest.mark.parametrize("sampler", ["euler", "dpm++", "unipc"])
def test_fused_videos_depend_on_their_seed_alone(tiny_pipeline_folder: Path, sampler: str) -> None:
    pipeline = loaded(tiny_pipeline_folder, fusion_times=(0.9,))
    pipeline.set_sampler(sampler)
    asked = {"num_frames": 12, "num_inference_steps": 4}
    together = pipeline(CAPTIONS, generator=seeded(3, 4), **asked).frames
    assert together.shape == (2, 12, 32, 32, 3)
    alone = pipeline(CAPTIONS[1], generator=seeded(4), **asked).frames
    np.testing.assert_allclose(together[1:], alone, atol=1e-5)


def test_backgrounds_are_fused_at_the_step_that_is_asked_for(
    tiny_pipeline_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = loaded(tiny_pipeline_folder, fusion_times=(0.9,))
    times = []

    def noted(latents: torch.Tensor, noise: object, parts: object, time: float, *others: object) -> torch.Tensor:
        times.append(time)
        return latents

    monkeypatch.setattr(pipeline, "fuse", noted)
    pipeline(CAPTIONS[0], num_inference_steps=8, generator=seeded(0))
    sampled = pipeline.scheduler.sigmas[:-1]
    expected = float(sampled[sampled <= 0.9][0])
    assert times == [pytest.approx(expected)]
    times.clear()
    pipeline.register_to_config(fusion_times=[0.9, 0.5, 0.0])
    pipeline(CAPTIONS[0], num_inference_steps=8, generator=seeded(0))
    assert times == [pytest.approx(expected), pytest.approx(float(sampled[sampled <= 0.5][0])), 0.0]


def test_what_is_fused_at_last_has_one_background_to_the_last_bit(
    tiny_pipeline_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.zeros((8, 32, 32), bool)
    pixels[:, 8:16, 8:16] = True
    seen = []
    monkeypatch.setattr(fusion, "segment", lambda frames, name: seen.append(name) or pixels)
    pipeline = loaded(tiny_pipeline_folder, fusion_times=(0.9, 0.0), fused_frames=8)
    ask = partial(pipeline, CAPTIONS[0], num_frames=8, num_inference_steps=4, output_type="latent")
    fused = ask(generator=seeded(0)).frames[0]
    assert len(seen) == 1, "foreground and background are told apart once"
    outside = ~torch.from_numpy(pixels[0, ::4, ::4])
    assert (fused[..., outside] == fused[:1, :, outside]).all()
    pipeline.register_to_config(fusion_times=[0.9])
    once = ask(generator=seeded(0)).frames[0]
    assert (once[..., outside] != once[:1, :, outside]).any()
    torch.testing.assert_close(fused[..., ~outside], once[..., ~outside])
    torch.testing.assert_close(fused[0][..., outside], once[..., outside].mean(0))


def test_settings_are_kept_with_the_pipeline(tiny_pipeline_folder: Path, tmp_path: Path) -> None:
    pipeline = loaded(tiny_pipeline_folder, **MERGED)
    pipeline.register_to_config(stride=3)
    pipeline.save_pretrained(tmp_path)
    again = LongVideoPipeline.from_pretrained(tmp_path)
    assert (again.config.window, again.config.stride, again.config.fusion_times) == (8, 3, [])


def test_what_changes_along_a_video_is_drawn_for_its_whole_length(merged) -> None:
    asked = {"num_frames": 20, "num_inference_steps": 1}
    out = merged([[(0, CAPTIONS[0]), (10, CAPTIONS[1])]], generator=seeded(0), **asked)
    (curves,) = out.curves
    assert len(curves) == 20
    assert curves.num_parameters < 300
    np.testing.assert_array_equal(curves.render(32, 32), out.sketches[0])
    one = merged([CAPTIONS[0]], generator=seeded(0), **asked)
    assert (one.sketches != out.sketches).any()


@pytest.mark.parametrize("firsts", [(1, 8), (0, 0), (0, 20)])
def test_captions_that_do_not_lie_in_the_video_are_refused(merged, firsts: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="first"):
        merged([list(zip(firsts, CAPTIONS, strict=True))], num_frames=20, num_inference_steps=1)


def with_two_spectra(folder: Path, **settings: object) -> LongVideoPipeline:
    pipeline = loaded(folder, **settings)
    fall = torch.arange(8)
    pipeline.transformer.register_to_config(
        temporal_deviations=(3 * torch.exp(-0.3 * fall)).tolist(),
        near_deviations=(4 * torch.exp(-0.2 * fall)).tolist(),
        still_deviations=(2 * torch.exp(-0.6 * fall)).tolist(),
        whitening=0.5,
    )
    return pipeline


def test_all_windows_and_fusions_have_the_mask_of_the_whole_video(
    tiny_pipeline_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = with_two_spectra(tiny_pipeline_folder, window=8, stride=8, fusion_times=(0.5,))
    seen, fused = [], []

    def network(latents: torch.Tensor, *arguments: object, still: torch.Tensor, **others: object) -> torch.Tensor:
        seen.extend(still)
        return 0.1 * latents

    def fuse(latents: torch.Tensor, *arguments: object) -> torch.Tensor:
        fused.append(arguments[-1])
        return latents

    monkeypatch.setattr(pipeline.transformer, "forward", network)
    monkeypatch.setattr(pipeline, "fuse", fuse)
    ink = drawing(16)
    pipeline(CAPTIONS[0], sketches=ink, num_inference_steps=4, generator=seeded(0), output_type="latent")
    pictures = torch.from_numpy(ink[:, :, None] / 255)
    whole = still_positions(pictures, 4)
    assert len(seen) >= 8
    assert all(torch.equal(mask, whole[0]) for mask in seen)
    assert torch.equal(fused[0], whole)
    assert any((still_positions(pictures[:, part], 4) != whole).any() for part in (slice(8), slice(8, None)))


@torch.no_grad()
def test_fused_noise_has_the_spectra_of_the_mask(tiny_pipeline_folder: Path) -> None:
    pipeline = with_two_spectra(tiny_pipeline_folder, fused_frames=4)
    latents, noise = torch.randn(2, 1, 8, *pipeline.latent_shape, generator=seeded(1)[0])
    still = torch.rand((1, 1, 8, 8), generator=seeded(2)[0]) < 0.5
    fused = pipeline.fuse(latents, noise, parts(), 0.7, seeded(0)[0], still)
    coloured = pipeline.transformer.spectrum.filter(8, still=still).colour(noise)
    inside = parts().foreground[0, 0]
    assert still[0, 0][inside].float().mean() not in (0, 1)
    expected = interpolate(latents, coloured, torch.tensor([0.7]))
    torch.testing.assert_close(fused[..., inside], expected[..., inside])

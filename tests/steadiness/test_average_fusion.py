import math
from typing import Any

import pytest
import torch
from torch import Tensor

from sketch2video.diffusion.objectives import find_objective
from sketch2video.steadiness.average_fusion import FusionWeights, average_fusion, fused_background, sampled_frames
from sketch2video.steadiness.masked_losses import masked_loss

TIME = 0.9
OBJECTIVES = pytest.mark.parametrize("objective", ["flow", "v_prediction", "epsilon"])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def signal_and_noise(objective: str, time: float = TIME) -> tuple[float, float]:
    """Their amplitudes at a time, by the formulas: straight lines, or the cumulative product of 1 - beta."""
    if objective == "flow":
        return 1 - time, time
    kept = 1.0
    for beta in find_objective(objective, 1.0).process.betas[: round(1000 * time) + 1].tolist():
        kept *= 1 - beta
    return math.sqrt(kept), math.sqrt(1 - kept)


def scene(frames: int = 6, side: int = 8, channels: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """A square of 2 x 2 crosses a still background: clean video, background (C, H, W) and its masks."""
    background = torch.randn(channels, side, side, generator=seeded(1))
    masks = torch.ones(frames, 1, side, side, dtype=torch.bool)
    for frame in range(frames):
        masks[frame, :, 3:5, frame : frame + 2] = False
    return torch.where(masks, background, 5.0), background, masks


def fused(objective: str, clean: Tensor, masks: Tensor, **changes: Any) -> tuple[Tensor, Tensor]:
    """The video at step k before and after."""
    process, times = find_objective(objective, 1.0), torch.full((len(clean),), TIME)
    latents = process.noisy(clean.float(), torch.randn(clean.shape, generator=seeded(2)), times).to(clean.dtype)
    settings = {
        "objective": process,
        "time": TIME,
        "weights": FusionWeights(),
        "count": 5,
        "shared_noise": True,
        "generator": seeded(3),
    }
    return latents, average_fusion(latents, clean, masks, **{**settings, **changes})


def test_the_mean_is_over_frames_that_show_background() -> None:
    frames, masks = torch.randn(4, 2, 3, 5, generator=seeded()), torch.rand(4, 1, 3, 5, generator=seeded(1)) < 0.4
    mean, seen = fused_background(frames, masks)
    counts = set()
    for row in range(3):
        for column in range(5):
            shown = [frames[i, :, row, column] for i in range(4) if masks[i, 0, row, column]]
            counts.add(len(shown))
            expected = sum(shown, torch.zeros(2)) / max(1, len(shown))
            torch.testing.assert_close(mean[:, row, column], expected)
            assert bool(seen[0, row, column]) == bool(shown)
    assert {0, 1, 2} <= counts, "the masks try it"


def test_shares_of_background_are_weights() -> None:
    frames = torch.tensor([1.0, 5.0]).view(2, 1, 1, 1)
    mean, seen = fused_background(frames, torch.tensor([0.75, 0.25]).view(2, 1, 1, 1))
    assert mean.item() == pytest.approx(2)
    assert seen.item()


def test_frames_are_drawn_evenly_and_none_twice() -> None:
    generator, counts = seeded(), torch.zeros(10)
    for _ in range(1000):
        frames = sampled_frames(10, 4, generator)
        assert frames.tolist() == sorted(set(frames.tolist()))
        counts[frames] += 1
    assert counts.sum() == 4000
    assert 340 < counts.min() <= counts.max() < 460  # 400 on average, with a deviation of 15
    assert sampled_frames(3, 5, generator).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="both are at least 1"):
        sampled_frames(3, 0, generator)


@OBJECTIVES
def test_a_still_background_comes_out_equal_in_all_frames(objective: str) -> None:
    clean, background, masks = scene()
    _, video = fused(objective, clean, masks)
    signal, strength = signal_and_noise(objective)
    noise = None
    for frame in range(len(video)):
        for other in range(frame):
            both = (masks[frame] & masks[other]).expand(3, -1, -1)
            assert torch.equal(video[frame][both], video[other][both])
        shown = masks[frame].expand(3, -1, -1)
        here = torch.where(shown, (video[frame] - signal * background) / strength, torch.nan)
        noise = here if noise is None else torch.where(noise.isnan(), here, noise)
    assert noise is not None
    assert not noise.isnan().any()
    assert noise.std().item() == pytest.approx(1, abs=0.25), "of 192 numbers"


@OBJECTIVES
@pytest.mark.parametrize("shared_noise", [True, False])
def test_noise_is_that_of_the_step(objective: str, shared_noise: bool) -> None:
    background = torch.full((4, 64, 64), 0.8)
    clean, masks = background.expand(6, -1, -1, -1), torch.ones(6, 1, 64, 64, dtype=torch.bool)
    latents, video = fused(objective, clean, masks, shared_noise=shared_noise)
    signal, strength = signal_and_noise(objective)
    noise = (video - signal * background) / strength
    tolerance = 5 / math.sqrt(4 * 64 * 64)
    for frame in noise:
        assert frame.mean().item() == pytest.approx(0, abs=tolerance)
        assert frame.std().item() == pytest.approx(1, abs=tolerance)
    alike = torch.corrcoef(noise.flatten(1))[0, 1:]
    torch.testing.assert_close(alike, torch.full((5,), float(shared_noise)), atol=tolerance, rtol=0)
    naive = (latents[:5].mean(0) - signal * background) / strength
    assert float(naive.std()) == pytest.approx(0.45, abs=0.02), "what equation (11) as printed leaves"


@OBJECTIVES
@pytest.mark.parametrize("shared_noise", [True, False])
def test_the_foreground_stays(objective: str, shared_noise: bool) -> None:
    clean, _, masks = scene()
    latents, video = fused(objective, clean, masks, shared_noise=shared_noise)
    kept = ~masks.expand_as(video)
    assert torch.equal(video[kept], latents[kept])
    assert not (video[~kept] == latents[~kept]).any()


def test_background_that_no_drawn_frame_shows_stays() -> None:
    clean, _, masks = scene()
    drawn = sampled_frames(6, 2, seeded(3))
    masks[drawn, :, :2] = False
    latents, video = fused("flow", clean, masks, count=2)
    assert torch.equal(video[:, :, :2], latents[:, :, :2])
    others = [frame for frame in range(6) if frame not in drawn.tolist()]
    assert masks[others, :, :2].all(), "they do show background there"
    assert not torch.equal(video[others, :, 5:], latents[others, :, 5:])


def test_the_background_is_the_mean_of_the_drawn_frames() -> None:
    clean = torch.randn(6, 3, 8, 8, generator=seeded(1))
    masks = torch.rand(6, 1, 8, 8, generator=seeded(4)) < 0.7
    _, video = fused("flow", clean, masks, count=3)
    generator = seeded(3)
    drawn = sampled_frames(6, 3, generator).tolist()
    noise = torch.randn(1, 3, 8, 8, generator=generator)[0]
    for row in range(8):
        for column in range(8):
            shown = [clean[i, :, row, column] for i in drawn if masks[i, 0, row, column]]
            for frame in range(6):
                if shown and masks[frame, 0, row, column]:
                    mean = torch.stack(shown).mean(0)
                    expected = (1 - TIME) * mean + TIME * noise[:, row, column]
                    torch.testing.assert_close(video[frame, :, row, column], expected)


def test_a_seed_repeats_the_fusion() -> None:
    clean, _, masks = scene()
    first, second, other = (fused("flow", clean, masks, generator=seeded(seed))[1] for seed in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_the_dtype_of_the_latents_is_kept() -> None:
    clean, _, masks = scene()
    _, video = fused("epsilon", clean.to(torch.bfloat16), masks)
    assert video.dtype == torch.bfloat16
    torch.testing.assert_close(video.float(), fused("epsilon", clean, masks)[1], atol=0.05, rtol=0.02)


def test_weights_scale_foreground_and_background() -> None:
    clean, _, masks = scene()
    _, plain = fused("flow", clean, masks)
    weights = FusionWeights()
    with torch.no_grad():
        weights.background.fill_(0.5)
        weights.foreground.fill_(2.0)
    _, video = fused("flow", clean, masks, weights=weights)
    torch.testing.assert_close(video, torch.where(masks, 0.5 * plain, 2 * plain))


@OBJECTIVES
def test_masked_losses_reach_the_weights(objective: str) -> None:
    clean, _, masks = scene()
    weights = FusionWeights()
    _, video = fused(objective, clean, masks, weights=weights)
    target = torch.randn(clean.shape, generator=seeded(5))
    named = {"background": (masks, weights.background), "foreground": (~masks, weights.foreground)}
    for name, (mask, weight) in named.items():
        gradients = torch.autograd.grad(
            masked_loss(video - target, mask), list(weights.parameters()), retain_graph=True, allow_unused=True
        )
        expected = 2 * (mask * (video - target) * video / weight).mean().item()
        for parameter, gradient in zip(weights.parameters(), gradients, strict=True):
            if parameter is weight:
                assert float(gradient) == pytest.approx(expected, rel=1e-4), name
                assert abs(float(gradient)) > 1e-3, name
            else:
                assert float(gradient) == 0, name


def test_what_does_not_belong_together_is_refused() -> None:
    clean, _, masks = scene()
    with pytest.raises(ValueError, match="do not belong together"):
        fused("flow", clean, masks[:, :, :4])
    with pytest.raises(ValueError, match="compare them"):
        fused("flow", clean, masks.float())
    with pytest.raises(ValueError, match="both are at least 1"):
        fused("flow", clean, masks, count=0)

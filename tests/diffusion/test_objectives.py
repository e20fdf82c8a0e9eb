import math

import numpy as np
import pytest
import torch

from sketch2video.diffusion.objectives import LEVELS, find_objective, shifted_betas


def kept(shift: float) -> np.ndarray:
    """The signal's share of the variance at every level, from the papers' formulas."""
    f = np.cos((np.arange(LEVELS + 1) / LEVELS + 0.008) / 1.008 * math.pi / 2) ** 2  # Nichol & Dhariwal 2021, eq. 17
    usual = np.cumprod(1 - np.minimum(1 - f[1:] / f[:-1], 0.999))
    signal_to_noise = usual / (1 - usual) / shift**2
    return signal_to_noise / (1 + signal_to_noise)


@pytest.mark.parametrize("shift", [1.0, 4.0])
def test_the_noise_is_shifted_times_as_strong(shift: float) -> None:
    betas = np.array(shifted_betas(shift))
    found = np.cumprod(1 - betas)
    np.testing.assert_allclose(found, 0.0004 + 0.9996 * kept(shift), rtol=1e-3)
    assert found[-1] ** 0.5 == pytest.approx(0.02, rel=1e-3), "some signal is left to divide by"
    assert 0 < betas.min() < betas.max() < 1


@pytest.mark.parametrize("objective", ["flow", "v_prediction", "epsilon"])
def test_clips_are_mixed_and_predictions_asked_for_as_the_papers_say(objective: str) -> None:
    generator = torch.Generator().manual_seed(0)
    data, noise = (torch.randn(4, 2, 3, generator=generator) for _ in "ab")
    time = torch.tensor([0.02, 0.3, 0.5, 0.9])
    learned = find_objective(objective, 4.0)
    if objective == "flow":
        a, s = 1 - time, time
    else:
        share = torch.tensor(0.0004 + 0.9996 * kept(4.0)[[20, 300, 500, 900]], dtype=torch.float32)
        a, s = share.sqrt(), (1 - share).sqrt()
    a, s = a[:, None, None], s[:, None, None]
    target = {"flow": noise - data, "v_prediction": a * noise - s * data, "epsilon": noise}[objective]
    mixed = learned.noisy(data, noise, time)
    torch.testing.assert_close(mixed, a * data + s * noise, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(learned.target(data, noise, time), target, rtol=1e-3, atol=1e-3)
    for found, true in zip(learned.estimates(target, mixed, time), (data, noise), strict=True):
        torch.testing.assert_close(found, true, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("objective", ["v_prediction", "epsilon"])
def test_every_level_of_a_diffusion_is_learned_as_often(objective: str) -> None:
    times = find_objective(objective, 4.0).times(100_000, torch.Generator().manual_seed(0))
    levels = (times * LEVELS).round().long()
    torch.testing.assert_close(levels / LEVELS, times)
    counts = torch.bincount(levels, minlength=LEVELS)
    assert len(counts) == LEVELS
    assert 40 < counts.min() <= counts.max() < 160  # 100 on average, with a deviation of 10


@pytest.mark.parametrize(
    ("objective", "expected"), [("flow", [1, 12 / 13, 4 / 5, 4 / 7]), ("epsilon", [999, 749, 499])]
)
def test_sampling_goes_evenly_from_noise(objective: str, expected: list[float]) -> None:
    times = find_objective(objective, 4.0).sampling_times(4)
    scale = 1 if objective == "flow" else LEVELS
    assert [time * scale for time in times][: len(expected)] == pytest.approx(expected)
    assert len(times) == 4


@pytest.mark.parametrize("objective", ["flow", "v_prediction", "epsilon"])
def test_going_from_estimate_to_estimate_leads_to_the_data(objective: str) -> None:
    learned, data = find_objective(objective, 4.0), torch.full((1, 5), 0.7)
    mixed = torch.randn(1, 5, generator=torch.Generator().manual_seed(0))
    times = [torch.full((1,), time) for time in learned.sampling_times(6)]
    for time, following in zip(times, [*times[1:], None], strict=True):
        # What a network says that knows there is nothing else than these data
        pure = learned.noisy(torch.zeros_like(data), torch.ones_like(data), time)
        noise = (mixed - learned.noisy(data, torch.zeros_like(data), time)) / pure
        found, noise = learned.estimates(learned.target(data, noise, time), mixed, time)
        mixed = found if following is None else learned.noisy(found, noise, following)
    torch.testing.assert_close(mixed, data, atol=1e-3, rtol=1e-3)

import math

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from sketch2video.networks.flow_matching import (
    guided_prediction,
    interpolate,
    logit_normal_times,
    sampling_times,
    shifted,
)
from sketch2video.params import Guidance


class Counting(torch.nn.Module):
    """Velocities that tell which conditions were given: 1 alone, + 10 with pictures, + 100 with text."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, latents, time, control, text, text_mask, fps, still):
        self.calls += 1
        return torch.full_like(latents, 1.0 + 10.0 * (control is not None) + 100.0 * (text is not None))


def guided(text_scale: float, control_scale: float, *, control: bool = True, text: bool = True) -> tuple[float, int]:
    network, some = Counting(), torch.zeros(1, 1)
    conditions = (some if control else None, some if text else None, None, None)
    guidance = Guidance(guidance_scale=text_scale, control_guidance_scale=control_scale)
    out = guided_prediction(network, torch.zeros(1, 1, 1, 1, 1), torch.ones(1), *conditions, guidance)
    return float(out), network.calls


@pytest.mark.parametrize(("text_scale", "control_scale", "passes"), [(1, 1, 1), (4, 1, 2), (2, 2, 2), (3, 0.5, 3)])
def test_guidance_is_composed_as_in_instruct_pix2pix(text_scale: float, control_scale: float, passes: int) -> None:
    # without anything 1, with pictures 11, with both 111
    expected = 1 + control_scale * (11 - 1) + text_scale * (111 - 11)
    assert guided(text_scale, control_scale) == (pytest.approx(expected), passes)


def test_a_condition_that_is_not_there_is_not_guided() -> None:
    assert guided(4, 3, control=False) == (pytest.approx(1 + 4 * 100), 2)
    assert guided(4, 3, text=False) == (pytest.approx(1 + 3 * 10), 2)
    assert guided(4, 3, control=False, text=False) == (1.0, 1)


def test_a_scale_of_zero_leaves_the_pictures_out() -> None:
    assert guided(4, 0) == (pytest.approx(1 + 4 * 100), 2)
    assert guided(1, 0) == (pytest.approx(1 + 100), 1)
    assert guided(4, 0, text=False) == (1.0, 1)


def test_the_line_goes_from_data_to_noise() -> None:
    data, noise = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    torch.testing.assert_close(interpolate(data, noise, torch.tensor([0.0, 1.0])), torch.stack([data[0], noise[1]]))
    slope = (interpolate(data, noise, torch.full((2,), 0.7)) - interpolate(data, noise, torch.full((2,), 0.6))) / 0.1
    torch.testing.assert_close(slope, noise - data, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shift", [1.0, 4.0])
def test_times_have_a_normal_logit(shift: float) -> None:
    logits = torch.logit(logit_normal_times(20_000, torch.Generator().manual_seed(0), shift).double())
    assert logits.mean() == pytest.approx(math.log(shift), abs=0.03)  # the shift is a shift of the logit
    assert logits.std() == pytest.approx(1.0, abs=0.03)


def test_the_scheduler_shifts_as_training_does() -> None:
    scheduler = FlowMatchEulerDiscreteScheduler(shift=4.0)
    scheduler.set_timesteps(sigmas=sampling_times(10))
    expected = shifted(torch.tensor([*sampling_times(10), 0.0]), 4.0)
    torch.testing.assert_close(scheduler.sigmas, expected)


@pytest.mark.parametrize(("steps", "shift"), [(1, 1.0), (7, 1.0), (7, 4.0)])
def test_the_schedulers_euler_steps_end_at_the_data(steps: int, shift: float) -> None:
    scheduler, data, noise = FlowMatchEulerDiscreteScheduler(shift=shift), torch.randn(4), torch.randn(4)
    scheduler.set_timesteps(sigmas=sampling_times(steps))
    x = noise
    for timestep in scheduler.timesteps:
        torch.testing.assert_close(x, interpolate(data[None], noise[None], timestep[None] / 1000)[0])
        x = scheduler.step(noise - data, timestep, x, return_dict=False)[0]
    torch.testing.assert_close(x, data)

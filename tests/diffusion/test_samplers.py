"""Samplers against what is known: of normally distributed data the best prediction has a closed form."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
)
from scipy.fft import dct
from torch import Tensor

from sketch2video.diffusion.objectives import shifted_betas
from sketch2video.diffusion.samplers import begin, first_index, make_scheduler, sample
from sketch2video.errors import UserError
from sketch2video.networks.flow_matching import guided_prediction
from sketch2video.networks.precision import precision
from sketch2video.networks.temporal_spectrum import TemporalSpectrum
from sketch2video.params import SAMPLERS, DiffusionSampling, Guidance
from sketch2video.systems import SketchToVideoPipeline

SHIFT, MEAN, SPREAD = 4.0, 0.5, 0.8
PAIRS = [(objective, sampler) for objective, samplers in SAMPLERS.items() for sampler in samplers]
SECOND_ORDER = [pair for pair in PAIRS if pair[1] in ("heun", "dpm++", "unipc")]


@pytest.fixture(scope="module")
def loaded(tiny_pipeline_folder: Path) -> SketchToVideoPipeline:
    pipeline = SketchToVideoPipeline.from_pretrained(tiny_pipeline_folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture
def pipeline(loaded: SketchToVideoPipeline) -> SketchToVideoPipeline:
    loaded.transformer.register_to_config(objective="flow", time_shift=1.0)
    loaded.scheduler = FlowMatchEulerDiscreteScheduler()
    return loaded


def mixture(objective: str, time: Tensor) -> tuple[Tensor, Tensor]:
    """The shares of data and noise at a time."""
    if objective == "flow":
        return 1 - time, time
    kept = (1 - torch.tensor(shifted_betas(SHIFT), dtype=torch.float64)).cumprod(0).float()
    here = kept[(time * 1000).round().long()]
    return here.sqrt(), (1 - here).sqrt()


class Knowing:
    """What a network predicts that knows the data: every number is normal with this mean and spread."""

    def __init__(self, objective: str, spread: float) -> None:
        self.objective, self.variance, self.times = objective, spread**2, list[float]()

    def __call__(self, latents: Tensor, time: Tensor, **conditions: object) -> Tensor:
        self.times.append(float(time[0]))
        a, s = (share.view(-1, 1, 1, 1, 1) for share in mixture(self.objective, time))
        known = (latents - a * MEAN) / (a**2 * self.variance + s**2)
        data, noise = MEAN + a * self.variance * known, s * known
        return {"flow": noise - data, "v_prediction": a * noise - s * data, "epsilon": noise}[self.objective]


def know(pipeline, monkeypatch, objective: str, spread: float = SPREAD) -> Knowing:
    network = Knowing(objective, spread)
    monkeypatch.setattr(pipeline.transformer, "forward", network)
    pipeline.transformer.register_to_config(objective=objective, time_shift=SHIFT)
    return network


def seeded(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


@torch.no_grad()
def sampled(pipeline, steps: int, count: int = 4) -> Tensor:
    sampling = DiffusionSampling(num_inference_steps=steps, guidance_scale=1.0, control_guidance_scale=1.0)
    return pipeline.denoise(None, None, 8, torch.full((count,), 8.0), sampling, seeded(count))


def exact(objective: str, count: int = 4) -> Tensor:
    """Where the flow of probability leads the noise that the pipeline starts from."""
    noise = torch.cat([torch.randn(1, 8, 4, 8, 8, generator=generator) for generator in seeded(count)])
    a, s = mixture(objective, torch.tensor(1.0 if objective == "flow" else 0.999))
    return MEAN + SPREAD * (noise - a * MEAN) / (a**2 * SPREAD**2 + s**2).sqrt()


def error(pipeline, objective: str, sampler: str, steps: int) -> float:
    pipeline.set_sampler(sampler)
    videos, truth = sampled(pipeline, steps), exact(objective)
    if sampler == "ddpm":  # the noise that it adds leads elsewhere, to the same distribution
        return float((videos.mean() - truth.mean()).abs() + (videos.std() - truth.std()).abs())
    return float((videos - truth).square().mean().sqrt())


@pytest.mark.parametrize(("asked", "index"), [(2000.0, 0), (750.0, 2), (700.0, 4), (300.0, 6), (0.0, 7)])
def test_heun_begins_with_the_first_pass_of_a_step(asked: float, index: int) -> None:
    scheduler = make_scheduler("heun", "flow", 1.0)
    timesteps = torch.tensor([1000.0, 750, 750, 500, 500, 250, 250])
    assert first_index(scheduler, timesteps, asked) == index


@pytest.mark.parametrize(("objective", "sampler"), PAIRS)
def test_samples_are_distributed_as_the_data(pipeline, monkeypatch, objective: str, sampler: str) -> None:
    know(pipeline, monkeypatch, objective)
    pipeline.set_sampler(sampler)
    videos = sampled(pipeline, 200, count=8)
    assert videos.mean() == pytest.approx(MEAN, abs=0.03)
    # The noise that DDPM adds is the least that its step allows, a little too small.
    assert videos.std() == pytest.approx(SPREAD, rel=0.05 if sampler == "ddpm" else 0.03)


@pytest.mark.parametrize(("objective", "sampler"), PAIRS)
@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@torch.no_grad()
def test_coloured_noise_is_left_at_no_frequency(objective: str, sampler: str, begun: bool, masked: bool) -> None:
    steep, near, far = (tuple(3.0 * np.exp(-fall * np.arange(8))) for fall in (0.5, 0.3, 0.8))
    still = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(1)) < 0.5 if masked else None
    time_filter = TemporalSpectrum(steep, 0.7, near, far).filter(8, still=still)
    scheduler, network, steps = make_scheduler(sampler, objective, SHIFT), Knowing(objective, SPREAD), 200

    def predict(mixed: Tensor, time: Tensor) -> Tensor:
        return time_filter.colour(network(time_filter.whiten(mixed), time[None]))

    data, noise = torch.randn(2, 8, 8, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    first = 0
    if begun:
        timesteps = begin(scheduler, steps, torch.device("cpu"))
        first = first_index(scheduler, timesteps, float(timesteps[len(timesteps) // 2]))
        a, s = mixture(objective, timesteps[first] / 1000)
        noise = time_filter.colour(a * (MEAN + SPREAD * data) + s * noise)
    videos = sample(
        scheduler, predict, noise, steps, torch.Generator().manual_seed(0), begun=first, time_filter=time_filter
    )
    found = dct((time_filter.whiten(videos) - MEAN).numpy(), axis=1, norm="ortho")
    np.testing.assert_allclose(found.std((0, 2, 3, 4)), SPREAD, rtol=0.1)
    if still is not None:
        for kind in (still, ~still):
            of_kind = found.transpose(1, 2, 0, 3, 4)[..., kind[:, 0].numpy()]
            np.testing.assert_allclose(of_kind.std((1, 2)), SPREAD, rtol=0.1)


@pytest.mark.parametrize(("objective", "sampler"), PAIRS)
@torch.no_grad()
def test_sampling_that_begins_at_a_later_step_ends_as_the_data(objective: str, sampler: str) -> None:
    scheduler, network, steps = make_scheduler(sampler, objective, SHIFT), Knowing(objective, SPREAD), 200
    timesteps = begin(scheduler, steps, torch.device("cpu"))
    begun = first_index(scheduler, timesteps, float(timesteps[len(timesteps) // 2]))
    time = timesteps[begun] / 1000
    a, s = mixture(objective, time)
    data, noise = torch.randn(2, 8, 8, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    mixed = a * (MEAN + SPREAD * data) + s * noise
    found = sample(scheduler, lambda x, t: network(x, t[None]), mixed, steps, torch.Generator(), begun=begun)
    assert len(network.times) == len(timesteps) - begun
    assert network.times[0] == pytest.approx(float(time))
    assert found.mean() == pytest.approx(MEAN, abs=0.03)
    assert found.std() == pytest.approx(SPREAD, rel=0.06)


@pytest.mark.parametrize(("objective", "sampler"), PAIRS)
def test_more_steps_err_less(pipeline, monkeypatch, objective: str, sampler: str) -> None:
    know(pipeline, monkeypatch, objective)
    errors = [error(pipeline, objective, sampler, steps) for steps in (2, 6, 18, 54)]
    assert all(later < 0.7 * before for before, later in itertools.pairwise(errors)), errors


@pytest.mark.parametrize(("objective", "sampler"), SECOND_ORDER)
def test_the_second_order_errs_less_in_few_steps(pipeline, monkeypatch, objective: str, sampler: str) -> None:
    know(pipeline, monkeypatch, objective)
    for steps, share in ((8, 1.0), (16, 0.75)):
        first = error(pipeline, objective, SAMPLERS[objective][0], steps)
        assert error(pipeline, objective, sampler, steps) < share * first


@pytest.mark.parametrize(("objective", "sampler"), PAIRS)
@pytest.mark.parametrize("steps", [1, 6, 7, 61])
def test_no_noise_is_left_whatever_the_number_of_steps(
    pipeline, monkeypatch, objective: str, sampler: str, steps: int
) -> None:
    know(pipeline, monkeypatch, objective, spread=0.0)
    pipeline.set_sampler(sampler)
    torch.testing.assert_close(sampled(pipeline, steps), torch.full((4, 8, 4, 8, 8), MEAN), atol=2e-3, rtol=0)


@pytest.mark.parametrize("sampler", SAMPLERS["flow"])
def test_the_network_is_told_the_time_of_the_step(pipeline, monkeypatch, sampler: str) -> None:
    network = know(pipeline, monkeypatch, "flow")
    pipeline.set_sampler(sampler)
    sampled(pipeline, 400, count=1)
    times = list(dict.fromkeys(network.times))
    assert len(times) == 400, "each step has its own"
    torch.testing.assert_close(torch.tensor(times), pipeline.scheduler.sigmas.unique().flip(0)[:-1])
    assert times[0] == pytest.approx(1, abs=1e-3)


def test_euler_takes_the_same_steps_as_ever(tiny_pipeline_folder: Path) -> None:
    pipeline = SketchToVideoPipeline.from_pretrained(tiny_pipeline_folder)
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(0)
    for parameter in pipeline.transformer.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    pipeline.transformer.register_to_config(time_shift=SHIFT)
    pipeline.set_sampler("euler")
    found = sampled(pipeline, 5, count=2)

    latents = torch.cat([torch.randn(1, 8, 4, 8, 8, generator=generator) for generator in seeded(2)])
    scheduler = FlowMatchEulerDiscreteScheduler(shift=SHIFT)
    scheduler.set_timesteps(sigmas=[1.0, 0.8, 0.6, 0.4, 0.2])
    fps = torch.full((2,), 8.0)
    guidance = Guidance(guidance_scale=1.0, control_guidance_scale=1.0)
    for timestep in scheduler.timesteps:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision() == "bf16"):
            time = (timestep / 1000).expand(2)
            velocity = guided_prediction(pipeline.transformer, latents, time, None, None, None, fps, guidance)
        latents = scheduler.step(velocity, timestep, latents, return_dict=False)[0]
    assert torch.equal(found, latents)


def test_added_noise_belongs_to_its_video(pipeline, monkeypatch) -> None:
    know(pipeline, monkeypatch, "v_prediction")
    pipeline.set_sampler("ddpm")
    together, alone = sampled(pipeline, 5, count=3), sampled(pipeline, 5, count=1)
    torch.testing.assert_close(together[:1], alone)
    assert (together[0] - together[1]).abs().mean() > 0.2
    pipeline.set_sampler("ddim")
    assert (sampled(pipeline, 5, count=1) - alone).abs().mean() > 0.1


@pytest.mark.parametrize(
    ("objective", "sampler", "choice"), [("flow", "ddim", "euler, heun"), ("epsilon", "euler", "ddim, ddpm")]
)
def test_an_impossible_pair_is_named_with_what_is_possible(objective: str, sampler: str, choice: str) -> None:
    with pytest.raises(UserError, match=rf"{sampler} .*{objective}; choose {choice}, dpm\+\+ or unipc"):
        make_scheduler(sampler, objective, 1.0)


def test_diffusers_users_exchange_the_scheduler(pipeline, monkeypatch) -> None:
    know(pipeline, monkeypatch, "flow")
    pipeline.set_sampler("heun")
    expected = sampled(pipeline, 6)
    pipeline.set_sampler("euler")
    pipeline.scheduler = FlowMatchHeunDiscreteScheduler.from_config(pipeline.scheduler.config)
    torch.testing.assert_close(sampled(pipeline, 6), expected)

    know(pipeline, monkeypatch, "epsilon")
    pipeline.set_sampler("dpm++")
    expected = sampled(pipeline, 6)
    pipeline.set_sampler("ddim")
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
    torch.testing.assert_close(sampled(pipeline, 6), expected)
    # One that measures noise in other units
    pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    assert (sampled(pipeline, 100) - exact("epsilon")).square().mean().sqrt() < 0.05


def test_a_scheduler_for_other_predictions_is_refused_with_the_fix(pipeline, monkeypatch) -> None:
    know(pipeline, monkeypatch, "flow")
    pipeline.set_sampler("euler")
    config = pipeline.scheduler.config
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(config)
    with pytest.raises(
        ValueError, match=r"samples epsilon, but .* flow.*use_flow_sigmas=True, flow_shift=4\.0"
    ) as refused:
        sampled(pipeline, 6)
    settings = str(refused.value).partition("scheduler.config, ")[2].partition(")")[0]
    chosen = eval(f"dict({settings})")
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(config, **chosen)
    fixed = sampled(pipeline, 6)
    pipeline.set_sampler("dpm++")
    torch.testing.assert_close(fixed, sampled(pipeline, 6))
    pipeline.scheduler = DDIMScheduler()
    with pytest.raises(ValueError, match=r"samples epsilon, but .* flow"):
        sampled(pipeline, 6)


def test_the_chosen_sampler_is_saved(pipeline, tmp_path: Path) -> None:
    pipeline.set_sampler("unipc")
    pipeline.save_pretrained(tmp_path)
    loaded = SketchToVideoPipeline.from_pretrained(tmp_path)
    assert type(loaded.scheduler) is type(pipeline.scheduler)
    assert (
        begin(loaded.scheduler, 4, torch.device("cpu")).tolist()
        == begin(pipeline.scheduler, 4, torch.device("cpu")).tolist()
    )
    assert math.isfinite(float(loaded.scheduler.timesteps[0]))

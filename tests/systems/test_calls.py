"""What calls of all systems have in common with those of diffusers' own pipelines."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.callbacks import PipelineCallback
from pydantic import Field

from sketch2video.errors import UserError
from sketch2video.params import SAMPLERS, CallParams, DiffusionSampling, Objective, load_params
from sketch2video.params.sampling import DEFAULTS
from sketch2video.systems.loading import load_pipeline
from sketch2video.systems.sketch_ldm.pipeline import SketchToVideoPipeline
from tests.systems.every_system import CAPTION, DENOISING, FRAMES, MAKERS, STEPS, asked, latents_of, made


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {name: made(name, tmp_path_factory.mktemp(name)) for name in MAKERS}


@pytest.fixture(params=MAKERS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=DENOISING)
def denoising(request: pytest.FixtureRequest) -> str:
    return request.param


def noise_of(pipe: Any, name: str) -> torch.Tensor:
    """The first noise that a fresh generator gives."""
    generator = asked(name)["generator"]
    return torch.randn(1, FRAMES, *pipe.latent_shape, generator=generator)


def drawn(pipe: Any, name: str) -> dict[str, Any]:
    """Curves for the systems that draw, so that the generator of a call is left to the noise."""
    return {"curves": pipe(CAPTION, **asked(name)).curves} if pipe.curve_vae is not None else {}


def test_prompt_is_another_name_of_captions(pipelines: dict[str, Any], name: str) -> None:
    pipe = pipelines[name]
    captions, prompt = (latents_of(pipe(**{word: CAPTION}, **asked(name))) for word in ("captions", "prompt"))
    assert torch.equal(captions, prompt)
    with pytest.raises(ValueError, match="captions and prompt were given"):
        pipe(CAPTION, prompt=CAPTION, **asked(name))


def test_latents_are_the_noise_that_a_generator_would_draw(pipelines: dict[str, Any], denoising: str) -> None:
    pipe = pipelines[denoising]
    curves = drawn(pipe, denoising)
    expected = latents_of(pipe(CAPTION, **curves, **asked(denoising)))
    noise = noise_of(pipe, denoising)
    given = latents_of(pipe(CAPTION, **curves, **asked(denoising, generator=None), latents=noise))
    assert torch.equal(given, expected)
    other = latents_of(pipe(CAPTION, **curves, **asked(denoising, generator=None), latents=-noise))
    assert not torch.equal(other, expected)
    with pytest.raises(ValueError, match=r"latents are \(1, 5, "):
        pipe(CAPTION, **asked(denoising), latents=noise[:, 1:])


def test_videos_that_are_made_in_rounds_take_no_latents(pipelines: dict[str, Any]) -> None:
    pipe = pipelines["text_ldm"]
    with pytest.raises(ValueError, match="window by window; set num_frames to at most 8"):
        pipe(CAPTION, num_frames=9, latents=torch.zeros(1, 9, *pipe.latent_shape))


def test_a_callback_sees_every_step(pipelines: dict[str, Any], name: str) -> None:
    pipe = pipelines[name]
    seen: list[tuple[int, float]] = []
    shapes = set()

    def note(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        assert pipeline is pipe
        seen.append((step, float(timestep)))
        shapes.update((key, tensor.shape[:2]) for key, tensor in tensors.items())
        return tensors

    watched = latents_of(pipe(CAPTION, **asked(name), callback_on_step_end=note))
    assert torch.equal(watched, latents_of(pipe(CAPTION, **asked(name))))
    if name == "hierarchical_vqgan":
        assert seen == [(frame, frame) for frame in range(FRAMES)]
        assert shapes == set()
    else:
        assert seen == [(step, float(time)) for step, time in enumerate(pipe.scheduler.timesteps)]
        assert len(seen) == STEPS == pipe.num_timesteps
        assert shapes == {("latents", (1, FRAMES))}
    with pytest.raises(ValueError, match=r"has \['weights'\]"):
        pipe(CAPTION, **asked(name), callback_on_step_end=note, callback_on_step_end_tensor_inputs=["weights"])


def test_steps_are_numbered_through_all_windows_and_videos(pipelines: dict[str, Any]) -> None:
    steps: list[int] = []
    note = {"callback_on_step_end": lambda pipe, step, *_: steps.append(step)}
    pipelines["text_ldm"](CAPTION, num_frames=29, num_inference_steps=2, output_type="latent", **note)
    assert steps == list(range(len(steps)))
    assert len(steps) > 2 * 3, "key frames, and two doublings of the rate"
    steps.clear()
    pipelines["long_video"](num_videos=3, num_frames=4, num_inference_steps=2, output_type="latent", **note)
    assert steps == list(range(6))


def test_a_callback_may_change_the_latents(pipelines: dict[str, Any], denoising: str) -> None:
    pipe = pipelines[denoising]

    def settle(_: Any, step: int, __: Any, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"latents": torch.full_like(tensors["latents"], 0.25)} if step == STEPS - 1 else {}

    found = latents_of(pipe(CAPTION, **asked(denoising), callback_on_step_end=settle))
    torch.testing.assert_close(found, torch.full_like(found, 0.25))


def test_a_callback_of_diffusers_names_its_own_tensors(pipelines: dict[str, Any]) -> None:
    class Settle(PipelineCallback):
        tensor_inputs = ["latents"]  # noqa: RUF012 (diffusers' own way)

        def callback_fn(self, pipeline: Any, step: int, timestep: Any, callback_kwargs: dict[str, Any]) -> Any:
            if step == pipeline.num_timesteps - 1:
                callback_kwargs["latents"] = torch.zeros_like(callback_kwargs["latents"])
            return callback_kwargs

    callback = Settle(cutoff_step_ratio=1.0)
    out = pipelines["text_ldm"](
        CAPTION, **asked("text_ldm"), callback_on_step_end=callback, callback_on_step_end_tensor_inputs=[]
    )
    assert not latents_of(out).any()


def test_an_interrupted_call_leaves_out_the_steps_that_are_left(pipelines: dict[str, Any], name: str) -> None:
    pipe = pipelines[name]
    kept: list[Any] = []

    def stop(pipeline: Any, step: int, _: Any, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        kept.append(tensors)
        pipeline._interrupt = step == 1
        return tensors

    out = pipe(CAPTION, **asked(name), callback_on_step_end=stop)
    assert len(kept) == 2
    if name == "hierarchical_vqgan":
        whole = pipe(CAPTION, **asked(name))
        for some, every in zip(out.frames, whole.frames, strict=True):
            assert torch.equal(some, every[:, :2])
    else:
        assert torch.equal(latents_of(out), kept[-1]["latents"].flatten())
    kept.clear()
    again = pipe(CAPTION, **asked(name), callback_on_step_end=lambda *given: kept.append(given))
    assert len(kept) == (FRAMES if name == "hierarchical_vqgan" else STEPS), "the next call is not interrupted"
    assert torch.equal(latents_of(again), latents_of(pipe(CAPTION, **asked(name))))


SCALES = {"guidance_scale": 1.5, "control_guidance_scale": 1.0}


def defaults_of(name: str) -> dict[str, float]:
    return SCALES if name == "hierarchical_vqgan" else SCALES | {"num_inference_steps": 8}


def test_a_call_that_does_not_say_is_sampled_as_the_config_says(pipelines: dict[str, Any], name: str) -> None:
    pipe = pipelines[name]
    call = {key: value for key, value in asked(name).items() if key != "num_inference_steps"}
    plain = latents_of(pipe(CAPTION, **call))
    call["generator"].manual_seed(0)
    assert torch.equal(plain, latents_of(pipe(CAPTION, **call, **defaults_of(name))))
    for key in defaults_of(name):
        call["generator"].manual_seed(0)
        assert not torch.equal(plain, latents_of(pipe(CAPTION, **call, **{key: 3}))), key


def test_how_a_pipeline_is_sampled_is_saved_with_it(pipelines: dict[str, Any], name: str, tmp_path: Path) -> None:
    pipe = pipelines[name]
    others = {key: value + 1 for key, value in defaults_of(name).items()}
    pipe.register_sampling(others)
    pipe.save_pretrained(tmp_path)
    pipe.register_sampling(defaults_of(name))
    loaded = load_pipeline(tmp_path)
    assert loaded.config.sampling.items() >= others.items()
    call = {key: value for key, value in asked(name).items() if key != "num_inference_steps"}
    found = latents_of(loaded(CAPTION, **call))
    call["generator"].manual_seed(0)
    assert torch.equal(found, latents_of(pipe(CAPTION, **call, **others)))

    index = json.loads((tmp_path / "model_index.json").read_text())
    saved = index.pop("sampling")
    for older, expected in ((index, defaults_of(name)), (index | saved, others)):
        (tmp_path / "model_index.json").write_text(json.dumps(older))
        assert load_pipeline(tmp_path).config.sampling.items() >= expected.items()


class Shrunk(DiffusionSampling):
    """A new sampling parameter."""

    noise_scale: float = Field(ge=0)


def test_a_new_sampling_parameter_is_a_field(
    pipelines: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class ShrunkCall(CallParams, Shrunk):
        pass

    class Pipeline(SketchToVideoPipeline):
        sampling_type = Shrunk

        def make(self, request: Any, text: Any, ink: Any) -> Any:
            return super().make(request, text, ink) * request.sampling.noise_scale

    monkeypatch.setitem(DEFAULTS, "noise_scale", 1.0)
    pipe = Pipeline(**pipelines["sketch_ldm"].components)
    params = load_params().evaluate.model_dump(include=set(CallParams.model_fields))
    assert pipe.call_arguments(ShrunkCall(**params, noise_scale=2.0))["noise_scale"] == 2.0
    whole = latents_of(pipe(CAPTION, **asked("sketch_ldm")))
    half = latents_of(pipe(CAPTION, **asked("sketch_ldm"), noise_scale=0.5))
    assert torch.equal(half, whole / 2)
    with pytest.raises(ValueError, match="noise_scale is -1; it should be greater than or equal to 0"):
        pipe(CAPTION, **asked("sketch_ldm"), noise_scale=-1)

    pipe.register_sampling({"noise_scale": 0.5})
    pipe.save_pretrained(tmp_path)
    saved = Pipeline.from_pretrained(tmp_path)
    assert torch.equal(latents_of(saved(CAPTION, **asked("sketch_ldm"))), half)


def test_an_unknown_setting_is_refused(pipelines: dict[str, Any], name: str) -> None:
    with pytest.raises(TypeError, match=r"unexpected argument guidence_scale; .*, control_guidance_scale"):
        pipelines[name](CAPTION, **asked(name), guidence_scale=3.0)


SAMPLER_NAMES = sorted({name for names in SAMPLERS.values() for name in names})


@pytest.mark.parametrize("objective", SAMPLERS)
@pytest.mark.parametrize("sampler", SAMPLER_NAMES)
def test_every_sampler_is_supported_or_refused(
    pipelines: dict[str, Any], name: str, sampler: str, objective: Objective
) -> None:
    pipe = pipelines[name]
    before = getattr(pipe, "scheduler", None)
    own = name in ("sketch_ldm", "text_ldm", "long_video")
    if not own and objective != "flow":
        pytest.skip("has no choice of objective")
    try:
        if own:
            pipe.transformer.register_to_config(objective=objective)
            assert pipe.samplers == SAMPLERS[objective]
        if name == "long_video":
            pipe.register_to_config(fusion_times=[0.6, 0.0])
        if sampler not in pipe.samplers:
            with pytest.raises(UserError, match=re.escape(sampler)):
                pipe.set_sampler(sampler)
            assert getattr(pipe, "scheduler", None) is before
            return
        pipe.set_sampler(sampler)
        call = asked(name, num_frames=8) if name == "long_video" else asked(name)
        video, again = (latents_of(pipe(CAPTION, **call | {"generator": seeded()})) for _ in range(2))
        assert video.isfinite().all()
        assert torch.equal(video, again)
        fewer = latents_of(pipe(CAPTION, **call | {"generator": seeded(), "num_inference_steps": 1}))
        assert not torch.equal(video, fewer)
    finally:
        if own:
            pipe.transformer.register_to_config(objective="flow")
        if name == "long_video":
            pipe.register_to_config(fusion_times=[])
        if before is not None:
            pipe.scheduler = before


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)

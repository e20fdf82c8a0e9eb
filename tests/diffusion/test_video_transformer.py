import json

import numpy as np
import pytest
import torch
from scipy.fft import dct
from torch import nn
from torch.nn import functional

from sketch2video.diffusion.video_transformer import ControlStem, VideoTransformer, by_latent
from sketch2video.networks.blocks import ConditionedBlock, attend, fourier_features, grid_positions
from sketch2video.networks.flow_matching import guided_prediction
from sketch2video.networks.temporal_spectrum import still_positions
from sketch2video.params import Guidance


def shaken(module: nn.Module) -> nn.Module:
    """Weights away from their initial zeros, so that every part has influence."""
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return module.eval()


@pytest.fixture
def transformer() -> VideoTransformer:
    return shaken(VideoTransformer(latent_channels=4, factor=4, patch=2, width=32, layers=2, heads=2, text_width=16))


@pytest.fixture
def inputs() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "latents": torch.randn(2, 3, 4, 4, 8),
        "timestep": torch.tensor([0.2, 0.9]),
        "control": torch.rand(2, 3, 1, 16, 32),
        "text": torch.randn(2, 5, 16),
        "text_mask": torch.tensor([[True] * 5, [True, True, False, False, False]]),
        "fps": torch.tensor([8.0, 24.0]),
    }


def test_it_starts_with_no_velocity_at_all(inputs) -> None:
    fresh = VideoTransformer(latent_channels=4, factor=4, patch=2, width=32, layers=2, heads=2, text_width=16)
    assert not fresh(**inputs).any()


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 2, 2), (3, 4, 8), (7, 6, 4)])
def test_lengths_and_sizes_are_free(transformer, frames: int, height: int, width: int) -> None:
    latents, ink = torch.randn(1, frames, 4, height, width), torch.rand(1, frames, 1, 4 * height, 4 * width)
    velocity = transformer(latents, torch.tensor([0.5]), control=ink)
    assert velocity.shape == latents.shape
    assert velocity.isfinite().all()


@pytest.mark.parametrize("name", ["latents", "timestep", "control", "text", "fps"])
def test_every_input_has_influence(transformer, inputs, name: str) -> None:
    changed = {**inputs, name: inputs[name] * torch.rand(inputs[name].shape)}
    assert not torch.allclose(transformer(**inputs), transformer(**changed), atol=1e-3)


def test_each_condition_can_be_missing_for_one_sample(transformer, inputs) -> None:
    def alone(**changes: torch.Tensor | None) -> torch.Tensor:
        first = {key: value[:1] for key, value in inputs.items()}
        return transformer(**{**first, **changes})

    here = torch.tensor([False, True])
    cases = [
        (transformer(**inputs, control_mask=here), alone(control=None)),
        (transformer(**{**inputs, "text_mask": inputs["text_mask"] & here[:, None]}), alone(text=None, text_mask=None)),
        (transformer(**{**inputs, "fps": inputs["fps"] * here}), alone(fps=None)),
    ]
    whole = transformer(**inputs)
    for mixed, without in cases:
        torch.testing.assert_close(mixed[:1], without, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(mixed[1:], whole[1:], atol=1e-4, rtol=1e-4)
        assert not torch.allclose(mixed[:1], whole[:1], atol=1e-3)


@pytest.mark.parametrize("channels", [0, 3])
def test_pictures_of_other_kinds_or_none(inputs, channels: int) -> None:
    sizes = {"latent_channels": 4, "factor": 4, "patch": 2, "width": 32, "layers": 2, "heads": 2, "text_width": 16}
    network = shaken(VideoTransformer(**sizes, control_channels=channels))
    pictures = torch.rand(2, 3, 3, 16, 32)
    if channels:
        velocity = network(**{**inputs, "control": pictures})
        assert not torch.allclose(velocity, network(**{**inputs, "control": None}), atol=1e-3)
    else:
        assert not any("control" in name for name, _ in network.named_parameters())
        assert network(**{**inputs, "control": None}).any()
    with pytest.raises(ValueError, match="expected"):
        network(**inputs)  # ink has one channel


def test_what_is_behind_a_captions_end_has_no_influence(transformer, inputs) -> None:
    other = {**inputs, "text": torch.where(inputs["text_mask"][..., None], inputs["text"], 7.0)}
    torch.testing.assert_close(transformer(**other), transformer(**inputs))


def test_a_token_sees_its_own_piece_of_the_drawing() -> None:
    stem = shaken(ControlStem(channels=1, pixels=8, width=16))
    ink = torch.rand(1, 1, 32, 32, requires_grad=True)
    stem(ink)[0, :, 1, 2].sum().backward()
    assert ink.grad is not None
    assert (ink.grad[0, 0, 8:16, 16:24] != 0).all()
    assert not ink.grad[0, 0, :, :8].any()


def test_blocks_mix_as_far_as_they_reach() -> None:
    x = torch.randn(1, 3, 4, 16)
    other = x.clone()
    other[0, 1, 2] = torch.randn(16)
    arguments = (torch.randn(1, 16), torch.randn(1, 2, 8), torch.ones(1, 2, dtype=torch.bool))
    for reach, frames in (("frame", slice(1, 2)), ("video", slice(None)), ("motion", slice(None))):
        block = shaken(ConditionedBlock(16, 2, 8, reach))
        changed = ((block(other, *arguments) - block(x, *arguments)).abs() > 1e-6).any(-1)[0]
        expected = torch.zeros(3, 4, dtype=torch.bool)
        expected[frames] = True
        assert torch.equal(changed, expected)


def test_attention_is_softmax_attention() -> None:
    query, key, value = torch.randn(3, 2, 4, 6, 8).unbind(0)
    mask = torch.rand(2, 1, 1, 6) > 0.3
    mask[..., 0] = True
    reference = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    torch.testing.assert_close(attend(query, key, value, mask), reference)


def test_positions_are_shares_of_the_clip() -> None:
    positions = grid_positions(2, 1, 4)
    torch.testing.assert_close(positions[0], torch.tensor([0.25, 0.5, 0.125]))
    torch.testing.assert_close(positions[-1], torch.tensor([0.75, 0.5, 0.875]))
    torch.testing.assert_close(
        fourier_features(torch.tensor(0.25), 2), torch.tensor([0.5**0.5, 1, 0.5**0.5, 0]), atol=1e-6, rtol=0
    )


SIZES = {"latent_channels": 4, "factor": 4, "patch": 2, "width": 32, "layers": 2, "heads": 2, "text_width": 16}


@pytest.fixture
def informed() -> VideoTransformer:
    """A network that can be given known frames."""
    return shaken(VideoTransformer(**SIZES, known_frames=True))


def test_what_is_not_asked_for_has_no_parameters(transformer, informed) -> None:
    torch.manual_seed(0)
    plain = VideoTransformer(**SIZES)
    torch.manual_seed(0)
    fresh = VideoTransformer(**SIZES, known_frames=True)
    extra = set(fresh.state_dict()) - set(plain.state_dict())
    assert extra == {"known_in.weight"}
    assert all(torch.equal(fresh.state_dict()[name], tensor) for name, tensor in plain.state_dict().items())
    assert not fresh.known_in.weight.any()
    prior = VideoTransformer(**SIZES, image_prior=True)
    assert {name: p.shape for name, p in prior.named_parameters()} == {
        name: p.shape for name, p in plain.named_parameters()
    }


def test_known_frames_stand_in_the_place_of_noisy_ones(informed, inputs) -> None:
    known, mask = torch.randn(2, 3, 4, 4, 8), torch.tensor([[True, False, False], [False, True, True]])
    shown = mask[..., None, None, None]
    velocity = informed(**inputs, known=known, known_mask=mask)
    hidden = {
        **inputs,
        "latents": torch.where(shown, torch.randn_like(known), inputs["latents"]),
        "known": torch.where(shown, known, torch.randn_like(known)),
    }
    torch.testing.assert_close(informed(**hidden, known_mask=mask), velocity)
    others = informed(**inputs, known=known + 1, known_mask=mask)
    assert ((others - velocity).abs() > 1e-3).flatten(2).any(2)[~mask].all(), "the others go with them"


def test_no_known_frame_is_as_none(informed, inputs) -> None:
    nothing = {"known": torch.randn(2, 3, 4, 4, 8), "known_mask": torch.zeros(2, 3, dtype=torch.bool)}
    torch.testing.assert_close(informed(**inputs, **nothing), informed(**inputs))


def test_a_frame_is_told_from_a_noisy_one_that_looks_alike(informed, inputs) -> None:
    marked = informed(**inputs, known=inputs["latents"], known_mask=torch.ones(2, 3, dtype=torch.bool))
    assert not torch.allclose(marked, informed(**inputs), atol=1e-3)


def test_an_image_prior_has_no_time_in_single_frames(inputs) -> None:
    torch.manual_seed(0)
    network = shaken(VideoTransformer(**SIZES, image_prior=True))
    single = {name: value[:, :1] if name in ("latents", "control") else value for name, value in inputs.items()}
    before, whole = network(**single), network(**inputs)
    for parameter in network.blocks[1].attention.parameters():
        parameter.data += torch.randn_like(parameter)
    network.position_in.weight.data[:, :14] += 1.0
    torch.testing.assert_close(network(**single), before)
    assert not torch.allclose(network(**inputs), whole, atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"known": torch.zeros(2, 3, 4, 4, 8)}, "give both known and known_mask"),
        ({"known": torch.zeros(2, 3, 4, 4, 8), "known_mask": torch.ones(2, 3).bool()}, "known_frames=True"),
        ({"latents": torch.zeros(2, 3, 5, 4, 8)}, r"expected \(N, T, 4, h, w\)"),
        ({"latents": torch.zeros(2, 3, 4, 3, 8)}, "patches of 2"),
        ({"control": torch.zeros(2, 3, 1, 16, 16)}, r"control is \(2, 3, 1, 16, 16\), expected \(2, 3, 1, 16, 32\)"),
    ],
)
def test_shapes_that_do_not_belong_together_are_refused(transformer, inputs, changes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        transformer(**{**inputs, **changes})


def test_statistics_must_fit_the_channels() -> None:
    with pytest.raises(ValueError, match="4 numbers"):
        VideoTransformer(latent_channels=4, latent_mean=[0.0], latent_std=[1.0])


def test_a_saved_transformer_answers_the_same(transformer, inputs, tmp_path) -> None:
    transformer.save_pretrained(tmp_path)
    torch.testing.assert_close(VideoTransformer.from_pretrained(tmp_path)(**inputs), transformer(**inputs))


def test_a_block_adds_the_mean_through_time_alike_to_all_frames() -> None:
    block = ConditionedBlock(width=16, heads=2, context_width=8, reach="frame", time_mean=True)
    x, condition, text = torch.randn(2, 5, 3, 16), torch.randn(2, 16), torch.randn(2, 4, 8)
    mask = torch.ones(2, 4, dtype=torch.bool)
    torch.testing.assert_close(block(x, condition, text, mask), x)  # a new block is the identity
    torch.nn.init.eye_(block.time_mean.weight)
    expected = functional.layer_norm(x, (16,)).mean(1, keepdim=True)
    torch.testing.assert_close(block(x, condition, text, mask) - x, expected.expand_as(x))


def test_a_network_that_was_saved_before_it_took_means_through_time_still_loads(transformer, inputs, tmp_path) -> None:
    transformer.save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    config = json.loads(file.read_text())
    del config["time_mean"]
    file.write_text(json.dumps(config))
    loaded = VideoTransformer.from_pretrained(tmp_path)
    torch.testing.assert_close(loaded(**inputs), transformer(**inputs))


SPECTRA = {
    "temporal_deviations": [3.0, 1.0, 0.4],
    "near_deviations": [4.0, 2.0, 1.0],
    "still_deviations": [2.0, 0.1, 0.05],
    "whitening": 0.5,
}


def test_all_terms_of_guidance_have_the_noise_of_the_mask(inputs) -> None:
    sizes = {"latent_channels": 4, "factor": 4, "patch": 2, "width": 32, "layers": 2, "heads": 2, "text_width": 16}
    network = shaken(VideoTransformer(**sizes, **SPECTRA))
    still = torch.rand(2, 1, 4, 8) < 0.5
    conditions = {name: inputs[name] for name in ("control", "text", "text_mask", "fps")}
    latents, time = inputs["latents"], inputs["timestep"]
    guidance = Guidance(guidance_scale=3.0, control_guidance_scale=2.0)
    both = network(latents, time, **conditions, still=still)
    drawn = network(latents, time, **{**conditions, "text": None, "text_mask": None}, still=still)
    neither = network(latents, time, fps=inputs["fps"], still=still)
    expected = neither + 2.0 * (drawn - neither) + 3.0 * (both - drawn)
    found = guided_prediction(network, latents, time, **conditions, guidance=guidance, still=still)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    other = guided_prediction(network, latents, time, **conditions, guidance=guidance)
    assert not torch.allclose(other, expected, atol=1e-2)


def test_masks_belong_to_networks_with_two_spectra(transformer, inputs, tmp_path) -> None:
    control = (inputs["control"] > 0.98).float()
    network = VideoTransformer(latent_channels=4, factor=4, width=32, heads=2, text_width=16, **SPECTRA)
    network.save_pretrained(tmp_path)
    loaded = VideoTransformer.from_pretrained(tmp_path)
    assert loaded.spectrum == network.spectrum
    found = loaded.still_positions(control)
    assert torch.equal(found, still_positions(control, 4))
    assert 0 < found.float().mean() < 1
    assert loaded.still_positions(None) is None
    assert transformer.still_positions(control) is None


def test_a_network_that_was_saved_with_one_spectrum_answers_the_same(inputs, tmp_path) -> None:
    sizes = {"latent_channels": 4, "factor": 4, "width": 32, "layers": 2, "heads": 2, "text_width": 16}
    one = {name: SPECTRA[name] for name in ("temporal_deviations", "whitening")}
    network = shaken(VideoTransformer(**sizes, **one))
    network.save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    config = json.loads(file.read_text())
    del config["near_deviations"], config["still_deviations"]
    file.write_text(json.dumps(config))
    loaded = VideoTransformer.from_pretrained(tmp_path)
    assert torch.equal(loaded(**inputs), network(**inputs))
    still = torch.ones(2, 1, 4, 8, dtype=torch.bool)
    assert torch.equal(loaded(**inputs, still=still), network(**inputs))


def test_drawings_of_the_frames_of_a_latent_are_its_channels() -> None:
    control = torch.arange(6.0).view(1, 6, 1, 1, 1).expand(2, 6, 1, 4, 4)
    assert by_latent(control, 1) is control
    assert by_latent(control, 2)[0, :, :, 0, 0].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert by_latent(control[:, :5], 2)[0, :, :, 0, 0].tolist() == [[0, 1], [2, 2], [3, 4]]
    colours = torch.rand(1, 4, 3, 4, 4)
    assert torch.equal(by_latent(colours, 2)[0, 1, 3:], colours[0, 3])


@pytest.mark.parametrize("frames", [8, 7])
def test_several_frames_share_a_latent(frames: int) -> None:
    config = {"latent_channels": 4, "factor": 4, "width": 32, "layers": 2, "heads": 2, "text_width": 16}
    transformer = shaken(VideoTransformer(**config, frames_per_latent=2, temporal_deviations=[2.0, 1.0, 0.5, 0.2]))
    torch.manual_seed(0)
    latents, ink, time = torch.randn(1, frames, 4, 4, 4), torch.rand(1, frames, 1, 16, 16), torch.tensor([0.5])
    velocity = transformer(latents, time, control=ink)
    assert velocity.shape == latents.shape
    spectrum = np.square(dct(velocity.detach().numpy(), axis=1, norm="ortho")).sum((0, 2, 3, 4))
    assert spectrum[4:].max() < 1e-8 < spectrum[:4].min()
    for frame in range(frames):
        other = ink.clone()
        other[:, frame] = 0
        assert not torch.allclose(transformer(latents, time, control=other), velocity, atol=1e-3), frame
    tokens = []
    transformer.blocks[0].register_forward_hook(lambda block, inputs, output: tokens.append(output.shape))
    transformer(latents, time, control=ink)
    assert tokens == [(1, 4, 4, 32)], "frames of tokens"


@pytest.mark.parametrize("choice", [{"known_frames": True}, {"image_prior": True}])
def test_known_and_single_frames_have_a_latent_each(choice: dict[str, bool]) -> None:
    with pytest.raises(ValueError, match="frames_per_latent=1"):
        VideoTransformer(frames_per_latent=2, **choice)

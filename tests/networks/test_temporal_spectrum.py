import numpy as np
import pytest
import torch
from scipy.fft import dct, idct
from torch import Tensor

from sketch2video.diffusion.objectives import Coloured, find_objective
from sketch2video.diffusion.video_transformer import VideoTransformer
from sketch2video.diffusion.windows import cut_windows, window_starts
from sketch2video.networks.temporal_spectrum import (
    IDENTITY,
    TemporalSpectrum,
    latents_of,
    most_frames_per_latent,
    power_by_frequency,
    resampled,
    still_positions,
    temporal_deviations,
)

STEEP = tuple(3.0 * np.exp(-0.3 * np.arange(16)))
NEAR = tuple(4.0 * np.exp(-0.2 * np.arange(16)))
STILL = tuple(2.0 * np.exp(-0.5 * np.arange(16)))
TWO = TemporalSpectrum(STEEP, 0.5, NEAR, STILL)


def clips_with(deviations: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Independent normal latents (N, T, 2, 4, 4) with these deviations of each frequency along time."""
    random = np.random.default_rng(seed).standard_normal((count, len(deviations), 2, 4, 4))
    return idct(random * np.asarray(deviations)[:, None, None, None], axis=1, norm="ortho")


def measured(clips: np.ndarray, mean: float = 0.0, std: float = 1.0) -> np.ndarray:
    power = np.sum([power_by_frequency(clip) for clip in clips], axis=0)
    return np.array(temporal_deviations(power, len(clips) * 16, np.full(2, mean), np.full(2, std)))


def test_the_spectrum_of_the_training_clips_is_found() -> None:
    np.testing.assert_allclose(measured(clips_with(STEEP, 400)), STEEP, rtol=0.03)
    np.testing.assert_allclose(measured(5 + 2 * clips_with(STEEP, 400), mean=5, std=2), STEEP, rtol=0.03)


@pytest.mark.parametrize("exponent", [0.5, 1.0])
def test_whitened_clips_have_the_deviations_that_are_left(exponent: float) -> None:
    time_filter = TemporalSpectrum(STEEP, exponent).filter(16)
    clips = torch.from_numpy(clips_with(STEEP, 400))
    white = time_filter.whiten(clips)
    np.testing.assert_allclose(measured(white.numpy()), np.array(STEEP) ** (1 - exponent), rtol=0.03)
    torch.testing.assert_close(time_filter.colour(white), clips.float(), atol=1e-4, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(time_filter.whiten(clips), white)


def test_without_an_exponent_nothing_changes() -> None:
    clips = torch.randn(2, 5, 3)
    assert TemporalSpectrum(STEEP, 0.0).filter(5) is IDENTITY
    assert IDENTITY.whiten(clips) is clips
    assert IDENTITY.colour(clips) is clips


@pytest.mark.parametrize("exponent", [0.0, 0.5])
def test_sampling_starts_from_as_much_noise_of_each_kind_as_is_asked(exponent: float) -> None:
    spectrum = TemporalSpectrum(STEEP, exponent, noise_scales=(0.7, 0.2))
    noise = torch.randn(400, 16, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    found = measured(spectrum.filter(16).start(noise).numpy())
    np.testing.assert_allclose(found, [0.7] + 15 * [0.2], rtol=0.03)
    assert torch.equal(TemporalSpectrum(STEEP, exponent).filter(16).start(noise), noise)


def test_in_a_long_video_frames_share_what_is_slower_than_an_action() -> None:
    spectrum = TemporalSpectrum(STEEP, 0.5, noise_scales=(0.7, 0.0))
    started = spectrum.filter(48, window=16).start(torch.randn(300, 48, 2, 4, 4))
    scales = np.sqrt(np.mean(np.square(dct(started.numpy(), axis=1, norm="ortho")), axis=(0, 2, 3, 4)))
    np.testing.assert_allclose(scales, 3 * [0.7] + 45 * [0.0], rtol=0.03, atol=1e-6)


@pytest.mark.parametrize("frames", [8, 32])
def test_the_same_actions_at_another_frame_rate_have_the_spectrum_that_is_expected(frames: int) -> None:
    def actions(count: int) -> np.ndarray:
        """Smooth random functions of time at the middles of frames, (300, count, 2, 4, 4)."""
        amplitudes = np.random.default_rng(1).standard_normal((300, 6, 2, 4, 4))
        waves = np.cos(np.pi * np.arange(6)[:, None] * (np.arange(count) + 0.5) / count)
        return np.einsum("nkchw,kt->ntchw", amplitudes * np.exp(-np.arange(6))[:, None, None, None], waves)

    deviations = measured(actions(16))
    expected = TemporalSpectrum(tuple(deviations), 1.0).filter(frames).log_gains
    np.testing.assert_allclose(np.exp(expected[:6]), measured(actions(frames))[:6], rtol=0.02)


def test_windows_of_a_long_video_see_white_noise() -> None:
    spectrum = TemporalSpectrum(STEEP, 0.5)
    white = torch.randn(200, 64, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    noise = spectrum.filter(64, window=16).colour(white)
    windows = cut_windows(noise, window_starts(64, 16, 8), 16).flatten(0, 1)
    found = measured(spectrum.filter(16).whiten(windows).numpy())
    assert np.abs(np.log(found)).max() < np.log(1.3), found
    assert measured(windows.numpy())[0] > 3 * measured(windows.numpy())[-1], "which was not white before"
    assert spectrum.filter(12, window=16) == spectrum.filter(12), "a short video is one action"


SIZES = {"width": 16, "layers": 2, "heads": 2, "text_width": 8, "sample_size": 32, "control_channels": 0}


def shaken_network() -> VideoTransformer:
    """A network with white noise none of whose weights are zero."""
    torch.manual_seed(0)
    network = VideoTransformer(**SIZES)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return network


def test_the_network_sees_and_predicts_whitened_clips() -> None:
    plain = shaken_network()
    coloured = VideoTransformer(**SIZES, temporal_deviations=list(STEEP), whitening=0.5)
    coloured.load_state_dict(plain.state_dict())
    clips, time = torch.randn(2, 6, 4, 4, 4), torch.rand(2)
    time_filter = coloured.spectrum.filter(6)
    torch.testing.assert_close(coloured(time_filter.colour(clips), time), time_filter.colour(plain(clips, time)))


@pytest.mark.parametrize("name", ["flow", "v_prediction", "epsilon"])
def test_it_is_diffusion_of_whitened_clips_by_white_noise(name: str) -> None:
    plain, spectrum = find_objective(name, 4.0), TemporalSpectrum(STEEP, 0.5)
    coloured, time_filter = Coloured(plain, spectrum), spectrum.filter(16)
    data, noise = (torch.randn(3, 16, 2, 4, 4) for _ in "ab")
    time = torch.tensor([0.1, 0.5, 0.9])

    def same(found: Tensor, expected: Tensor) -> None:
        torch.testing.assert_close(found, expected, atol=2e-3, rtol=2e-3)

    white = time_filter.whiten(data)
    mixed = coloured.noisy(data, noise, time)
    same(time_filter.whiten(mixed), plain.noisy(white, noise, time))
    target = coloured.target(data, noise, time)
    same(time_filter.whiten(target), plain.target(white, noise, time))
    for found, true in zip(coloured.estimates(target, mixed, time), (data, noise), strict=True):
        torch.testing.assert_close(found, true, atol=0.05, rtol=0.02)
    guess = torch.randn_like(data)
    same(
        coloured.residual(time_filter.colour(guess), data, noise, time),
        plain.residual(guess, white, noise, time),
    )


def test_the_matrix_is_that_of_the_formula() -> None:
    transform = dct(np.eye(16), axis=0, norm="ortho")
    formula = transform.T @ np.diag(np.array(STEEP) ** -0.5) @ transform
    found = TemporalSpectrum(STEEP, 0.5).filter(16).whiten(torch.eye(16)[None])[0]
    np.testing.assert_allclose(found, formula, atol=1e-5)


def mask(samples: int, height: int = 4, width: int = 4) -> Tensor:
    return torch.rand(samples, 1, height, width, generator=torch.Generator().manual_seed(5)) < 0.5


def test_every_position_has_the_matrix_of_its_kind() -> None:
    still, clips = mask(3, 4, 5), torch.randn(3, 16, 2, 4, 5)
    transform = dct(np.eye(16), axis=0, norm="ortho")
    formula = [transform.T @ np.diag(np.array(s) ** -0.5) @ transform for s in (NEAR, STILL)]
    time_filter = TWO.filter(16, still=still)
    white, coloured = time_filter.whiten(clips), time_filter.colour(clips)
    for n, y, x in np.ndindex(3, 4, 5):
        matrix = formula[int(still[n, 0, y, x])]
        np.testing.assert_allclose(white[n, :, :, y, x], matrix @ clips[n, :, :, y, x].numpy(), atol=1e-3)
        inverse = np.linalg.inv(matrix) @ clips[n, :, :, y, x].numpy()
        np.testing.assert_allclose(coloured[n, :, :, y, x], inverse, atol=1e-3)
    torch.testing.assert_close(time_filter.colour(white), clips, atol=1e-4, rtol=1e-4)
    one = TWO.filter(16, still=still[:1])  # the same mask for all, as for windows of one video
    torch.testing.assert_close(one.whiten(clips)[:1], white[:1])


def test_without_a_mask_or_a_second_spectrum_there_is_one() -> None:
    assert TWO.filter(12, 8) == TemporalSpectrum(STEEP, 0.5).filter(12, 8)
    assert TemporalSpectrum(STEEP, 0.5).filter(12, 8, mask(2)) == TemporalSpectrum(STEEP, 0.5).filter(12, 8)
    assert TemporalSpectrum(STEEP, 0.0, NEAR, STILL).filter(16, still=mask(2)) is IDENTITY
    found = TWO.filter(32, 16, mask(2))
    assert found.log_gains == TemporalSpectrum(NEAR, 0.5).filter(32, 16).log_gains
    assert found.still_log_gains == TemporalSpectrum(STILL, 0.5).filter(32, 16).log_gains


@pytest.mark.parametrize("factor", [1, 4, 8])
def test_positions_are_still_that_no_ink_comes_near_to_in_any_frame(factor: int) -> None:
    ink = torch.zeros(3, 2, 1, 32, 40)
    points = [(0, 0, 13, 22), (0, 1, 30, 3), (1, 1, 0, 39)]
    for sample, frame, row, column in points:
        ink[sample, frame, 0, row, column] = 0.4
    ink[0, 0, 0, 20, 35] = 0.01  # too faint to count
    found = still_positions(ink, factor)
    expected = torch.ones(3, 1, 32 // factor, 40 // factor, dtype=torch.bool)
    for sample, _, y, x in np.ndindex(*expected.shape):
        for _, _, row, column in (point for point in points if point[0] == sample):
            # Pixels between the ink and the nearest pixel of the cell, along each axis
            away = [max(factor * i - p, p - factor * i - factor + 1, 0) for i, p in ((y, row), (x, column))]
            if max(away) <= factor / 2:
                expected[sample, 0, y, x] = False
    assert torch.equal(found, expected)
    assert found[2].all(), "nothing is drawn"


def test_power_of_some_positions_adds_up_to_that_of_all() -> None:
    clip, where = clips_with(STEEP, 1)[0], mask(1)[0, 0].numpy()
    some, others = power_by_frequency(clip, where), power_by_frequency(clip, ~where)
    np.testing.assert_allclose(some + others, power_by_frequency(clip))
    np.testing.assert_allclose(some, power_by_frequency(clip * where))


def test_the_network_sees_and_predicts_clips_whitened_by_their_masks() -> None:
    plain = shaken_network()
    spectra = {"temporal_deviations": list(STEEP), "near_deviations": list(NEAR), "still_deviations": list(STILL)}
    coloured = VideoTransformer(**SIZES, **spectra, whitening=0.5)
    assert coloured.load_state_dict(plain.state_dict(), strict=False).missing_keys == ["still_in.weight"]
    clips, time, still = torch.randn(2, 6, 4, 4, 4), torch.rand(2), mask(2)
    time_filter = TWO.filter(6, still=still)
    expected = time_filter.colour(plain(clips, time))
    torch.testing.assert_close(coloured(time_filter.colour(clips), time, still=still), expected)
    assert not torch.allclose(coloured(time_filter.colour(clips), time), expected, atol=1e-2)
    torch.nn.init.normal_(coloured.still_in.weight)
    assert not torch.allclose(coloured(time_filter.colour(clips), time, still=still), expected, atol=1e-2), "seen"
    with pytest.raises(ValueError, match=r"still is \(1, 1, 4, 4\), expected \(2, 1, 4, 4\)"):
        coloured(clips, time, still=still[:1])
    with pytest.raises(ValueError, match="both near_deviations and still_deviations"):
        VideoTransformer(**SIZES, still_deviations=list(STILL))


@pytest.mark.parametrize("name", ["flow", "v_prediction", "epsilon"])
def test_an_objective_treats_every_position_by_its_kind(name: str) -> None:
    plain, still = find_objective(name, 4.0), mask(3)
    both = Coloured(plain, TWO).with_still(still)
    near, far = (Coloured(plain, TemporalSpectrum(deviations, 0.5)) for deviations in (NEAR, STILL))
    data, noise, guess = (torch.randn(3, 16, 2, 4, 4) for _ in "abc")
    time = torch.tensor([0.1, 0.5, 0.9])

    def same(found: Tensor, elsewhere: Tensor, at_still: Tensor) -> None:
        torch.testing.assert_close(found, torch.where(still[:, None], at_still, elsewhere))

    for method in ("noisy", "target"):
        same(*(getattr(objective, method)(data, noise, time) for objective in (both, near, far)))
    same(*(objective.residual(guess, data, noise, time) for objective in (both, near, far)))
    for values in zip(*(objective.estimates(guess, data, time) for objective in (both, near, far)), strict=True):
        same(*values)


@pytest.mark.parametrize(("frames", "fewer"), [(16, 8), (15, 8), (7, 4), (5, 5)])
def test_clips_at_fewer_frames_keep_their_lowest_frequencies(frames: int, fewer: int) -> None:
    clips = torch.randn(3, frames, 2, 4, generator=torch.Generator().manual_seed(0))
    short = resampled(clips, fewer)
    expected = dct(clips.numpy(), axis=1, norm="ortho")[:, :fewer]
    np.testing.assert_allclose(dct(short.numpy(), axis=1, norm="ortho"), expected, atol=1e-5)
    torch.testing.assert_close(resampled(resampled(short, frames), fewer), short, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("exponent", [0.0, 0.5])
@pytest.mark.parametrize("frames", [16, 13])
def test_with_several_frames_a_latent_noise_has_no_higher_frequencies(exponent: float, frames: int) -> None:
    still = torch.rand(50, 1, 4, 4, generator=torch.Generator().manual_seed(1)) < 0.5
    whole = TemporalSpectrum(STEEP, exponent, NEAR, STILL).filter(frames, still=still)
    fewer = TemporalSpectrum(STEEP, exponent, NEAR, STILL, frames_per_latent=2).filter(frames, still=still)
    white = torch.randn(50, frames, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    noise, kept = fewer.colour(white), latents_of(frames, 2)
    powers = np.square(dct(noise.numpy(), axis=1, norm="ortho")).mean((0, 2, 3, 4))
    assert powers[kept:].max() < 1e-8 < powers[:kept].min()
    low = resampled(resampled(white, kept), frames)
    torch.testing.assert_close(fewer.colour(white), whole.colour(low), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(fewer.whiten(noise), low, atol=1e-4, rtol=1e-4)


def test_a_long_video_has_as_many_latents_for_its_frames() -> None:
    spectrum = TemporalSpectrum(STEEP, 0.5, frames_per_latent=2)
    assert len(spectrum.filter(64, window=16).log_gains) == 32
    of_all = TemporalSpectrum(STEEP, 0.5).filter(64, window=16).log_gains
    assert spectrum.filter(64, window=16).log_gains == of_all[:32]


def test_frames_share_a_latent_where_little_of_the_variance_is_lost() -> None:
    def lost(deviations: list[float], frames_per_latent: int) -> float:
        power = np.square(deviations)
        return power[-(-len(power) // frames_per_latent) :].sum() / power.sum()

    flat, slow = [1.0] * 16, list(np.exp(-0.35 * np.arange(16)))
    assert most_frames_per_latent(flat) == 1
    assert lost(slow, 2) < 0.01 < lost(slow, 3)
    assert most_frames_per_latent(slow) == 2
    assert most_frames_per_latent([1.0] + [0.0] * 15) == 4, "never more than four"
    assert most_frames_per_latent([1.0]) == 1
    assert most_frames_per_latent([3.0, 1.0, 0.1, 0.1]) == 2, "three frames a latent need as many latents"

import numpy as np
import pytest
import torch
from scipy.fft import dct, idct
from torch import Tensor

from sketch2video.diffusion.objectives import Coloured, find_objective
from sketch2video.diffusion.preconditioning import Preconditioning
from sketch2video.diffusion.video_transformer import VideoTransformer
from sketch2video.networks.temporal_spectrum import TemporalSpectrum

FRAMES, CLIPS = 6, 600
NEAR = tuple(4.0 * np.exp(-0.4 * np.arange(FRAMES)))
STILL = tuple(2.0 * np.exp(-0.9 * np.arange(FRAMES)))
SPECTRUM = TemporalSpectrum(NEAR, 0.5, NEAR, STILL)


def by_frequency(clips: Tensor) -> np.ndarray:
    return dct(clips.double().numpy(), axis=1, norm="ortho")


def still_mask() -> Tensor:
    """The right half of the frames is still: (CLIPS, 1, 4, 4)."""
    return (torch.arange(4) >= 2).expand(CLIPS, 1, 4, 4)


def data_of_both_kinds() -> Tensor:
    deviations = np.stack([NEAR, NEAR, STILL, STILL], axis=-1)[:, None, None]
    random = np.random.default_rng(0).standard_normal((CLIPS, FRAMES, 3, 4, 4))
    return torch.from_numpy(idct(random * deviations, axis=1, norm="ortho")).float()


@pytest.mark.parametrize("time", [0.1, 0.6, 0.95])
@pytest.mark.parametrize("name", ["flow", "v_prediction", "epsilon"])
def test_the_skip_is_the_least_squares_estimate_and_the_rest_has_unit_variance(name: str, time: float) -> None:
    objective = Coloured(find_objective(name, 4.0), SPECTRUM).with_still(still_mask())
    data, times = data_of_both_kinds(), torch.full((CLIPS,), time)
    noise = torch.randn(data.shape, generator=torch.Generator().manual_seed(1))
    mixed, target = objective.noisy(data, noise, times), objective.target(data, noise, times)
    scaled = Preconditioning(objective.filter(data), objective.mixture(times))

    seen = by_frequency(scaled.scaled_input(mixed))
    skip = by_frequency(scaled.prediction(torch.zeros_like(mixed), mixed))
    out = by_frequency(scaled.prediction(torch.ones_like(mixed), torch.zeros_like(mixed)))[0, 0, 0, 0] / FRAMES**0.5
    x, y = by_frequency(mixed), by_frequency(target)
    for half in (slice(0, 2), slice(2, 4)):
        for k in range(FRAMES):
            given, asked = x[:, k, ..., half].ravel(), y[:, k, ..., half].ravel()
            assert np.std(seen[:, k, ..., half]) == pytest.approx(1, rel=0.05)
            slope = given @ asked / (given @ given)
            found = skip[:, k, ..., half].ravel()
            used, error = given @ found / (given @ given), np.std(asked - found) / np.linalg.norm(given)
            assert abs(used - slope) < 4 * error + 1e-4
            np.testing.assert_allclose(found, used * given, atol=1e-3)
            if k == 0 and half.start == 0:
                assert np.std(asked - found) == pytest.approx(float(out[0]), rel=0.05)


@pytest.mark.parametrize("name", ["flow", "v_prediction", "epsilon"])
def test_a_new_network_predicts_the_linear_estimate(name: str) -> None:
    network = VideoTransformer(
        width=16,
        layers=2,
        heads=2,
        text_width=8,
        control_channels=0,
        sample_size=32,
        sample_frames=FRAMES,
        objective=name,
        time_shift=4.0,
        preconditioned=True,
        temporal_deviations=NEAR,
        whitening=0.5,
    )
    mixed, times = torch.randn(2, FRAMES, 4, 4, 4), torch.tensor([0.2, 0.9])
    a, b, c, d = (np.array(x)[:, None] for x in find_objective(name, 4.0).mixture(times))
    s, n = np.array(NEAR), np.sqrt(NEAR)
    skip = (a * c * s**2 + b * d * n**2) / (a**2 * s**2 + b**2 * n**2)
    expected = idct(skip[:, :, None, None, None] * by_frequency(mixed), axis=1, norm="ortho")
    np.testing.assert_allclose(network(mixed, times).detach(), expected, atol=1e-4)

import numpy as np
import pytest
import torch
from scipy.fft import idct

from sketch2video.controls import Control
from sketch2video.data.clips.datasets import TensorDataset
from sketch2video.diffusion import measured_spectra
from sketch2video.diffusion.measured_spectra import LEAST_DEVIATION, near_and_still_deviations

STATISTICS = {"mean": [5.0, -1.0], "std": [2.0, 3.0]}
NEAR, STILL = [4.0, 2.0, 1.0, 0.5], [2.0, 0.1, 0.05, 0.0]


class Lines(Control):
    name, channels, lines = "lines", 1, True

    def arrays(self, clips, curves):
        return {"ink": clips}

    def pictures(self, batch, height, width, corruption=0.0, generator=None):
        assert generator is None
        assert batch["ink"].shape[-2:] == (height, width)
        return batch["ink"]


def clips_with(ink: torch.Tensor, still: torch.Tensor) -> TensorDataset:
    """Latents (N, 4, 2, 4, 4) that have at still positions (N, 4, 4) the one spectrum, elsewhere the other."""
    random = np.random.default_rng(0).standard_normal((len(ink), 4, 2, 4, 4))
    deviations = np.where(still[:, None, :, :, None], STILL, NEAR).transpose(0, 4, 1, 2, 3)
    clips = idct(random * deviations, axis=1, norm="ortho")
    mean, std = (np.array(STATISTICS[name])[:, None, None] for name in ("mean", "std"))
    return TensorDataset({"latents": torch.from_numpy((mean + std * clips).astype(np.float32)), "ink": ink})


def test_each_kind_of_position_has_its_own_spectrum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured_spectra, "MEASURED_CLIPS", 300)
    ink = torch.zeros(400, 4, 1, 16, 16)
    ink[0::2, 2, 0, :8] = 1.0  # the upper half of every second clip, and half a cell below, in one frame
    still = torch.ones(400, 4, 4, dtype=torch.bool)
    still[0::2, :3] = False
    found = near_and_still_deviations(clips_with(ink, still), Lines(), STATISTICS, 4)
    np.testing.assert_allclose(found["near_deviations"], NEAR, rtol=0.04)
    np.testing.assert_allclose(found["still_deviations"], [*STILL[:3], LEAST_DEVIATION], rtol=0.04)


@pytest.mark.parametrize("darkness", [0.0, 1.0])
def test_positions_of_one_kind_have_one_spectrum(darkness: float) -> None:
    clips = clips_with(torch.full((3, 4, 1, 16, 16), darkness), torch.ones(3, 4, 4, dtype=torch.bool))
    assert near_and_still_deviations(clips, Lines(), STATISTICS, 4) == {}

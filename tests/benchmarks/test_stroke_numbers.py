"""The prior on strokes' numbers, which the latents are measured beside."""

from __future__ import annotations

import pytest
import torch

from benchmarks.stroke_numbers import HARMONICS, TERMS, NumberCurves, cells, train_on_numbers
from benchmarks.stroke_ways import GENERATED, GIVEN
from sketch2video.curve_vae.strokes import frame_times, from_series
from sketch2video.curve_vae.training import curve_data
from tests.curve_vae.rings import params, write_project


@pytest.mark.parametrize(("harmonics", "frames"), [(12, 8), (4, 3)])
def test_strokes_of_few_terms_come_back_as_they_were(harmonics, frames):
    terms, bends = min(TERMS, frames), min(HARMONICS, harmonics)
    numbers = NumberCurves.latent_numbers(harmonics, frames)
    network = NumberCurves(
        strokes=3,
        slots=3,
        harmonics=harmonics,
        text_width=16,
        latent_dim=numbers,
        hidden=8,
        time_terms=frames,
        width=16,
    )
    generator = torch.Generator().manual_seed(0)
    series = 0.01 * torch.randn(5, terms, 2, harmonics, generator=generator)
    series[..., bends:] = 0
    series[:, 0, :, 1] += 0.2
    times = frame_times(frames)
    coefficients = from_series(series.flatten(2), times).unflatten(-1, (2, harmonics))
    life = torch.tensor([[0.0, 1.0]]).expand(5, 2)
    latents = network.encode(coefficients, life).mode()
    assert latents.shape == (5, 5 + numbers)
    parts, lives = network.decode(latents, times)
    torch.testing.assert_close(lives, life)
    if terms == frames:  # size is not linear in the coefficients: only all terms hold it exactly
        torch.testing.assert_close(parts.coefficients(), coefficients, atol=1e-5, rtol=0)
    assert (parts.coefficients() - coefficients).abs().max() < 0.01


def test_the_prior_learns_on_numbers_as_on_latents(tmp_path):
    write_project(tmp_path)
    settings = params(steps=1, prior_steps=2)
    data = curve_data(settings, tmp_path / "curves", tmp_path / "text")
    network = train_on_numbers(settings, data, tmp_path / "checkpoints")
    assert len(network.mean) == 5 + NumberCurves.latent_numbers(harmonics=8, time_terms=6)
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert float(network.prior.out.weight.abs().max()) > 0, "it was trained"


@pytest.mark.parametrize(("px", "cell"), [(1.2345, "1.23"), (None, "–")])
def test_the_table_has_a_dash_where_no_stroke_matches(px, cell):
    found = {
        "reconstruction_px": 0.5,
        "seconds": {GENERATED: 0.25},
        "ways": {GENERATED: {"as_asked": {}, "frechet": None}, GIVEN: {"between": {"strokes_px": px}}},
    }
    assert cells(found) == ["0.50", "", "", cell, "0.250"]

from unittest.mock import Mock

import pytest
import torch
from torch import Tensor

from sketch2video.curve_vae import sampling
from sketch2video.curve_vae.known import Known
from sketch2video.curve_vae.network import CurveVAE
from sketch2video.curve_vae.sampling import how_many, sample_curves, sample_strokes, with_others
from sketch2video.curves import CurveSequence
from sketch2video.text.encoder import TextCondition
from tests.curve_vae.sets import HARMONICS, SLOTS, STROKES, TEXT, captions, network, seeded, smooth


def test_padding_of_a_caption_has_no_influence() -> None:
    vae, text = network(), captions()
    padded = TextCondition(
        torch.cat([text.hidden, torch.randn(2, 3, TEXT)], 1), torch.cat([text.mask, torch.zeros(2, 3).bool()], 1)
    )
    one, other = (sample_strokes(vae, each, 5, 8.0, [seeded(1), seeded(2)]) for each in (text, padded))
    torch.testing.assert_close(one.coefficients, other.coefficients, atol=1e-5, rtol=1e-4)


def test_samples_do_not_depend_on_their_batch() -> None:
    vae, text = network(), captions(3)
    together = sample_strokes(vae, text, 6, torch.tensor([8.0, 12.0, 24.0]), [seeded(s) for s in (5, 6, 7)])
    alone = sample_strokes(vae, TextCondition(text.hidden[1:2], text.mask[1:2]), 6, 12.0, seeded(6))
    torch.testing.assert_close(together.coefficients[1:2], alone.coefficients, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("frames", [1, 4, 33])
def test_samples_are_curve_sequences_within_the_budget(frames: int) -> None:
    coefficients, visibility = sample_curves(network(), captions(), frames, 8.0, seeded())
    assert coefficients.shape == (2, frames, SLOTS, 2, HARMONICS)
    assert coefficients.dtype == visibility.dtype == torch.float32
    assert ((visibility == 0) | (visibility == 1)).all()
    for one in zip(coefficients.numpy(), visibility.numpy(), strict=True):
        assert CurveSequence(*one).num_parameters <= 40


def test_temperature_zero_leaves_no_variety_between_seeds() -> None:
    vae, text = network(), captions(1)
    cold = [sample_strokes(vae, text, 4, 8.0, seeded(s), temperature=0.0).coefficients for s in (1, 2)]
    warm = [sample_strokes(vae, text, 4, 8.0, seeded(s)).coefficients for s in (1, 2)]
    torch.testing.assert_close(*cold)
    assert (warm[0] - warm[1]).abs().max() > 1e-3


def test_steps_and_guidance_are_those_of_the_network_unless_a_call_asks_for_others() -> None:
    vae, text = network(num_inference_steps=3), captions()
    drawn = sample_strokes(vae, text, 4, 8.0, seeded())
    asked = sample_strokes(vae, text, 4, 8.0, seeded(), num_inference_steps=3, guidance_scale=1.5)
    torch.testing.assert_close(drawn.coefficients, asked.coefficients)
    for other in ({"num_inference_steps": 4}, {"guidance_scale": 2.0}):
        assert (sample_strokes(vae, text, 4, 8.0, seeded(), **other).coefficients - drawn.coefficients).abs().max() > 0


def test_what_is_known_is_drawn_exactly_and_comes_first() -> None:
    vae: CurveVAE = network(budget=200)
    given = smooth(1, STROKES, frames=8, seed=3)
    shown = torch.zeros(1, STROKES, 8, dtype=torch.bool)
    shown[0, 0] = True
    shown[0, 1, [0, 7]] = True
    hidden = torch.zeros_like(shown)
    hidden[0, 2:, [0, 7]] = True
    known = Known(given, shown, hidden)
    coefficients, visibility = sample_curves(vae, captions(1), 8, 8.0, seeded(), known=known)
    assert visibility[0, :, 0].all()
    torch.testing.assert_close(coefficients[0, :, 0], given[0, 0], atol=1e-3, rtol=1e-3)  # negligible harmonics go
    assert visibility[0, [0, 7]].sum(1).tolist() == [2, 2]
    for frame in (0, 7):
        torch.testing.assert_close(coefficients[0, frame, 1], given[0, 1, frame], atol=1e-3, rtol=1e-3)
    free, _ = sample_curves(vae, captions(1), 8, 8.0, seeded())
    assert (free[0, :, 0] - given[0, 0]).abs().max() > 0.05


def test_known_strokes_are_a_condition_only_where_there_is_much_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    vae, conditions = network(num_inference_steps=10), {}
    forward = vae.prior.forward

    def seen(tokens: Tensor, time: Tensor, *others: Tensor | None) -> Tensor:
        conditions.setdefault(round(float(time[0]), 3), set()).add(others[3] is not None)
        return forward(tokens, time, *others)

    monkeypatch.setattr(vae.prior, "forward", seen)
    shown = torch.zeros(1, STROKES, 8, dtype=torch.bool)
    shown[0, 0, 0] = True
    known = Known(smooth(1, STROKES, frames=8, seed=3), shown, torch.zeros_like(shown))
    sample_strokes(vae, captions(1), 8, 8.0, seeded(), known)
    early = {0.6, 0.7, 0.8, 0.9, 1.0}
    assert conditions == {time / 10: {time / 10 in early} for time in range(1, 11)}


def test_numbers_of_strokes_are_drawn_as_likely_as_they_are() -> None:
    logits = torch.log(torch.tensor([0.1, 0.6, 0.3])).expand(20_000, 3)
    numbers = how_many(logits, torch.rand(20_000, generator=seeded()))
    shares = torch.bincount(numbers, minlength=3) / 20_000
    torch.testing.assert_close(shares, torch.tensor([0.1, 0.6, 0.3]), atol=0.02, rtol=0)
    assert how_many(logits[:1], torch.tensor([0.5])).item() == 1
    assert how_many(logits[:1], torch.ones(1)).item() == 2


@pytest.mark.parametrize(
    ("quantile", "expected"), [(0.05, {0}), (0.2, {1}), (0.5, {2}), (0.95, {4}), (None, {0, 1, 2, 3, 4})]
)
def test_a_quantile_gives_every_seed_the_same_number_of_strokes(
    quantile: float | None, expected: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    vae = network(stroke_quantile=quantile)
    monkeypatch.setattr(vae.prior, "count", lambda *_: torch.log(torch.tensor([[0.1, 0.2, 0.3, 0.2, 0.2]])))
    counted = Mock(wraps=with_others)
    monkeypatch.setattr(sampling, "with_others", counted)
    for seed in range(60):
        sample_strokes(vae, captions(1), 2, 8.0, seeded(seed), num_inference_steps=1)
    assert {int(call.args[1]) for call in counted.call_args_list} == expected


def test_samples_are_guided_where_there_is_little_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    vae, guided = network(), {}
    forward = vae.prior.forward

    def seen(tokens: Tensor, time: Tensor, text: Tensor | None, *others: Tensor | None) -> Tensor:
        guided[round(float(time[0]), 3)] = text is None
        return forward(tokens, time, text, *others)

    monkeypatch.setattr(vae.prior, "forward", seen)
    sample_strokes(vae, captions(1), 2, 8.0, seeded(), num_inference_steps=5, guidance_scale=2.0)
    assert guided == {1.0: False, 0.8: False, 0.6: True, 0.4: True, 0.2: True}


def test_given_strokes_are_counted_among_the_others() -> None:
    given = torch.tensor([[False, True, False, False], [True, True, True, False], [False] * 4])
    assert with_others(given, torch.tensor([3, 1, 2])).long().tolist() == [[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 0, 0]]

import pytest
import torch

from sketch2video.curve_vae.actions import action_spans, long_curves
from sketch2video.curve_vae.sampling import sample_curves
from sketch2video.curves import CurveSequence
from sketch2video.text.encoder import TextCondition
from tests.curve_vae.sets import HARMONICS, SLOTS, captions, network, seeded


def one(text: TextCondition, which: int) -> TextCondition:
    return TextCondition(text.hidden[which : which + 1], text.mask[which : which + 1])


@pytest.mark.parametrize("frames", [1, 2, 16, 257])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_one_caption_is_what_the_curve_vae_draws(frames: int, temperature: float) -> None:
    vae, text = network(), one(captions(), 0)
    expected = sample_curves(vae, text, frames, 12.0, seeded(), temperature=temperature)
    drawn = long_curves(vae, text, [0], frames, 12.0, 8, seeded(), temperature)
    for got, want in zip(drawn, expected, strict=True):
        torch.testing.assert_close(got, want[0], rtol=0, atol=0)


def test_an_action_begins_as_the_one_before_ends_and_goes_its_own_way() -> None:
    vae, text = network(budget=200, slots=4), captions(2)
    seed = 2  # of those with which the untrained network draws something in the second action
    joined, seen = long_curves(vae, text, [0, 20], 40, 8.0, 6, seeded(seed))
    assert seen[25:].any()
    alone, _ = long_curves(vae, one(text, 0), [0], 23, 8.0, 6, seeded(seed))
    torch.testing.assert_close(joined[:23], alone, atol=2e-3, rtol=1e-2)  # up to harmonics that are negligible
    assert joined.shape == (40, 4, 2, HARMONICS)
    same = TextCondition(text.hidden[[0, 0]], text.mask[[0, 0]])
    other, _ = long_curves(vae, same, [0, 20], 40, 8.0, 6, seeded(seed))
    torch.testing.assert_close(joined[:20], other[:20], atol=2e-3, rtol=1e-2)
    assert (joined[25:] - other[25:]).abs().max() > 1e-3
    moved = (joined[:, :, :, 0].diff(dim=0).norm(dim=-1) * seen[1:] * seen[:-1]).amax(1)
    assert moved[22:24].max() < 3 * moved.max() / 2


def test_rates_hold_where_they_should() -> None:
    vae, text = network(budget=200), captions(3)
    slow, fast = (
        long_curves(vae, text, [0, 20, 40], 60, torch.tensor([8.0, 12.0, rate]), 6, seeded())[0] for rate in (8.0, 24.0)
    )
    torch.testing.assert_close(slow[:37], fast[:37], atol=2e-3, rtol=1e-2)
    assert (slow[45:] - fast[45:]).abs().max() > 1e-4


def test_spans_share_the_overlap_and_no_more() -> None:
    assert action_spans([0], 10, 4) == [(0, 10)]
    assert action_spans([0, 10, 25], 40, 5) == [(0, 13), (8, 28), (23, 40)]


@pytest.mark.parametrize(
    ("firsts", "frames", "overlap"), [([1, 5], 10, 2), ([0, 5, 6], 10, 2), ([0, 5], 6, 2), ([0], 5, 0), ([], 5, 1)]
)
def test_captions_that_do_not_go_together_are_refused(firsts: list[int], frames: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="are inconsistent"):
        action_spans(firsts, frames, overlap)


def test_every_caption_has_a_first_frame_and_a_rate() -> None:
    vae, text = network(), captions(2)
    with pytest.raises(ValueError, match="2 captions and 1 first frames"):
        long_curves(vae, text, [0], 20, 8.0, 4)
    with pytest.raises(ValueError, match="2 captions and frame rates"):
        long_curves(vae, text, [0, 10], 20, torch.tensor([8.0, 8.0, 8.0]), 4)


def test_a_long_video_is_one_sequence_within_the_budget() -> None:
    vae = network()
    coefficients, visibility = long_curves(vae, captions(2), [0, 20], 40, 8.0, 4, seeded())
    assert coefficients.shape == (40, SLOTS, 2, HARMONICS)
    sequence = CurveSequence(coefficients.numpy(), visibility.numpy())
    assert sequence.num_parameters <= vae.config.budget

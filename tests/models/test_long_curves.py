import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sketch2video.models.curve_vae import CurveVAE, Strokes, frame_times
from sketch2video.models.long_curves import Action, action_spans, continuing_noise, cross_fade, long_curves, mismatch
from sketch2video.models.text import TextCondition

STROKES, HARMONICS, TEXT = 2, 5, 6
RIGHT, LEFT = 0, 1
"""Captions of the trained network: a ring that goes to the right, and one to the left, with a line that goes along."""


def network(**changes: int) -> CurveVAE:
    torch.manual_seed(0)
    settings = {"width": 24, "layers": 1, "heads": 2, "latent_dim": 4, "time_terms": 6, "budget": 18} | changes
    return CurveVAE(STROKES, HARMONICS, TEXT, **settings)


@pytest.fixture
def untrained() -> CurveVAE:
    vae = network()
    with torch.no_grad():  # heads start near zero; what they say should matter here
        for parameter in vae.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return vae.eval()


@pytest.fixture(scope="module")
def trained() -> CurveVAE:
    """One that has learned in some seconds what its captions say, and that height and size are left open by them."""
    vae, generator = network(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(vae.parameters(), 4e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, 200)
    for _ in range(200):
        which, coefficients, visibility = rings(64, generator)
        text, rate = captions(which.tolist()), torch.full((64,), 8.0)
        posterior = vae.encode(coefficients, visibility, rate)
        latents = posterior.sample(torch.randn(posterior.mean.shape, generator=generator))
        strokes = vae.decode(latents, *text, frame_times(8), rate)
        error = ((strokes.coefficients() - coefficients) / 0.05)[visibility > 0.5].square().mean()
        seen = functional.binary_cross_entropy_with_logits(strokes.visibility, visibility)
        data = latents.detach()[:, None].expand(-1, 8, -1)
        noise = torch.randn(data.shape, generator=generator)
        time = torch.rand(data.shape[:2], generator=generator)
        velocity = vae.prior(data.lerp(noise, time[..., None]), time, *text)
        loss = error + seen + 0.02 * posterior.kl().sum(1).mean() + (velocity - (noise - data)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return vae.eval()


def rings(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Captions (N,), coefficients (N, 8, 2, 2, K), visibility: rings and lines at any height and of any size."""
    which = torch.randint(2, (count,), generator=generator)
    height, size = (
        0.2 + 0.6 * torch.rand(count, generator=generator),
        0.08 + 0.12 * torch.rand(count, generator=generator),
    )
    way = 0.2 + 0.6 * frame_times(8)
    coefficients = torch.zeros(count, 8, STROKES, 2, HARMONICS)
    coefficients[..., 0, 0] = torch.where(which[:, None] == RIGHT, way, 1 - way)[..., None]
    coefficients[..., 1, 0] = height[:, None, None]
    coefficients[:, :, 0, 0, 1] = coefficients[:, :, 0, 1, 2] = coefficients[:, :, 1, 0, 1] = size[:, None]
    visibility = torch.ones(count, 8, STROKES)
    visibility[which == RIGHT, :, 1] = 0.0
    return which, coefficients, visibility


def captions(which: list[int]) -> TextCondition:
    return TextCondition(torch.eye(TEXT)[which][:, None], torch.ones(len(which), 1, dtype=torch.bool))


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def strokes_of(count: int, frames: int, seed: int) -> Strokes:
    drawn = [torch.randn(count, frames, STROKES, *shape, generator=seeded(seed)) for shape in ((2,), (), (2, 4), ())]
    return Strokes(*drawn)


def steps(coefficients: Tensor) -> Tensor:
    """How far the points of the first stroke move from frame to frame, root mean square, frame widths: (T - 1,)."""
    moved = coefficients[:, 0].diff(dim=0).square().sum(1)
    return (moved[:, 0] + moved[:, 1:].sum(1) / 2).sqrt()


@pytest.mark.parametrize("frames", [1, 2, 16, 17, 257])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_one_caption_is_what_the_curve_vae_draws(untrained: CurveVAE, frames: int, temperature: float) -> None:
    text = TextCondition(torch.randn(1, 4, TEXT), torch.tensor([[True, True, True, False]]))
    expected = untrained.sample(*text, frames, 12.0, seeded(), temperature)
    drawn = long_curves(untrained, text, [0], frames, 12.0, 8, seeded(), temperature)
    for got, want in zip(drawn, expected, strict=True):
        torch.testing.assert_close(got, want[0], rtol=0, atol=0)


def test_captions_and_rates_hold_where_they_should(untrained: CurveVAE) -> None:
    """Outside of the joints an action does not know of those after it; the first one is as if it were alone."""
    one, other = (
        long_curves(untrained, captions(which), [0, 20, 40], 60, torch.tensor([8.0, 12.0, rate]), 6, seeded())
        for which, rate in (([0, 1, 2], 8.0), ([0, 1, 3], 24.0))
    )
    alone = untrained.sample(*captions([0]), 23, 8.0, seeded())
    shown = one[1][:17] > 0
    torch.testing.assert_close(one[1][:17], alone[1][0, :17])
    torch.testing.assert_close(one[0][:17, :, :, 0][shown], alone[0][0, :17, :, :, 0][shown])
    torch.testing.assert_close(one[1][:37], other[1][:37])
    torch.testing.assert_close(one[0][:37, :, :, 0], other[0][:37, :, :, 0])
    assert (one[0][43:] - other[0][43:]).abs().max() > 1e-3


def test_spans_share_the_overlap_and_no_more() -> None:
    assert action_spans([0, 10, 14], 20, 4) == [(0, 12), (8, 16), (12, 20)]
    assert action_spans([0, 10], 20, 3) == [(0, 12), (9, 20)]
    assert action_spans([0, 1], 2, 1) == [(0, 2), (1, 2)]
    assert action_spans([0], 1, 8) == [(0, 1)]


@pytest.mark.parametrize(
    ("firsts", "frames", "overlap"),
    [([0, 3], 20, 4), ([0, 17], 20, 4), ([0, 8, 8], 20, 4), ([0, 10, 5], 20, 4), ([1, 10], 20, 4), ([], 20, 4),
     ([0, 30], 20, 4), ([0], 0, 4), ([0, 10], 20, 0)],
)  # fmt: skip
def test_captions_that_do_not_go_together_are_refused(firsts: list[int], frames: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="do not go together"):
        action_spans(firsts, frames, overlap)


def test_every_caption_has_a_first_frame_and_a_rate(untrained: CurveVAE) -> None:
    with pytest.raises(ValueError, match="2 captions and 1 first frames"):
        long_curves(untrained, captions([0, 1]), [0], 20, 8.0, 4)
    with pytest.raises(ValueError, match="2 captions and frame rates"):
        long_curves(untrained, captions([0, 1]), [0, 10], 20, torch.tensor([8.0, 8.0, 8.0]), 4)


def test_the_generator_decides_and_the_network_is_left_alone(untrained: CurveVAE) -> None:
    before = [(parameter.clone(), parameter.requires_grad) for parameter in untrained.parameters()]
    first, again, other = (
        long_curves(untrained, captions([0, 1]), [0, 10], 20, 8.0, 4, seeded(seed))[0] for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert (first - other).abs().max() > 1e-3
    assert not first.requires_grad
    for parameter, (value, wanted) in zip(untrained.parameters(), before, strict=True):
        assert torch.equal(parameter, value)
        assert parameter.requires_grad == wanted
        assert parameter.grad is None


def test_one_choice_of_numbers_within_the_budget_holds_for_the_whole_video(trained: CurveVAE) -> None:
    coefficients, visibility = long_curves(trained, captions([RIGHT, LEFT]), [0, 20], 40, 8.0, 4, seeded())
    used = (coefficients != 0) & (visibility > 0)[..., None, None]
    assert int(used.sum((1, 2, 3)).max()) + STROKES <= trained.config.budget
    shown = visibility > 0
    for stroke in range(STROKES):
        kinds = (coefficients[:, stroke] != 0)[shown[:, stroke]].flatten(1).unique(dim=0)
        assert len(kinds) == 1
    assert (coefficients[~shown] == 0).all()


def test_mismatch_is_the_distance_between_points() -> None:
    one, other = strokes_of(1, 3, 1), strokes_of(4, 3, 2)
    one, other = (part._replace(visibility=torch.full_like(part.visibility, 30.0)) for part in (one, other))
    at = (torch.arange(400) + 0.5) / 400
    basis = torch.cos(math.pi * at[:, None] * torch.arange(HARMONICS))
    points = (one.coefficients() - other.coefficients()) @ basis.T
    torch.testing.assert_close(mismatch(one, other), points.square().sum(-2).mean((1, 2, 3)), rtol=1e-4, atol=0)


def test_what_only_one_shows_is_a_mismatch_wherever_it_is() -> None:
    one = strokes_of(1, 3, 1)
    one = one._replace(visibility=torch.full_like(one.visibility, 30.0))
    hidden = one.visibility.clone()
    hidden[..., 1] = -30.0
    costs = [
        mismatch(one, part._replace(visibility=hidden))
        for part in (one, one._replace(place=one.place + 5 * (hidden < 0)[..., None]))
    ]
    assert costs[0] > 0.01
    torch.testing.assert_close(*costs)


def test_a_fade_goes_from_the_one_to_the_other_and_is_level_at_its_ends() -> None:
    one, other = (
        Strokes(*(part.expand(-1, 64, *part.shape[2:]) for part in strokes_of(1, 1, seed))) for seed in (1, 2)
    )
    faded = cross_fade(one, other._replace(visibility=one.visibility))
    for part in ("place", "log_size", "shape"):
        start, end, now = (getattr(clip, part).flatten(2) for clip in (one, other, faded))
        way = (now - start) / (end - start)
        torch.testing.assert_close(way, way[..., :1].expand_as(way), rtol=0, atol=1e-3)
        way = way[0, :, 0]
        assert (way.diff() > 0).all()
        torch.testing.assert_close(way + way.flip(0), torch.ones(64), rtol=0, atol=1e-3)
        assert way[0] < 0.1 / 65  # a straight fade would have made 1 / 65
    torch.testing.assert_close(faded.visibility, one.visibility)


def test_a_stroke_that_only_one_shows_stays_where_that_one_has_it() -> None:
    one, other = strokes_of(1, 9, 1), strokes_of(1, 9, 2)
    one = one._replace(visibility=torch.full_like(one.visibility, 12.0))
    other = other._replace(visibility=torch.full_like(one.visibility, -12.0))
    faded = cross_fade(one, other)
    shown = faded.visibility > 0
    assert 4 <= int(shown[0, :, 0].sum()) <= 5
    assert (shown[0, :, 0].long().diff() <= 0).all()
    torch.testing.assert_close(faded.coefficients()[shown], one.coefficients()[shown], rtol=0.01, atol=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_no_step_at_a_joint_is_much_larger_than_elsewhere(trained: CurveVAE, seed: int) -> None:
    """A ring that turns round does so within the overlap, half as fast again; the control is free draws in a row."""
    firsts, frames, overlap = [0, 40, 80], 120, 8
    text = captions([RIGHT, LEFT, RIGHT])
    coefficients, _ = long_curves(trained, text, firsts, frames, 8.0, overlap, seeded(seed))
    free, _ = trained.sample(*text, 40, 8.0, seeded(seed))
    joints = torch.zeros(frames - 1, dtype=torch.bool)
    for first in firsts[1:]:
        joints[first - overlap // 2 - 1 : first + overlap // 2] = True
    joined, hard = steps(coefficients), steps(free.flatten(0, 1))
    assert joined[joints].max() < 1.6 * joined[~joints].max()
    assert hard[[39, 79]].max() > 3 * joined[~joints].max()


def test_slots_keep_their_strokes(trained: CurveVAE) -> None:
    """The ring stays in its slot over the joints, and the line, which comes with one caption, goes along with it."""
    coefficients, visibility = long_curves(trained, captions([RIGHT, LEFT, RIGHT]), [0, 40, 80], 120, 8.0, 8, seeded())
    shown = visibility > 0
    assert shown[:, 0].all()
    assert int(shown[:, 1].long().diff().abs().sum()) == 2
    assert shown[44:76, 1].all()
    assert not shown[:36, 1].any()
    assert not shown[84:, 1].any()
    ring, line = coefficients[:, 0], coefficients[:, 1]
    assert (ring[:, 0, 1] > 0.05).all()
    assert (ring[:, 1, 2] > 0.05).all()
    assert (ring[:, :, 0] - line[:, :, 0])[shown[:, 1]].norm(dim=1).max() < 0.05


def test_the_next_action_begins_where_the_last_one_ends_and_does_what_it_should(trained: CurveVAE) -> None:
    """Height and size of the rings agree; they do not where draws are free."""
    joined, free = [], []
    for seed in range(4):
        coefficients, _ = long_curves(trained, captions([RIGHT, LEFT]), [0, 40], 80, 8.0, 8, seeded(seed))
        assert coefficients[30, 0, 0, 0] - coefficients[5, 0, 0, 0] > 0.3
        assert coefficients[50, 0, 0, 0] - coefficients[75, 0, 0, 0] > 0.3
        joined.append((coefficients[35, 0, 1] - coefficients[44, 0, 1]).abs().sum())
        two, _ = trained.sample(*captions([RIGHT, LEFT]), 40, 8.0, seeded(seed))
        free.append((two[0, 35, 0, 1] - two[1, 4, 0, 1]).abs().sum())
    assert sum(joined) < sum(free) / 3


@pytest.mark.parametrize("temperature", [0.0, 0.5])
def test_noise_that_continues_an_action_agrees_better_and_is_as_long_as_it_was(
    trained: CurveVAE, temperature: float
) -> None:
    """Also where the caption cannot begin where the action before ends."""
    action = Action(trained, captions([RIGHT]), torch.tensor([8.0]), 40)
    ending = action.strokes(torch.randn(1, 4, generator=seeded(7)), slice(-8, None))
    noise = temperature * torch.randn(1, 4, generator=seeded(8))
    found = continuing_noise(action, noise, ending, seeded(), temperature)
    torch.testing.assert_close(found.norm(), noise.norm())
    before, after = (mismatch(ending, action.strokes(one, slice(8))) for one in (noise, found))
    assert after < before or temperature == 0

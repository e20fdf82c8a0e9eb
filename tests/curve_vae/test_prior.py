import itertools

import torch
from torch.nn import functional

from sketch2video.curve_vae.augment import CHANGES
from sketch2video.curve_vae.prior import StrokeFlow, coupled_noise, spread_noise
from tests.curve_vae.sets import TEXT, captions, network, seeded

NUMBERS, KNOWN = 7, 5


def flow() -> StrokeFlow:
    torch.manual_seed(0)
    prior = StrokeFlow(5, NUMBERS, KNOWN, TEXT, width=16, layers=2, heads=2)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return prior.eval()


def test_the_flow_does_not_care_about_the_order_of_strokes() -> None:
    prior, text = flow(), captions()
    tokens, known = (torch.randn(2, 5, n) for n in (NUMBERS, KNOWN))
    time, fps, order = torch.tensor([0.3, 0.8]), torch.tensor([8.0, 24.0]), torch.tensor([3, 1, 4, 0, 2])
    whole = prior(tokens, time, *text, fps, known)
    turned = prior(tokens[:, order], time, *text, fps, known[:, order])
    torch.testing.assert_close(turned, whole[:, order], atol=1e-5, rtol=1e-4)


def test_caption_rate_time_and_what_is_known_matter() -> None:
    prior, text = flow(), captions()
    tokens, known = (torch.randn(2, 5, n) for n in (NUMBERS, KNOWN))
    time, fps = torch.tensor([0.3, 0.8]), torch.tensor([8.0, 24.0])
    base = prior(tokens, time, *text, fps, known)
    for other in (
        prior(tokens, time, text.hidden.flip(0), text.mask, fps, known),
        prior(tokens, time, None, None, fps, known),
        prior(tokens, time, *text, 2 * fps, known),
        prior(tokens, 1 - time, *text, fps, known),
        prior(tokens, time, *text, fps, None),
    ):
        assert (other - base).abs().max() > 1e-4


def test_tokens_that_are_no_strokes_have_no_influence() -> None:
    prior, text = flow(), captions()
    tokens = torch.randn(2, 5, NUMBERS)
    present = torch.tensor([[True] * 3 + [False] * 2, [True] * 5])
    time = torch.tensor([0.3, 0.8])
    base = prior(tokens, time, *text, None, present=present)
    changed = torch.where(present[..., None], tokens, 9.0)
    torch.testing.assert_close(prior(changed, time, *text, None, present=present)[present], base[present])
    alone = prior(tokens[:1, :3], time[:1], text.hidden[:1], text.mask[:1], None)
    torch.testing.assert_close(alone, base[:1, :3], atol=1e-5, rtol=1e-4)


def test_the_number_of_strokes_matters_to_each() -> None:
    prior, text = flow(), captions()
    token = torch.randn(2, 1, NUMBERS).expand(2, 4, NUMBERS)  # attention's means are the same for any number
    time = torch.tensor([0.3, 0.8])
    four = prior(token, time, *text, None)
    three = prior(token[:, :3], time, *text, None)
    padded = prior(token, time, *text, None, present=torch.tensor([True, True, True, False]).expand(2, 4))
    assert (four[:, :3] - three).abs().max() > 1e-4
    torch.testing.assert_close(padded[:, :3], three, atol=1e-5, rtol=1e-4)


def test_a_change_of_the_clip_matters_and_none_is_no_change() -> None:
    prior, text = flow(), captions()
    tokens, time = torch.randn(2, 5, NUMBERS), torch.tensor([0.3, 0.8])
    base = prior(tokens, time, *text, None)
    torch.testing.assert_close(prior(tokens, time, *text, None, changes=torch.zeros(2, CHANGES)), base)
    assert (prior(tokens, time, *text, None, changes=torch.full((2, CHANGES), 0.1)) - base).abs().max() > 1e-4


def test_places_of_noise_are_normal_each_and_spread_together() -> None:
    noise = torch.randn(4000, 12, NUMBERS, generator=torch.Generator().manual_seed(0))
    spread = spread_noise(noise)
    torch.testing.assert_close(spread[..., 2:], noise[..., 2:])
    levels = torch.tensor([0.05, 0.3, 0.5, 0.8, 0.95], dtype=torch.float64)
    for token in (0, 5, 11):
        found = spread[:, token, :2].double().quantile(levels, dim=0)
        torch.testing.assert_close(found, torch.special.ndtri(levels)[:, None].expand(-1, 2), atol=0.08, rtol=0)

    def farthest_hole(places: torch.Tensor) -> float:
        """Mean largest distance, in shares of the distribution, of a point from the nearest place."""
        at = torch.cartesian_prod(*2 * [torch.linspace(0.05, 0.95, 19)])
        return float(torch.cdist(at, torch.special.ndtr(places)).amin(-1).amax(-1).mean())

    assert farthest_hole(spread[:200, :, :2]) < 0.8 * farthest_hole(noise[:200, :, :2])
    one = spread_noise(noise[:, :1])
    torch.testing.assert_close(one.clamp(-3, 3), noise[:, :1].clamp(-3, 3), atol=1e-3, rtol=0)


def test_coupling_is_the_nearest_of_all_permutations_by_place() -> None:
    strokes, noise = torch.randn(3, 6, NUMBERS), torch.randn(3, 6, NUMBERS)
    present = torch.tensor([[True] * 5 + [False], [True, False, True, True, False, True], [True] * 6])
    coupled = coupled_noise(strokes, noise, present)
    for clip in range(3):
        tokens = present[clip].nonzero()[:, 0]
        data, candidates = strokes[clip, tokens, :2], noise[clip, tokens]
        best = min(
            itertools.permutations(range(len(tokens))),
            key=lambda order: float((data - candidates[list(order), :2]).square().sum()),
        )
        torch.testing.assert_close(coupled[clip, tokens], candidates[list(best)])
        torch.testing.assert_close(coupled[clip, ~present[clip]], noise[clip, ~present[clip]])


def test_known_strokes_choose_their_noise_first() -> None:
    strokes, noise = torch.randn(1, 4, NUMBERS), torch.randn(1, 4, NUMBERS)
    present, first = torch.ones(1, 4).bool(), torch.tensor([[False, True, False, False]])
    gain = (strokes[0, 1, :2] * noise[0][:, :2]).sum(1)
    coupled = coupled_noise(strokes, noise, present, first)
    torch.testing.assert_close(coupled[0, 1], noise[0, gain.argmax()])
    assert sorted(coupled[0, :, 0].tolist()) == sorted(noise[0, :, 0].tolist())
    # In sampling the others are not there: what the known stroke gets must not depend on them.
    other = strokes.clone()
    other[0, [0, 2, 3]] = 0
    torch.testing.assert_close(coupled_noise(other, noise, present, first)[0, 1], coupled[0, 1])


def test_the_prior_learns_a_set_whose_strokes_have_no_order() -> None:
    """One caption is two strokes left and right, the other one stroke in the middle; their mean is neither."""
    torch.manual_seed(0)
    prior = StrokeFlow(2, 3, KNOWN, TEXT, width=32, layers=2, heads=2)
    text = captions()
    sets = torch.tensor([[[-2.0, 0.0, 1.0], [2.0, 0.0, -1.0]], [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]])
    numbers = torch.tensor([2, 1])
    optimizer = torch.optim.Adam(prior.parameters(), 3e-3)
    generator = seeded()
    for _ in range(300):
        which = torch.randint(2, (64,), generator=generator)
        data, present = sets[which], torch.arange(2) < numbers[which, None]
        turned = (torch.rand(64, generator=generator) < 0.5) & (which == 0)  # no order
        data = torch.where(turned[:, None, None], data.flip(1), data)
        noise = coupled_noise(data, torch.randn(data.shape, generator=generator), present)
        time = torch.rand(64, generator=generator)
        between = torch.lerp(data, noise, time[:, None, None])
        caption = (text.hidden[which], text.mask[which])
        velocity = prior(between, time, *caption, None, present=present)
        loss = (velocity - (noise - data))[present].square().mean()
        loss = loss + functional.cross_entropy(prior.count(64, *caption, None), numbers[which])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    which = torch.arange(200) % 2
    caption = (text.hidden[which], text.mask[which])
    with torch.no_grad():
        tokens = torch.randn(200, 2, 3, generator=generator)
        count = prior.count(200, *caption, None).argmax(-1)
        for step in range(20):
            time = torch.full((200,), 1 - step / 20)
            present = torch.arange(2) < count[:, None]
            tokens = tokens - prior(tokens, time, *caption, None, present=present) / 20
    assert (count == numbers[which]).all()
    two, one = tokens[::2], tokens[1::2, 0]
    assert ((two[..., 0].sort(dim=1).values - torch.tensor([-2.0, 2.0])).abs().amax(1) < 0.7).float().mean() > 0.9
    assert ((two[..., 0] * two[..., 2]).lt(0).all(1)).float().mean() > 0.9  # what belongs together stays together
    assert (one.norm(dim=1) < 0.7).float().mean() > 0.9


def test_the_number_of_numbers_is_that_of_the_network() -> None:
    vae = network()
    assert vae.prior.out.out_features == len(vae.mean)

import itertools

import torch

from sketch2video.curve_vae.prior import PRESENCE_WEIGHT, StrokeFlow, coupled_noise
from tests.curve_vae.sets import TEXT, captions, network, seeded

NUMBERS, KNOWN = 7, 5


def flow() -> StrokeFlow:
    torch.manual_seed(0)
    prior = StrokeFlow(NUMBERS, KNOWN, TEXT, width=16, layers=2, heads=2)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return prior.eval()


def test_the_flow_does_not_care_about_the_order_of_strokes() -> None:
    prior, text = flow(), captions()
    tokens, estimate, known = (torch.randn(2, 5, n) for n in (NUMBERS, NUMBERS, KNOWN))
    time, fps, order = torch.tensor([0.3, 0.8]), torch.tensor([8.0, 24.0]), torch.tensor([3, 1, 4, 0, 2])
    whole = prior(tokens, time, estimate, *text, fps, known)
    turned = prior(tokens[:, order], time, estimate[:, order], *text, fps, known[:, order])
    torch.testing.assert_close(turned, whole[:, order], atol=1e-5, rtol=1e-4)


def test_caption_rate_time_estimate_and_what_is_known_matter() -> None:
    prior, text = flow(), captions()
    tokens, estimate, known = (torch.randn(2, 5, n) for n in (NUMBERS, NUMBERS, KNOWN))
    time, fps = torch.tensor([0.3, 0.8]), torch.tensor([8.0, 24.0])
    base = prior(tokens, time, estimate, *text, fps, known)
    for other in (
        prior(tokens, time, estimate, text.hidden.flip(0), text.mask, fps, known),
        prior(tokens, time, estimate, None, None, fps, known),
        prior(tokens, time, estimate, *text, 2 * fps, known),
        prior(tokens, 1 - time, estimate, *text, fps, known),
        prior(tokens, time, 0 * estimate, *text, fps, known),
        prior(tokens, time, estimate, *text, fps, None),
    ):
        assert (other - base).abs().max() > 1e-4


def test_coupling_is_the_best_of_all_permutations_by_place_and_presence() -> None:
    strokes, noise = torch.randn(3, 5, NUMBERS), torch.randn(3, 5, NUMBERS)
    coupled = coupled_noise(strokes, noise)
    weight = torch.tensor([1.0, 1.0, PRESENCE_WEIGHT])

    def cost(clip, order):
        return -float((strokes[clip][:, [0, 1, -1]] * weight * noise[clip][list(order)][:, [0, 1, -1]]).sum())

    for clip in range(3):
        best = min(itertools.permutations(range(5)), key=lambda order: cost(clip, order))
        torch.testing.assert_close(coupled[clip], noise[clip][list(best)])


def test_known_strokes_choose_their_noise_first() -> None:
    strokes, noise = torch.randn(1, 4, NUMBERS), torch.randn(1, 4, NUMBERS)
    first = torch.tensor([[False, True, False, False]])
    weight = torch.tensor([1.0, 1.0, PRESENCE_WEIGHT])
    gain = (strokes[0, 1, [0, 1, -1]] * weight * noise[0][:, [0, 1, -1]]).sum(1)
    coupled = coupled_noise(strokes, noise, first)
    torch.testing.assert_close(coupled[0, 1], noise[0, gain.argmax()])
    assert sorted(coupled[0, :, 0].tolist()) == sorted(noise[0, :, 0].tolist())
    # In sampling the others are not there: what the known stroke gets must not depend on them.
    other = strokes.clone()
    other[0, [0, 2, 3]] = 0
    torch.testing.assert_close(coupled_noise(other, noise, first)[0, 1], coupled[0, 1])


def test_the_prior_learns_a_set_whose_strokes_have_no_order() -> None:
    """One caption is two strokes left and right, the other one stroke in the middle; their mean is neither."""
    torch.manual_seed(0)
    prior = StrokeFlow(4, KNOWN, TEXT, width=32, layers=2, heads=2)
    text = captions()
    sets = torch.tensor([[[-2.0, 0.0, 1.0, 1.0], [2.0, 0.0, -1.0, 1.0]], [[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, -1.0]]])
    optimizer = torch.optim.Adam(prior.parameters(), 3e-3)
    generator = seeded()
    for _ in range(300):
        which = torch.randint(2, (64,), generator=generator)
        data = sets[which]
        data = torch.where(torch.rand(64, 1, 1, generator=generator) < 0.5, data, data.flip(1))  # no order
        noise = coupled_noise(data, torch.randn(data.shape, generator=generator))
        time = torch.rand(64, generator=generator)
        between = torch.lerp(data, noise, time[:, None, None])
        velocity = prior(between, time, torch.zeros_like(between), text.hidden[which], text.mask[which], None)
        loss = (velocity - (noise - data)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        tokens = torch.randn(100, 2, 4, generator=generator)
        which = torch.arange(100) % 2
        for step in range(20):
            time = torch.full((100,), 1 - step / 20)
            tokens = tokens - prior(tokens, time, 0 * tokens, text.hidden[which], text.mask[which], None) / 20
    two, one = tokens[::2], tokens[1::2]
    assert ((two[..., 0].sort(dim=1).values - torch.tensor([-2.0, 2.0])).abs().amax(1) < 0.7).float().mean() > 0.9
    assert ((two[..., 0] * two[..., 2]).lt(0).all(1)).float().mean() > 0.9  # what belongs together stays together
    assert ((one[..., -1] > 0).sum(1) == 1).float().mean() > 0.9


def test_the_number_of_numbers_is_that_of_the_network() -> None:
    vae = network()
    assert vae.prior.out.out_features == len(vae.mean) + 1

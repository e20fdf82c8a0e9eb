import numpy as np
import pytest
import torch

from sketch2video.curves import CurveSequence, render_ink


def strokes(*shape: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    coefficients = 0.1 * torch.randn(*shape, 2, 5, generator=generator, dtype=torch.float64)
    coefficients[..., 0] += 0.5
    return coefficients, torch.rand(*shape, generator=generator, dtype=torch.float64)


def test_gradients_agree_with_finite_differences():
    coefficients, visibility = (x.requires_grad_() for x in strokes(2, 3))
    assert torch.autograd.gradcheck(lambda c, v: render_ink(c, v, 6, 8, points=16), (coefficients, visibility))


def test_it_draws_what_a_supersampled_drawing_shows():
    coefficients, _ = strokes(3, 2)
    ours = render_ink(coefficients, torch.ones(3, 2, dtype=torch.float64), 64, 64, points=512, thickness=2.0).numpy()
    fine = CurveSequence(coefficients.numpy(), np.ones((3, 2))).render(64 * 8, 64 * 8, thickness=16) / 255.0
    theirs = fine.reshape(3, 64, 8, 64, 8).mean((2, 4))
    assert np.abs(ours - theirs).mean() < 0.02
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.95


def test_a_line_is_as_thick_as_asked():
    line = torch.tensor([[[0.5, -0.4], [0.5, 0.0]]], dtype=torch.float64)
    for thickness in (2.0, 5.0):
        middle = render_ink(line, torch.ones(1, dtype=torch.float64), 64, 64, points=256, thickness=thickness)[:, 32]
        assert float(middle.sum()) == pytest.approx(thickness, rel=0.25)
        assert float(middle.max()) > 0.85


def test_batches_do_not_mix():
    coefficients, visibility = strokes(2, 3, 4)
    together = render_ink(coefficients, visibility, 16, 24)
    assert together.shape == (2, 3, 16, 24)
    alone = torch.stack([render_ink(c, v, 16, 24) for c, v in zip(coefficients[0], visibility[0], strict=True)])
    torch.testing.assert_close(together[0], alone)


def test_ink_lies_between_0_and_1_and_follows_visibility():
    coefficients, visibility = strokes(2, 6)
    ink = render_ink(coefficients, visibility, 32, 32)
    assert float(ink.min()) >= 0
    assert float(ink.max()) <= 1
    assert not render_ink(coefficients, torch.zeros_like(visibility), 32, 32).any()


def test_descent_moves_a_stroke_onto_its_target():
    target = render_ink(torch.tensor([[[0.55, -0.3], [0.5, 0.0]]]), torch.ones(1), 32, 32, thickness=4.0)
    coefficients = torch.tensor([[[0.5, -0.25], [0.46, 0.02]]], requires_grad=True)
    optimiser = torch.optim.Adam([coefficients], lr=5e-3)
    losses = []
    for _ in range(60):
        loss = (render_ink(coefficients, torch.ones(1), 32, 32, thickness=4.0) - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.05 * losses[0]

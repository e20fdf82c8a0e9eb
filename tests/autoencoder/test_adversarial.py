import pytest
import torch

from sketch2video.autoencoder.adversarial import adaptive_weight, hinge_discriminator_loss, hinge_generator_loss


def test_the_hinge_counts_logits_within_the_margin() -> None:
    real, fake = torch.tensor([[2.0, 0.5], [-1.0, 1.0]]), torch.tensor([-3.0, 0.0, 2.0])
    assert hinge_discriminator_loss(real, fake) == pytest.approx((0 + 0.5 + 2 + 0) / 4 + (0 + 1 + 3) / 3)
    assert hinge_discriminator_loss(torch.zeros(5), torch.zeros(7)) == 2
    assert hinge_generator_loss(fake) == pytest.approx(1 / 3)


def test_the_generator_is_drawn_towards_what_passes_for_real() -> None:
    fake = torch.zeros(4, requires_grad=True)
    hinge_generator_loss(fake).backward()
    assert fake.grad is not None
    assert fake.grad.eq(-0.25).all()


def losses(scale: float) -> tuple[torch.nn.Parameter, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    layer = torch.nn.Parameter(torch.randn(4, 3))
    made = torch.randn(5, 3) @ layer.T
    return layer, made.abs().mean(), scale * made.tanh().sum()


@pytest.mark.parametrize("scale", [1e-2, 1.0, 30.0])
def test_the_adaptive_weight_makes_both_gradients_equally_long(scale: float) -> None:
    layer, reconstruction, adversarial = losses(scale)
    weight = adaptive_weight(reconstruction, adversarial, layer)
    assert not weight.requires_grad
    parts = (reconstruction, weight * adversarial)
    lengths = [float(torch.autograd.grad(part, layer, retain_graph=True)[0].norm()) for part in parts]
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-3)


def test_the_adaptive_weight_is_bounded() -> None:
    layer, reconstruction, adversarial = losses(0.0)
    assert adaptive_weight(reconstruction, adversarial, layer) == 1e4
    layer, reconstruction, adversarial = losses(1.0)
    assert adaptive_weight(0 * reconstruction, adversarial, layer) == 0

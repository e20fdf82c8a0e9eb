from copy import deepcopy

import pytest
import torch

from sketch2video.training.muon import Muon, orthogonalised


def parameters(seed: int) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((6, 4), (4, 6), (5, 5), (4, 6))
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def test_singular_values_come_near_one_and_their_vectors_stay() -> None:
    matrices = torch.randn(3, 5, 9)
    turned = orthogonalised(matrices)
    assert (torch.linalg.svdvals(turned) - 1).abs().max() < 0.35
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    exact = left @ right  # the nearest matrix whose singular values are one
    assert torch.nn.functional.cosine_similarity(turned.flatten(1), exact.flatten(1)).min() > 0.97


@pytest.mark.filterwarnings("ignore")
def test_matrices_are_updated_as_by_pytorchs_muon() -> None:
    """PyTorch's iterates in bfloat16, one matrix after another."""
    ours, theirs = parameters(0), parameters(0)
    optimizer = Muon([{"params": ours, "matrices": True}], 1e-2, weight_decay=0.1)
    reference = torch.optim.Muon(theirs, 1e-2, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    for step in range(3):
        for one, other, gradient in zip(ours, theirs, parameters(step + 1), strict=True):
            one.grad, other.grad = gradient.detach().clone(), gradient.detach().clone()
        optimizer.step()
        reference.step()
    start = parameters(0)
    for one, other, begin in zip(ours, theirs, start, strict=True):
        assert (one - begin).abs().max() > 1e-3
        torch.testing.assert_close(one - begin, other - begin, atol=1e-3, rtol=0.05)


def test_a_kernel_is_a_matrix_with_a_row_an_output_channel() -> None:
    kernel, gradient = torch.randn(2, 6, 4, 3, 3).unbind()
    found, expected = torch.nn.Parameter(kernel.clone()), torch.nn.Parameter(kernel.flatten(1).clone())
    found.grad, expected.grad = gradient, gradient.flatten(1)
    for parameter in (found, expected):
        Muon([{"params": [parameter], "matrices": True}], 1e-2, weight_decay=0.1).step()
    assert not torch.equal(found, kernel)
    assert torch.equal(found.flatten(1), expected)


def test_other_groups_are_updated_as_by_adamw() -> None:
    ours, theirs = parameters(0), parameters(0)
    matrices = torch.nn.Parameter(torch.randn(3, 3))
    optimizer = Muon([{"params": ours}, {"params": [matrices], "matrices": True}], 1e-2, weight_decay=0.1)
    reference = torch.optim.AdamW(theirs, 1e-2, weight_decay=0.1)
    for step in range(3):
        for one, other, gradient in zip(ours, theirs, parameters(step + 1), strict=True):
            one.grad, other.grad = gradient.detach().clone(), gradient.detach().clone()
        optimizer.step()
        reference.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert matrices.grad is None


def test_state_comes_back_from_a_saved_one() -> None:
    ours, theirs = parameters(0), parameters(0)
    first = Muon([{"params": ours, "matrices": True}], 1e-2)
    second = Muon([{"params": theirs, "matrices": True}], 1e-2)
    for one, gradient in zip(ours, parameters(1), strict=True):
        one.grad = gradient.detach().clone()
    first.step()
    for one, other in zip(ours, theirs, strict=True):
        other.data.copy_(one.data)
    second.load_state_dict(deepcopy(first.state_dict()))
    for one, other, gradient in zip(ours, theirs, parameters(2), strict=True):
        one.grad, other.grad = gradient.detach().clone(), gradient.detach().clone()
    first.step()
    second.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)

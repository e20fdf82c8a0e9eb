import math

import pytest
import torch

from sketch2video.tokens.vqgan.codebook import DEAD_BELOW, SMOOTHING, Codebook, perplexity


def vectors(count: int = 2, width: int = 3, height: int = 4, breadth: int = 5) -> torch.Tensor:
    return torch.randn(count, width, height, breadth, generator=torch.Generator().manual_seed(count))


@pytest.fixture
def codebook() -> Codebook:
    """Seven codes, all of them alive."""
    torch.manual_seed(0)
    book = Codebook(7, 3)
    book.counts.fill_(10.0)
    book.sums.copy_(book.codes * 10)
    return book


def test_every_vector_becomes_its_nearest_code(codebook: Codebook) -> None:
    z = vectors()
    quantised = codebook.eval()(z)
    squares = 0.0
    for n in range(2):
        for row in range(4):
            for column in range(5):
                distances = [(z[n, :, row, column] - code).square().sum() for code in codebook.codes]
                nearest = min(range(7), key=distances.__getitem__)
                assert quantised.indices[n, row, column] == nearest
                assert torch.equal(quantised.embedding[n, :, row, column], codebook.codes[nearest])
                squares += float(distances[nearest])
    assert quantised.commitment == pytest.approx(squares / z.numel(), rel=1e-5)


def test_codes_follow_their_vectors_as_published(codebook: Codebook) -> None:
    z, before = vectors(), {name: tensor.clone() for name, tensor in codebook.state_dict().items()}
    indices = codebook.train()(z).indices
    counts, sums = before["counts"].double(), before["sums"].double()
    for k in range(7):
        mine = [z[n, :, i, j] for n in range(2) for i in range(4) for j in range(5) if indices[n, i, j] == k]
        counts[k] = 0.99 * counts[k] + 0.01 * len(mine)
        sums[k] = 0.99 * sums[k] + 0.01 * sum(mine, torch.zeros(3))
    total = counts.sum()
    for k in range(7):
        smoothed = (counts[k] + SMOOTHING) / (total + 7 * SMOOTHING) * total
        torch.testing.assert_close(codebook.codes[k].double(), sums[k] / smoothed, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(codebook.counts.double(), counts, rtol=1e-5, atol=1e-6)


def test_nothing_moves_in_evaluation_mode(codebook: Codebook) -> None:
    before = {name: tensor.clone() for name, tensor in codebook.state_dict().items()}
    codebook.eval()(vectors())
    assert all(torch.equal(tensor, before[name]) for name, tensor in codebook.state_dict().items())


def test_the_gradient_goes_straight_through(codebook: Codebook) -> None:
    z, weights = vectors().requires_grad_(), torch.randn(2, 3, 4, 5)
    (codebook.eval()(z).embedding * weights).sum().backward()
    assert z.grad is not None
    assert torch.equal(z.grad, weights)
    z.grad = None
    quantised = codebook(z)
    quantised.commitment.backward()
    torch.testing.assert_close(z.grad, 2 * (z - quantised.embedding).detach() / z.numel())


def test_the_first_batch_is_where_codes_begin() -> None:
    torch.manual_seed(0)
    z, book = vectors(), Codebook(7, 3)
    assert len(book.train()(z).indices.unique()) == 7
    book._revive(z.movedim(1, -1).flatten(0, -2))  # all are alive: nothing happens
    assert book.counts.gt(DEAD_BELOW * 40 / 7 * 0.9).all()


def test_a_dead_code_is_put_to_a_vector_of_the_batch(codebook: Codebook) -> None:
    z, away = vectors(), torch.full((3,), 1e3)
    codebook.codes[4], codebook.counts[4], codebook.sums[4] = away, 0.0, away * 0
    alive = codebook.codes[:4].clone()
    codebook._revive(z.movedim(1, -1).flatten(0, -2))
    assert (z == codebook.codes[4].view(3, 1, 1)).all(1).any()
    assert torch.equal(codebook.codes[:4], alive)
    assert (codebook.train()(z).indices == 4).any()


def test_fewer_vectors_than_codes_are_enough() -> None:
    book = Codebook(50, 3)
    assert torch.isfinite(book.train()(vectors(1, 3, 2, 2)).embedding).all()
    assert torch.isfinite(book.codes).all()


def test_autocast_changes_nothing() -> None:
    torch.manual_seed(0)
    book, z = Codebook(64, 16).eval(), vectors(4, 16, 8, 8)
    plain = book(z)
    with torch.autocast("cpu", torch.bfloat16):
        cast = book(z)
        embedded = book.embed(plain.indices)
        mixed = book.embed(torch.nn.functional.one_hot(plain.indices, 64).to(torch.bfloat16))
    assert torch.equal(cast.indices, plain.indices)
    assert torch.equal(cast.embedding, plain.embedding)
    assert torch.equal(embedded, plain.embedding)
    assert torch.equal(mixed, plain.embedding)


def test_one_hot_vectors_stand_for_codes_and_carry_gradients(codebook: Codebook) -> None:
    indices = codebook.eval()(vectors()).indices
    mixture = torch.nn.functional.one_hot(indices, 7).float().requires_grad_()
    torch.testing.assert_close(codebook.embed(mixture), codebook.embed(indices), rtol=0, atol=0)
    weights = torch.randn(2, 3, 4, 5)
    (codebook.embed(mixture) * weights).sum().backward()
    torch.testing.assert_close(mixture.grad, torch.einsum("ndhw,kd->nhwk", weights, codebook.codes))


def test_perplexity_counts_codes_in_use() -> None:
    assert perplexity(torch.arange(6).repeat(5).view(3, 10), 20) == pytest.approx(6.0)
    assert perplexity(torch.full((4, 4), 3), 20) == pytest.approx(1.0)
    uneven = torch.tensor([0, 0, 0, 1])
    assert perplexity(uneven, 2) == pytest.approx(math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)))

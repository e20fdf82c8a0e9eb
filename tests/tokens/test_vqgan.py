import pytest
import torch
from torch.nn import functional

from sketch2video.errors import UserError
from sketch2video.tokens.vqgan.network import HierarchicalVQGAN, load_vqgan


def network(levels: int = 2, halvings: int = 2) -> HierarchicalVQGAN:
    """A network whose codes have seen a batch and whose residual blocks do something."""
    torch.manual_seed(0)
    model = HierarchicalVQGAN(levels, codes=12, code_width=4, halvings=halvings, width=16, blocks=1)
    for name, parameter in model.named_parameters():
        if name.endswith("second.weight"):
            torch.nn.init.normal_(parameter, std=0.05)
    with torch.no_grad():
        model.train()(frames())
    return model.eval()


def frames(count: int = 2, height: int = 32, width: int = 32) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(count)) * 2 - 1


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_every_level_has_half_the_rows_and_columns_of_the_finer_one(levels: int) -> None:
    model = network(levels)
    pictures = frames(3, 32, 48)
    tokens = model.encode(pictures)
    assert [tuple(level.shape) for level in tokens] == [(3, 8, 12), (3, 4, 6), (3, 2, 3)][:levels]
    assert all(level.dtype == torch.int64 and level.min() >= 0 and level.max() < 12 for level in tokens)
    assert model.decode(tokens).shape == (3, 3, 32, 48)
    assert model.sides(32) == [8, 4, 2][:levels]
    assert model.tokens(32) == [64, 80, 84][levels - 1]


def test_the_defaults_make_eighty_tokens_of_a_frame() -> None:
    assert HierarchicalVQGAN(width=16).tokens(64) == 80


def test_tokens_are_all_that_the_decoder_sees() -> None:
    model, pictures = network(), frames()
    assert torch.equal(model.decode(model.encode(pictures)), model(pictures))


def test_one_hot_vectors_decode_as_their_tokens_and_carry_gradients() -> None:
    model = network()
    tokens = model.encode(frames())
    mixtures = [functional.one_hot(level, 12).float().requires_grad_() for level in tokens]
    decoded = model.decode(mixtures)
    torch.testing.assert_close(decoded, model.decode(tokens))
    decoded.square().sum().backward()
    for mixture in mixtures:
        assert mixture.grad is not None
        assert mixture.grad.abs().amax(-1).gt(0).all()


@pytest.mark.parametrize("level", [0, 1, 2])
def test_every_level_matters(level: int) -> None:
    model = network(levels=3)
    tokens = model.encode(frames())
    changed = list(tokens)
    changed[level] = (tokens[level] + 1) % 12
    assert (model.decode(changed) - model.decode(tokens)).abs().max() > 1e-3


def test_coarse_codes_condition_the_fine_ones() -> None:
    model, pictures = network(), frames()
    tokens = model.encode(pictures)
    model.codebooks[1].codes.copy_(3 * torch.randn(12, 4))
    assert not torch.equal(model.encode(pictures)[0], tokens[0])


def test_gradients_reach_every_parameter() -> None:
    model = network(levels=3).train()
    levels = model.quantise(frames())
    decoded = model.decode_embeddings([level.embedding for level in levels])
    (decoded.square().mean() + sum(level.commitment for level in levels)).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_pixels_come_from_the_last_layer() -> None:
    model = network()
    model.last_layer.data.zero_()
    decoded = model(frames())
    assert torch.equal(decoded[..., ::2, ::2], decoded[:1, :, :1, :1].expand(2, 3, 16, 16))  # biases alone are left


def test_a_frame_that_cannot_be_halved_is_refused() -> None:
    model = network()
    with pytest.raises(ValueError, match="is 36, but must be a multiple of 8"):
        model.quantise(torch.zeros(1, 3, 32, 36))
    with pytest.raises(ValueError, match="multiple of 8"):
        model.sides(12)


def test_a_saved_network_gives_the_same_tokens_and_frames(tmp_path) -> None:
    model, pictures = network(), frames()
    model.save_pretrained(tmp_path / "vqgan")
    loaded = load_vqgan(tmp_path / "vqgan")
    tokens = model.encode(pictures)
    assert all(torch.equal(a, b) for a, b in zip(loaded.encode(pictures), tokens, strict=True))
    assert torch.equal(loaded.decode(tokens), model.decode(tokens))
    state = loaded.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert {path.suffix for path in (tmp_path / "vqgan").iterdir()} == {".json", ".safetensors"}


def test_a_missing_network_is_named(tmp_path) -> None:
    with pytest.raises(UserError, match=r"nowhere.*train_vqgan"):
        load_vqgan(tmp_path / "nowhere")


def test_tokens_depend_on_what_is_near_them_alone() -> None:
    """Else an object that moves changes the tokens of the ground behind it all over the frame."""
    model = network(levels=3)
    still = frames(1, 96, 96)
    moved = still.clone()
    moved[..., :8, :8] = -moved[..., :8, :8]
    changed = [a != b for a, b in zip(model.encode(still), model.encode(moved), strict=True)]
    for level, tokens in enumerate(changed):
        span = 96 // tokens.shape[-1]
        reach = -(-24 // span)  # of the pixels around a token, in tokens
        assert not tokens[:, reach:].any()
        assert not tokens[:, :, reach:].any(), level
    assert changed[0].any()

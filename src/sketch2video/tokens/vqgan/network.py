"""The hierarchical VQGAN: frame <-> tokens on several grids, coarse ones for the layout, fine ones for detail.

Encoder and decoder of Esser et al. 2021 ("Taming Transformers for High-Resolution Image Synthesis") with the hierarchy
of Razavi et al. 2019 ("Generating Diverse High-Fidelity Images with VQ-VAE-2", section 3.1): quantisation goes from the
coarsest level down, and each level is conditioned on the codes of the coarser ones. Resolution changes as in the frame
autoencoder. A discriminator and a perceptual distance are used in training alone.

A token depends on the pixels around it alone: the encoder's convolutions have a small receptive field, no layer
normalises over the picture, and coarser codes are passed down position by position. Otherwise a moving object changes
tokens of the background all over the frame (a third of them, measured), which flickers and cannot be predicted. The
decoder has a larger receptive field.

In all lists here the finest level, the bottom, comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn
from torch.nn import functional

from sketch2video.autoencoder.folding import ResidualBlock, channels_by_level, encoder_trunk, enlargement
from sketch2video.networks.blocks import LayerNorm2d
from sketch2video.networks.loading import load_frozen
from sketch2video.tokens.vqgan.codebook import Codebook, Quantised


class HierarchicalVQGAN(ModelMixin, ConfigMixin):
    """Frames to tokens of several levels and back.

    Args:
        levels: number of grids of tokens; each has half as many rows and columns as the next finer one.
        codes: K, number of codes of each level's codebook.
        code_width: D, width of a code.
        halvings: the bottom grid is 2**halvings times smaller than the frame along both axes.
        width: channels at all levels, a multiple of 8 and at least 16; halved at each doubling of the resolution above
            the bottom grid's.
        blocks: residual blocks at each level, of encoder and decoder; one at each finer resolution.
    """

    @register_to_config
    def __init__(
        self,
        levels: int = 2,
        codes: int = 512,
        code_width: int = 16,
        halvings: int = 3,
        width: int = 128,
        blocks: int = 2,
    ) -> None:
        super().__init__()
        channels = channels_by_level(width, halvings)
        trunk = [
            nn.PixelUnshuffle(2),
            nn.Conv2d(3 * 4, channels[0], 3, padding=1),
            encoder_trunk(channels, blocks, local=True),
        ]
        self.features = nn.ModuleList([nn.Sequential(*trunk)])
        self.told = nn.ModuleList()  # from codes to features of the next finer grid; the name is a key of saved weights
        self.upwards = nn.ModuleList()
        for _ in range(levels - 1):
            self.features.append(encoder_trunk([width, width], blocks, local=True)[1:])
            self.told.append(nn.Sequential(nn.Conv2d(code_width, width, 1), enlargement([width, width], 1)))
            self.upwards.append(enlargement([width, width], 1))
        self.to_code = nn.ModuleList(
            nn.Sequential(LayerNorm2d(width), nn.Conv2d(width, code_width, 1)) for _ in range(levels)
        )
        self.codebooks = nn.ModuleList(Codebook(codes, code_width) for _ in range(levels))
        self.from_code = nn.ModuleList(nn.Conv2d(code_width, width, 3, padding=1) for _ in range(levels))
        self.chain = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(width, local=True) for _ in range(blocks))) for _ in range(levels)
        )
        self.decoder = nn.Sequential()
        for level in reversed(range(1, halvings)):
            self.decoder.append(enlargement(channels, level))
            self.decoder.append(ResidualBlock(channels[level - 1], local=True))
        self.to_pixels = enlargement(channels, 0)

    @property
    def last_layer(self) -> Tensor:
        """Weight of the last layer; see :func:`~sketch2video.autoencoder.adversarial.adaptive_weight`."""
        return cast(Tensor, self.to_pixels[0].weight)

    def sides(self, size: int) -> list[int]:
        """Tokens along an axis of each level's grid, for frames of ``size`` pixels along it.

        Raises:
            ValueError: ``size`` cannot be halved often enough.
        """
        config = self.config
        factor = 2 ** (config.halvings + config.levels - 1)
        if size % factor:
            raise ValueError(f"a frame's side is {size}, but must be a multiple of {factor}")
        return [size // 2 ** (config.halvings + level) for level in range(config.levels)]

    def tokens(self, size: int) -> int:
        """Number of tokens of a frame of ``size`` x ``size`` pixels, all levels together."""
        return sum(side**2 for side in self.sides(size))

    def quantise(self, frames: Tensor) -> list[Quantised]:
        """Codes of frames, one entry for each level; in training mode the codebooks are updated.

        Args:
            frames: (N, 3, H, W) in [-1, 1].

        Raises:
            ValueError: a side cannot be halved often enough.
        """
        for size in frames.shape[-2:]:
            self.sides(size)
        features = [self.features[0](frames)]
        for fold in self.features[1:]:
            features.append(fold(features[-1]))
        quantised: list[Quantised] = []
        coarser = None
        for level in reversed(range(len(features))):
            conditioned = features[level] if coarser is None else features[level] + coarser
            quantised.insert(0, self.codebooks[level](self.to_code[level](conditioned)))
            if level:
                coarser = self._to_finer(level, quantised[0].embedding, coarser)
        return quantised

    @apply_forward_hook
    def encode(self, frames: Tensor) -> list[Tensor]:
        """Tokens of frames, int64 (N, h, w) for each level; see :meth:`quantise`."""
        return [level.indices for level in self.quantise(frames)]

    @apply_forward_hook
    def decode(self, codes: Sequence[Tensor]) -> Tensor:
        """Frames of tokens.

        Args:
            codes: for each level int64 (N, h, w), or float (N, h, w, K), one-hot or mixed, which receives gradients.

        Returns:
            (N, 3, H, W), about [-1, 1]; not clamped, so that a loss keeps its gradient.
        """
        books = cast(Iterable[Codebook], self.codebooks)
        return self.decode_embeddings([book.embed(level) for book, level in zip(books, codes, strict=True)])

    def decode_embeddings(self, embeddings: Sequence[Tensor]) -> Tensor:
        """Frames, as of :meth:`decode`, from codes (N, D, h, w) of each level."""
        context = None
        for level in reversed(range(len(self.codebooks))):
            context = self._context(level, embeddings[level], context)
        return self.to_pixels(self.decoder(context))

    def forward(self, frames: Tensor) -> Tensor:
        """Reconstruction of frames (N, 3, H, W)."""
        return self.decode_embeddings([level.embedding for level in self.quantise(frames)])

    def _to_finer(self, level: int, embedding: Tensor, coarser: Tensor | None) -> Tensor:
        """Features of the codes down to a level on the next finer grid, for its quantisation."""
        finer = self.told[level - 1](embedding)
        return finer if coarser is None else finer + functional.interpolate(coarser, scale_factor=2.0)

    def _context(self, level: int, embedding: Tensor, coarser: Tensor | None) -> Tensor:
        """Decoder features of the codes down to a level, on the next finer grid; at level 0 on the bottom grid."""
        x = self.from_code[level](embedding)
        x = self.chain[level](x if coarser is None else coarser + x)
        return self.upwards[level - 1](x) if level else x


def load_vqgan(folder: Path | str) -> HierarchicalVQGAN:
    """A trained hierarchical VQGAN, frozen and in evaluation mode.

    Raises:
        UserError: the folder is missing or damaged.
    """
    return load_frozen(HierarchicalVQGAN, folder, "train_vqgan")

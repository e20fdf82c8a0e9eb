"""The curve VAE: caption and noise -> the strokes of a whole clip.

A clip is a function of time t in [0, 1]. What the decoder predicts for stroke s are series *in time*, near kin of the
equation that draws a stroke in space::

    q_s(t) = sum_j w_{s,j} cos(j pi t) + w'_{s,j} sin(j pi t)        q in {place, log size, visibility logit, shape}

so that a sequence may have any number of frames and moves smoothly. A stroke's harmonics are split into *place* (k = 0,
the centroid of its points), *size* (their root mean square distance from it) and *shape* (k >= 1, divided by the size),
each of which a word of the caption can set without the others.

The latent z of a clip is what the caption leaves open. Its posterior is held near a standard normal (Kingma & Welling
2014, eq. 10; free bits: Kingma et al. 2016, appendix C.8), which pushes what the caption says into the decoder's text
conditioning, where words for shape and for motion can be combined anew. What dependence on the caption is left, and the
form of the aggregate posterior, is learned by a prior conditioned on the caption (:class:`LatentFlow`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor, nn
from torch.nn import functional

from sketch2video.models.blocks import Attention, FeedForward, timestep_features

VISIBLE = 0.5
MIN_SIZE = 1e-3
"""Frame widths; a stroke smaller than this is a dot whose shape cannot be told."""
NEGLIGIBLE = 5e-4
"""Frame widths, root mean square; harmonics that together move a line less than this are left out of samples."""
LOG_VARIANCE_RANGE = (-10.0, 4.0)
ENCODER_TIME_TERMS = 8
TIME_FEATURES = 64
MOTION_MIDDLE = (0.5, 0.5, -2.0, 0.0)
MOTION_SCALE = (0.3, 0.3, 0.5, 5.0)
"""Middle and scale of what moves: place x and y, log size, visibility logit. A network works with numbers about one."""


class Posterior(NamedTuple):
    """A diagonal Gaussian over the latent, both (N, Z)."""

    mean: Tensor
    log_variance: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """Reparametrised sample for standard normal ``noise`` (N, Z)."""
        return self.mean + torch.exp(0.5 * self.log_variance) * noise

    def kl(self) -> Tensor:
        """Divergence from the standard normal, nats a dimension: (N, Z)."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance)


class Strokes(NamedTuple):
    """Strokes taken apart.

    Attributes:
        place: (N, T, S, 2) centroid, frame widths.
        log_size: (N, T, S) natural logarithm of the root mean square distance from the centroid, frame widths.
        shape: (N, T, S, 2, K - 1) harmonics k >= 1 over the size.
        visibility: (N, T, S), logits where the decoder made them, values in [0, 1] where they are data.
    """

    place: Tensor
    log_size: Tensor
    shape: Tensor
    visibility: Tensor

    def coefficients(self) -> Tensor:
        """The strokes put together again: (N, T, S, 2, K) frame widths."""
        return torch.cat([self.place[..., None], self.shape * self.log_size.exp()[..., None, None]], dim=-1)


def take_apart(coefficients: Tensor, visibility: Tensor) -> Strokes:
    """Split coefficients (N, T, S, 2, K) into place, size and shape; the inverse of :meth:`Strokes.coefficients`.

    By Parseval the mean square distance of a stroke from its centroid is half the sum of its squared harmonics k >= 1.
    """
    place, harmonics = coefficients[..., 0], coefficients[..., 1:]
    size = harmonics.square().sum((-2, -1)).div(2).sqrt().clamp_min(MIN_SIZE)
    return Strokes(place, size.log(), harmonics / size[..., None, None], visibility)


def cosine_basis(at: Tensor, harmonics: int) -> Tensor:
    """cos(k pi u) for positions ``at`` (P,): (P, harmonics)."""
    return torch.cos(math.pi * at[:, None] * torch.arange(harmonics, device=at.device, dtype=at.dtype))


def time_basis(times: Tensor, terms: int) -> Tensor:
    """1, cos(pi t), sin(pi t), cos(2 pi t), sin(2 pi t) ... for ``times`` (T,): (T, terms).

    The period is twice the clip, so that a motion need not end where it began; without the sines everything would have
    to stand still at both ends.
    """
    angle = math.pi * times[:, None] * torch.arange(1, terms // 2 + 1, device=times.device, dtype=times.dtype)
    waves = torch.stack([angle.cos(), angle.sin()], dim=-1).flatten(1)
    return torch.cat([torch.ones_like(times)[:, None], waves], dim=-1)[:, :terms]


class CurveVAE(ModelMixin, ConfigMixin):
    """Text-conditioned variational autoencoder of curve sequences.

    Args:
        strokes: S, most strokes a frame.
        harmonics: K, most harmonics a stroke.
        text_width: D, width of the text encoder's hidden states.
        width: of the hidden layers.
        layers: of the decoder; the encoder has half as many.
        heads: of the attention.
        latent_dim: Z, numbers in the latent of a clip.
        time_terms: J, terms of the series in time, sines and cosines.
        budget: most numbers a frame that :meth:`sample` gives back, visibilities counted.
    """

    @register_to_config
    def __init__(
        self,
        strokes: int,
        harmonics: int,
        text_width: int,
        width: int = 128,
        layers: int = 2,
        heads: int = 4,
        latent_dim: int = 32,
        time_terms: int = 16,
        budget: int = 288,
    ) -> None:
        super().__init__()
        # Harmonics of a line with corners fall like 1 / k^2; after this all of them are of the same order.
        falling = torch.arange(1, harmonics, dtype=torch.float32).pow(-1.5)
        self.register_buffer("harmonic_scale", falling, persistent=False)

        self.frame_in = nn.Sequential(nn.Linear(2 * harmonics + 2, width), nn.SiLU(), nn.Linear(width, width))
        self.series_in = nn.Linear(ENCODER_TIME_TERMS * width, width)
        self.encoder_strokes = nn.Parameter(0.5 * torch.randn(strokes, width))
        self.encoder_fps = _FrameRate(width)
        self.encoder = nn.ModuleList(_Block(width, heads) for _ in range(max(layers // 2, 1)))
        self.posterior_out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * latent_dim))

        self.prior = LatentFlow(latent_dim, text_width, 2 * width)

        self.latent_in = nn.Linear(latent_dim, width)
        self.decoder_strokes = nn.Parameter(0.5 * torch.randn(strokes, width))
        self.decoder_fps = _FrameRate(width)
        self.decoder = nn.ModuleList(_Block(width, heads, text_width) for _ in range(layers))
        self.shape_out = _Head(width, time_terms * 2 * (harmonics - 1))
        self.motion_out = _Head(width, time_terms * len(MOTION_SCALE))
        self.register_buffer("motion_scale", torch.tensor(MOTION_SCALE), persistent=False)
        self.register_buffer("motion_middle", torch.tensor(MOTION_MIDDLE), persistent=False)

    def encode(self, coefficients: Tensor, visibility: Tensor, fps: Tensor) -> Posterior:
        """The posterior over the latent of clips.

        Args:
            coefficients: (N, T, S, 2, K) frame widths; what is in invisible strokes has no influence.
            visibility: (N, T, S) in [0, 1].
            fps: (N,) frames a second.
        """
        frames = coefficients.shape[1]
        strokes = take_apart(coefficients, visibility)
        features = torch.cat(
            [
                (strokes.place - self.motion_middle[:2]) / self.motion_scale[:2],
                (strokes.log_size[..., None] - self.motion_middle[2]) / self.motion_scale[2],
                visibility[..., None],
                (strokes.shape / self.harmonic_scale).flatten(-2),
            ],
            dim=-1,
        )
        tokens = self.frame_in(features) * visibility[..., None]
        basis = time_basis(frame_times(frames, tokens.device), ENCODER_TIME_TERMS) / frames
        tokens = torch.einsum("ntsd,tj->nsjd", tokens, basis.to(tokens.dtype)).flatten(-2)
        x = torch.cat([self.encoder_fps(fps)[:, None], self.series_in(tokens) + self.encoder_strokes], dim=1)
        seen = functional.pad((visibility > VISIBLE).any(1), (1, 0), value=True)
        for block in self.encoder:
            x = block(x, mask=seen)
        mean, log_variance = self.posterior_out(x[:, 0]).float().chunk(2, dim=-1)
        return Posterior(mean, log_variance.clamp(*LOG_VARIANCE_RANGE))

    def decode(self, latents: Tensor, text_hidden: Tensor, text_mask: Tensor, times: Tensor, fps: Tensor) -> Strokes:
        """Strokes of clips.

        Args:
            latents: (N, Z).
            text_hidden: (N, L, D) hidden states of the caption.
            text_mask: (N, L) bool, true at words.
            times: (T,) in [0, 1]; 0 is the first frame and 1 the last.
            fps: (N,) frames a second.

        Returns:
            Strokes whose visibility is logits.
        """
        clip = (self.latent_in(latents) + self.decoder_fps(fps))[:, None]
        x = torch.cat([clip, clip + self.decoder_strokes], dim=1)
        for block in self.decoder:
            x = block(x, context=text_hidden, context_mask=text_mask)
        basis = time_basis(times.float(), self.config.time_terms)
        motion = _series(self.motion_out(x[:, 1:]), basis) * self.motion_scale + self.motion_middle
        shape = _series(self.shape_out(x[:, 1:]), basis).unflatten(-1, (2, -1)) * self.harmonic_scale
        return Strokes(motion[..., :2], motion[..., 2], shape, motion[..., 3])

    @torch.no_grad()
    def sample(
        self,
        text_hidden: Tensor,
        text_mask: Tensor,
        num_frames: int,
        fps: float | Tensor,
        generator: torch.Generator | list[torch.Generator] | None = None,
        temperature: float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """Draw clips for captions.

        Args:
            text_hidden: (N, L, D) hidden states; those of the empty caption draw anything.
            text_mask: (N, L) bool.
            num_frames: T.
            fps: frames a second, one for all or (N,).
            generator: source of the noise; one for each caption makes a sample independent of its batch.
            temperature: scale of the noise; below 1 samples are more typical and less varied.

        Returns:
            Coefficients (N, T, S, 2, K) float32 in frame widths, at most ``config.budget`` numbers a frame, and
            visibility (N, T, S) float32, the probability that a stroke is drawn; zero where it is under one half.
        """
        count = len(text_hidden)
        noise = randn_tensor((count, self.config.latent_dim), generator=generator, device=text_hidden.device)
        latents = self.prior.sample(noise * temperature, text_hidden, text_mask)
        rates = torch.as_tensor(fps, dtype=torch.float32, device=text_hidden.device).expand(count)
        strokes = self.decode(latents, text_hidden, text_mask, frame_times(num_frames, text_hidden.device), rates)
        probability = strokes.visibility.sigmoid()
        visibility = probability * (probability > VISIBLE)
        return within_budget(strokes.coefficients(), visibility, self.config.budget), visibility


class LatentFlow(nn.Module):
    """The prior p(z | caption): a continuous normalising flow, trained by flow matching on straight lines.

    Lipman et al. 2023, eq. 23, in the conventions of :mod:`~sketch2video.models.flow_matching`: latents at time 0,
    noise at time 1. Unlike one Gaussian it can follow latents that lie on a ring or in several heaps, such as the phase
    and the direction of a circular motion.

    Args:
        latent_dim: Z.
        text_width: D, width of the text's hidden states.
        width: of the hidden layers.
        queries: how many softly chosen words of the caption are looked at.
    """

    def __init__(self, latent_dim: int, text_width: int, width: int, queries: int = 4) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(queries, text_width) * text_width**-0.5)
        self.text_in = nn.Linear(queries * text_width, width)
        self.latent_in = nn.Linear(latent_dim, width)
        self.time_in = nn.Linear(TIME_FEATURES, width)
        self.hidden = nn.ModuleList(nn.Sequential(nn.LayerNorm(width), FeedForward(width)) for _ in range(2))
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, latent_dim))

    def forward(self, latents: Tensor, time: Tensor, text_hidden: Tensor, text_mask: Tensor) -> Tensor:
        """The velocity noise - latent.

        Args:
            latents: (N, M, Z), M points for each caption.
            time: (N, M) in [0, 1].
            text_hidden: (N, L, D).
            text_mask: (N, L) bool.

        Returns:
            (N, M, Z)
        """
        score = torch.einsum("qd,nld->nql", self.query, text_hidden).masked_fill(~text_mask[:, None], -torch.inf)
        text = self.text_in(torch.einsum("nql,nld->nqd", score.softmax(-1), text_hidden).flatten(1))
        moment = self.time_in(timestep_features(time.flatten(), TIME_FEATURES)).view(*time.shape, -1)
        x = self.latent_in(latents) + moment + text[:, None]
        for layer in self.hidden:
            x = x + layer(x)
        return self.out(x)

    def sample(self, noise: Tensor, text_hidden: Tensor, text_mask: Tensor, steps: int = 20) -> Tensor:
        """Latents (N, Z) that the flow carries ``noise`` (N, Z) to, by the midpoint method."""
        z = noise[:, None]
        for i in range(steps):
            time = torch.full_like(z[..., 0], 1 - i / steps)
            middle = z - self(z, time, text_hidden, text_mask) / (2 * steps)
            z = z - self(middle, time - 1 / (2 * steps), text_hidden, text_mask) / steps
        return z[:, 0]


def within_budget(coefficients: Tensor, visibility: Tensor, budget: int) -> Tensor:
    """Zero what is not missed, and what is least missed, until a frame takes at most ``budget`` numbers.

    Strokes lose their highest harmonics, wherever the least energy lies in and above them: what stays are the
    harmonics with the largest *tails*, and a tail never grows with k. One choice holds for a whole clip, so that
    nothing flickers. Strokes that are not visible become zero.

    Args:
        coefficients: (N, T, S, 2, K), frame widths.
        visibility: (N, T, S); all S of them count against the budget.
        budget: numbers a frame.
    """
    count, _, strokes, _, harmonics = coefficients.shape
    seen = visibility > VISIBLE
    coefficients = coefficients * seen[..., None, None]
    energy = coefficients.square().sum((1, 3)) / (2 * seen.sum(1).clamp_min(1))[..., None]  # Parseval: mean square
    tails = energy.flip(-1).cumsum(-1).flip(-1)  # (N, S, K)
    needed = tails > NEGLIGIBLE**2
    tails[..., 0].masked_fill_(seen.any(1), torch.inf)  # every stroke has a place before any has detail
    pairs = min((budget - strokes) // 2, strokes * harmonics)
    kept = torch.zeros(count, strokes * harmonics, dtype=torch.bool, device=coefficients.device)
    kept.scatter_(1, tails.flatten(1).topk(pairs, dim=1).indices, True)
    return coefficients * (kept.view_as(needed) & needed)[:, None, :, None]


def frame_times(frames: int, device: torch.device | None = None) -> Tensor:
    """Where T frames lie in a clip: (T,) from 0 to 1; a single frame is the first."""
    return torch.linspace(0, 1, frames, device=device)


def _series(weights: Tensor, basis: Tensor) -> Tensor:
    """Sum series in time: weights (N, S, J Q) and basis (T, J) -> (N, T, S, Q) float32.

    Not in bfloat16, which would let points tremble by a tenth of a pixel.
    """
    with torch.autocast(weights.device.type, enabled=False):
        return torch.einsum("nsjq,tj->ntsq", weights.float().unflatten(-1, (basis.shape[1], -1)), basis)


class _Block(nn.Module):
    """Tokens look at each other, and at the caption if they have one."""

    def __init__(self, width: int, heads: int, context_width: int | None = None) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        if context_width is not None:
            self.norm_text = nn.LayerNorm(width)
            self.text_attention = Attention(width, heads, context_width)
        self.norm2 = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, context: Tensor | None = None, context_mask: Tensor | None = None
    ) -> Tensor:
        x = x + self.attention(self.norm1(x), mask=mask)
        if context is not None:
            x = x + self.text_attention(self.norm_text(x), context, context_mask)
        return x + self.feed_forward(self.norm2(x))


class _FrameRate(nn.Sequential):
    """A token for the frame rate: (N,) -> (N, width)."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.Linear(1, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, fps: Tensor) -> Tensor:
        return super().forward(torch.log2(fps.float().clamp_min(0.1) / 8)[:, None])


class _Head(nn.Sequential):
    """From a stroke's token to its numbers, which start near zero."""

    def __init__(self, width: int, numbers: int) -> None:
        last = nn.Linear(2 * width, numbers)
        nn.init.normal_(last.weight, std=0.01)
        nn.init.zeros_(last.bias)
        super().__init__(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.SiLU(), last)

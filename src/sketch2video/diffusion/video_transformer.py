"""The video LDM's network: a diffusion transformer over patches of a latent video (Peebles & Xie 2023).

Every patch (:mod:`~sketch2video.diffusion.patches`) is a token, which embeds the patch and the part of the control
picture (a sketch, a map, or none) that it covers. Blocks alternate between attention within a frame and over the whole
video. Text enters by cross-attention and, pooled, together with the time and the frame rate as the modulation of every
block; on small data colours are learned from the pooled text. Each condition can be missing per sample, which
classifier-free guidance needs (Ho & Salimans 2022). Known frames can be given instead of noisy ones; the others are
then denoised consistently with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from sketch2video.diffusion.patches import Patches
from sketch2video.networks.blocks import (
    ConditionedBlock,
    Reach,
    fourier_features,
    grid_positions,
    timestep_features,
    zeroed,
)
from sketch2video.networks.caption_condition import CaptionAndRate
from sketch2video.networks.temporal_spectrum import TemporalSpectrum, latents_of, resampled, still_positions
from sketch2video.params import Objective

POSITION_OCTAVES = 7
TIME_FEATURES = 128


class VideoTransformer(ModelMixin, ConfigMixin):
    """Velocity or noise of a noisy latent video, given any of text, control pictures and frame rate.

    Args:
        latent_channels: C.
        factor: how many pixels one latent position spans along an axis.
        patch: latent positions along each axis that one token covers, or between tokens whose patches are lapped.
        lapped: whether patches overlap, so that frames do not show their borders; needs an even ``patch``.
        width: D, width of the tokens.
        layers: number of blocks.
        heads: attention heads, a divisor of D.
        text_width: width of the text encoder's hidden states.
        control_channels: of the control pictures: 1 for a sketch, 3 for colours, 0 for a network without any.
        sample_size, sample_frames: S and T of the training clips, px and frames; other values work, too.
        objective: the prediction target of the training; see :mod:`~sketch2video.diffusion.objectives`.
        time_shift: of the times in training, and by default in sampling; see
            :func:`~sketch2video.networks.flow_matching.shifted`, and for diffusion
            :func:`~sketch2video.diffusion.objectives.shifted_betas`.
        time_mean: whether every block also receives the mean over time at each position; see
            :class:`~sketch2video.networks.blocks.ConditionedBlock`.
        latent_mean, latent_std: of each channel of the autoencoder's latents over the training clips; the network
            works on ``(latents - mean) / std``. The pipeline reads them from here.
        known_frames: whether some frames may be given as known.
        image_prior: whether single frames have no position in time and skip attention over the whole video. After
            training on single frames, all weights for time are then still zero: every frame of a clip is processed by
            itself, and motion is learned in addition (Singer et al. 2022, "Make-A-Video", section 3.2).
        temporal_deviations: s_k of the latents of the training clips; see
            :mod:`~sketch2video.networks.temporal_spectrum`.
        whitening: exponent p of the noise's spectrum; 0: white noise.
        near_deviations, still_deviations: s_k of the positions near the drawing and of the still ones; empty: those of
            all positions hold for both.
        frames_per_latent: f; videos of T frames have only the T / f lowest frequencies along time, and T / f tokens a
            patch; see :mod:`~sketch2video.networks.temporal_spectrum`.
        noise_scales: of the noise that sampling starts from: of what all frames share, and of what differs between
            them; see :mod:`~sketch2video.networks.temporal_spectrum`.
        control: name of the control pictures; None: see :func:`~sketch2video.controls.control_of_network`.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 4,
        factor: int = 8,
        patch: int = 2,
        width: int = 128,
        layers: int = 6,
        heads: int = 4,
        text_width: int = 128,
        control_channels: int = 1,
        sample_size: int = 64,
        sample_frames: int = 16,
        objective: Objective = "flow",
        time_shift: float = 1.0,
        time_mean: bool = False,
        latent_mean: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
        latent_std: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
        known_frames: bool = False,
        image_prior: bool = False,
        temporal_deviations: Sequence[float] = (1.0,),
        whitening: float = 0.0,
        control: str | None = None,
        lapped: bool = False,
        near_deviations: Sequence[float] = (),
        still_deviations: Sequence[float] = (),
        frames_per_latent: int = 1,
        noise_scales: Sequence[float] = (1.0, 1.0),
    ) -> None:
        super().__init__()
        if frames_per_latent > 1 and (known_frames or image_prior):
            raise ValueError("known frames and single frames need a latent each: frames_per_latent=1")
        if len(latent_mean) != latent_channels or len(latent_std) != latent_channels:
            raise ValueError(f"latent_mean and latent_std need {latent_channels} numbers each, one a latent channel")
        if bool(near_deviations) != bool(still_deviations):
            raise ValueError("give both near_deviations and still_deviations, or neither")
        self.patches = Patches(patch, lapped)
        self.patch_in = nn.Linear(latent_channels * self.patches.positions, width)
        if control_channels:
            self.control_in = ControlStem(control_channels * frames_per_latent, factor * patch, width)
            self.no_control = nn.Parameter(torch.zeros(width))
        self.position_in = nn.Linear(3 * 2 * POSITION_OCTAVES, width)
        self.time_in = nn.Sequential(nn.Linear(TIME_FEATURES, width), nn.SiLU(), nn.Linear(width, width))
        self.caption = CaptionAndRate(text_width, width)
        reaches: tuple[Reach, Reach] = ("frame", "motion" if image_prior else "video")
        self.blocks = nn.ModuleList(
            ConditionedBlock(width, heads, text_width, reaches[layer % 2], time_mean) for layer in range(layers)
        )
        self.norm_out = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation_out = nn.Sequential(nn.SiLU(), zeroed(nn.Linear(width, 2 * width)))
        self.patch_out = zeroed(nn.Linear(width, latent_channels * self.patches.positions))
        if image_prior:
            self.position_in.weight.data[:, : 2 * POSITION_OCTAVES] = 0.0
        if still_deviations:  # which spectrum the noise of a position has, where the drawing does not say it
            self.still_in = nn.Linear(patch**2, width, bias=False)
            nn.init.zeros_(self.still_in.weight)
        if known_frames:
            self.known_in = nn.Linear(latent_channels * self.patches.positions + 1, width, bias=False)
            nn.init.zeros_(self.known_in.weight)

    @property
    def spectrum(self) -> TemporalSpectrum:
        """The spectrum of the noise."""
        return spectrum_of(self.config)

    def still_positions(self, control: Tensor | None) -> Tensor | None:
        """The mask ``still`` of :meth:`forward` for videos with these control pictures.

        Args:
            control: (N, T, 1, H, W) in [0, 1], of the whole videos, even for windows of them; None: there are none.

        Returns:
            (N, 1, h, w) bool, see :func:`~sketch2video.networks.temporal_spectrum.still_positions`; None without
            control pictures, or if the noise has one spectrum for all positions.
        """
        if control is None or not self.config.still_deviations:
            return None
        return still_positions(control, self.config.factor)

    def forward(
        self,
        latents: Tensor,
        timestep: Tensor,
        control: Tensor | None = None,
        text: Tensor | None = None,
        text_mask: Tensor | None = None,
        fps: Tensor | None = None,
        control_mask: Tensor | None = None,
        known: Tensor | None = None,
        known_mask: Tensor | None = None,
        still: Tensor | None = None,
    ) -> Tensor:
        """The prediction of the objective; for a flow the velocity ``noise - data`` at ``(1 - t) data + t noise``.

        Args:
            latents: (N, T, C, h, w), normalised; h and w multiples of the patch.
            timestep: (N,), t in [0, 1]: 1 is pure noise.
            control: (N, T, control_channels, H, W) in [0, 1], H and W ``factor`` times h and w; None: no sample has
                control pictures.
            text: (N, L, text_width), hidden states of the captions; None: no sample has a caption.
            text_mask: (N, L) bool, True at real tokens; a row without any has no caption. All True if None.
            fps: (N,), frames a second; 0 where it is unknown. None: unknown for all.
            control_mask: (N,) bool, False where the control pictures of a sample are ignored. All True if None.
            known: (N, T, C, h, w), frames without noise, which replace those of ``latents``; None: no frame is known.
                The velocity of a known frame is undefined.
            known_mask: (N, T) bool, False where a frame of ``known`` is ignored; required with ``known``.
            still: (N, 1, h, w) bool, the positions at which the noise has the spectrum of still ones; see
                :meth:`still_positions`. Ignored by a network with one spectrum. None: the spectrum of all positions
                holds everywhere.

        Returns:
            (N, T, C, h, w)

        Raises:
            ValueError: inconsistent shapes.
        """
        patch, factor = self.config.patch, self.config.factor
        if latents.ndim != 5 or latents.shape[2] != self.config.latent_channels:
            raise ValueError(
                f"latents are {tuple(latents.shape)}, expected (N, T, {self.config.latent_channels}, h, w)"
            )
        samples, frames, _, height, width = latents.shape
        if height % patch or width % patch:
            raise ValueError(f"latents of {height} x {width} cannot be cut into patches of {patch}")
        expected = (samples, frames, self.config.control_channels, height * factor, width * factor)
        if control is not None and control.shape != expected:
            raise ValueError(f"control is {tuple(control.shape)}, expected {expected}")
        if (known is None) != (known_mask is None):
            raise ValueError("give both known and known_mask, or neither")
        if known is not None and known_mask is not None:
            if not self.config.known_frames:
                raise ValueError("known frames were given to a network without them; make it with known_frames=True")
            latents = torch.where(frame_mask(known_mask), known, latents)

        if still is not None and still.shape != (samples, 1, height, width):
            raise ValueError(f"still is {tuple(still.shape)}, expected {(samples, 1, height, width)}")

        rows, columns = height // patch, width // patch
        time_filter = self.spectrum.filter(frames, still=still)
        count = latents_of(frames, self.config.frames_per_latent)  # T'
        x = self.patch_in(self.patches.cut(resampled(time_filter.whiten(latents), count)))  # (N, T', P, D)
        if still is not None and self.config.still_deviations:
            x = x + self.still_in(Patches(patch).cut(still[:, None].to(x.dtype)))
        positions = fourier_features(grid_positions(count, rows, columns, latents.device), POSITION_OCTAVES)
        if frames == 1 and self.config.image_prior:
            positions[:, 0] = 0.0
        x = x + self.position_in(positions.flatten(1)).unflatten(0, (count, -1))
        if self.config.control_channels:
            x = x + self._control_tokens(control, control_mask)
        if known is not None and known_mask is not None:
            marks = known_mask[..., None, None].expand(-1, -1, rows * columns, 1).to(x.dtype)
            x = x + self.known_in(torch.cat([self.patches.cut(known).to(x.dtype) * marks, marks], dim=-1))
        context, context_mask = self.caption.tokens(samples, text, text_mask)
        condition = self.time_in(timestep_features(timestep, TIME_FEATURES))
        condition = condition + self.caption.vector(context, context_mask, fps)
        for block in self.blocks:
            x = block(x, condition, context, context_mask)
        shift, scale = self.modulation_out(condition)[:, None, None].chunk(2, dim=-1)
        out = self.patch_out(self.norm_out(x) * (1 + scale) + shift)
        return time_filter.colour(resampled(self.patches.merge(out, height, width), frames))

    def _control_tokens(self, control: Tensor | None, control_mask: Tensor | None) -> Tensor:
        """The embedding of the control pictures for every token: (N, T', P, D), or (D,) without any."""
        if control is None:
            return self.no_control
        control = by_latent(control, self.config.frames_per_latent)
        tokens = self.control_in(control.flatten(0, 1)).flatten(2).movedim(1, -1).unflatten(0, control.shape[:2])
        return (
            tokens if control_mask is None else torch.where(control_mask[:, None, None, None], tokens, self.no_control)
        )


def spectrum_of(config: Mapping[str, Any]) -> TemporalSpectrum:
    """The spectrum of the noise of a network with this config."""
    near, still = (tuple(config.get(f"{name}_deviations", ())) for name in ("near", "still"))
    frames = int(config.get("frames_per_latent", 1))
    shared, changing = config.get("noise_scales", (1.0, 1.0))
    deviations = tuple(config["temporal_deviations"])
    return TemporalSpectrum(deviations, config["whitening"], near, still, frames, (shared, changing))


def latent_scale(config: Mapping[str, Any], like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (C, 1, 1) of latents (..., C, h, w), of a network with this config."""
    mean, std = (like.new_tensor(config[name]).view(-1, 1, 1) for name in ("latent_mean", "latent_std"))
    return mean, std


def by_latent(control: Tensor, frames_per_latent: int) -> Tensor:
    """Control pictures (N, T, c, H, W) of the frames of each latent, as channels: (N, T / f, f c, H, W).

    If T is not a multiple of f, the frames nearest to f T' evenly spaced times are taken.
    """
    if frames_per_latent == 1:
        return control
    frames, count = control.shape[1], latents_of(control.shape[1], frames_per_latent)
    places = count * frames_per_latent
    if places != frames:
        index = ((torch.arange(places, device=control.device) + 0.5) * frames / places).long()
        control = control[:, index]
    return control.unflatten(1, (count, frames_per_latent)).flatten(2, 3)


def frame_mask(mask: Tensor) -> Tensor:
    """A mask of frames (N, T) as one of their latents: (N, T, 1, 1, 1)."""
    return mask[..., None, None, None]


class ControlStem(nn.Sequential):
    """Embeds the part of a control picture that each token covers, by an MLP on its pixels.

    Args:
        channels: of the picture.
        pixels: number of pixels that one token covers along an axis.
        width: D of the vector.
    """

    def __init__(self, channels: int, pixels: int, width: int) -> None:
        fold = nn.PixelUnshuffle(pixels)
        super().__init__(fold, nn.Conv2d(channels * pixels**2, 2 * width, 1), nn.SiLU(), nn.Conv2d(2 * width, width, 1))

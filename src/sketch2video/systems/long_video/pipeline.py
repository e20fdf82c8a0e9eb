"""Long, steady videos: the project's fourth paper on the parts of the sketch system.

A drawing of the whole length, and then the paper's modules, by its numbers of equations:

1. Separate tuning: the video is painted once (1), and what is foreground and what is background is told apart (9).
2. Average fusion: the painting is taken back to step k, all frames are given one background there (10, 11), and it is
   painted on (12); as often as is asked for, with another step k each time.
3. Combined tuning: the network may have been tuned on videos that were made steady so (13 to 16, 20); see
   :mod:`~sketch2video.steadiness.combined_tuning`.
4. Inter-frame consistency: whenever a video is painted, it is as overlapping windows that are merged at every step (17
   to 19).

Without fusion the fourth module is left alone, which is Wang et al. 2023, "Gen-L-Video". The network sees one window of
one video at a time, or a few, so that the time for a frame and the memory beyond the video itself do not grow with the
length.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import SchedulerMixin
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sketch2video.autoencoder.network import FrameAutoencoder
from sketch2video.curve_vae import CurveVAE
from sketch2video.curve_vae.actions import long_curves
from sketch2video.curve_vae.known import Known
from sketch2video.curves import CurveSequence
from sketch2video.diffusion.samplers import begin, first_index
from sketch2video.diffusion.video_transformer import VideoTransformer
from sketch2video.diffusion.windows import (
    captions_of_windows,
    window_starts,
    window_weights,
)
from sketch2video.files import read_json
from sketch2video.networks.loading import load_frozen
from sketch2video.params import LongVideoParams, WindowWeights
from sketch2video.pipelines.callbacks import StepEnd
from sketch2video.pipelines.drawing import draw
from sketch2video.pipelines.latent_video import save_pipeline
from sketch2video.pipelines.request import Scenes, VideoRequest
from sketch2video.steadiness.files import FUSION
from sketch2video.steadiness.foreground import LEAST_FRAMES
from sketch2video.steadiness.segmenters import MOTION
from sketch2video.systems.long_video.fusion import BackgroundFuser, Painted
from sketch2video.systems.long_video.windows import Guidance, Windows
from sketch2video.text.encoder import TextCondition


class LongVideoPipeline(BackgroundFuser):
    """Text to long, steady videos by way of a drawing, one after the other.

    Called as :class:`SketchToVideoPipeline`. Captions may change along a video: instead of one caption it may have
    several with the frames that they begin at, such as ``[(0, "a red circle grows"), (64, "a red circle shrinks")]``.
    Drawings of some frames and some strokes go with one caption a video.

    Args:
        tokenizer, text_encoder, curve_vae, autoencoder, transformer, scheduler: see :class:`SketchToVideoPipeline`.
        window: K, frames of a window; None: as many as training clips have.
        stride: S, from window to window; None: half a window. In as many frames the drawing of one caption fades into
            that of the next.
        weights: by which windows are merged; see :func:`~sketch2video.diffusion.windows.window_weights`.
        fusion_times: times of the steps k at which backgrounds are fused, one after the other, in [0, 1], 1 is noise:
            for each the first step of the sampler that is not before it, or its end. 0 is the finished video. The
            paper's is 0.995 alone. What the steps after a fusion change is steady again only if 0 is asked for, too,
            and they make the foreground waver. Empty: backgrounds are not fused.
        fused_frames: n, how many frames' backgrounds are averaged.
        shared_noise: see :func:`~sketch2video.steadiness.average_fusion.average_fusion`.
        background_weight, foreground_weight: w_1 and w_2 of equation (11).
        segmenter: by name; see :func:`~sketch2video.steadiness.segmenters.segment`.
        num_inference_steps, guidance_scale, control_guidance_scale: of calls that do not say.
    """

    several_scenes = True

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        text_encoder: PreTrainedModel,
        curve_vae: CurveVAE,
        autoencoder: FrameAutoencoder,
        transformer: VideoTransformer,
        scheduler: SchedulerMixin,
        window: int | None = None,
        stride: int | None = None,
        weights: str = "triangular",
        fusion_times: list[float] | tuple[float, ...] = (0.0,),
        fused_frames: int = 5,
        shared_noise: bool = True,
        background_weight: float = 1.0,
        foreground_weight: float = 1.0,
        segmenter: str = MOTION,
        num_inference_steps: int = 8,
        guidance_scale: float = 1.5,
        control_guidance_scale: float = 1.0,
    ) -> None:
        defaults = num_inference_steps, guidance_scale, control_guidance_scale
        super().__init__(tokenizer, text_encoder, curve_vae, autoencoder, transformer, scheduler, *defaults)
        window = window or transformer.config.sample_frames
        self.register_to_config(
            window=window,
            stride=stride or max(1, window // 2),
            weights=weights,
            fusion_times=sorted(fusion_times, reverse=True),
            fused_frames=fused_frames,
            shared_noise=shared_noise,
            background_weight=background_weight,
            foreground_weight=foreground_weight,
            segmenter=segmenter,
        )

    def read(self, request: VideoRequest) -> None:
        """Captions are read window by window, as they change along a video."""

    def draw(self, request: VideoRequest, text: TextCondition | None, known: Known | None) -> list[CurveSequence]:
        """Generated curves for the whole length of N videos; see :func:`~sketch2video.curve_vae.actions.long_curves`.

        Args:
            request: what is asked for.
            text: not used.
            known: strokes and frames that are given; None: none.

        Raises:
            ValueError: something is known of a video along which the caption changes.
        """
        frames, rates = request.num_frames, request.rates(self._execution_device)
        plots = request.plots or [[(0, "")]] * request.num_videos
        drawn = []
        for video, (plot, rate, source) in enumerate(zip(plots, rates, request.generators, strict=True)):
            firsts = [first for first, _ in plot]
            words = self.encode_captions([caption for _, caption in plot])
            if known is not None:
                if len(plot) > 1:
                    raise ValueError("drawings of some frames and some strokes go with one caption a video; give one")
                given = Known(*(part[video : video + 1] for part in known))
                drawn += draw(self.curve_vae, words, frames, rate[None], source, given)
                continue
            shortest = min(end - begin for begin, end in pairwise([*firsts, frames]))
            overlap = max(1, min(self.config.stride, shortest))
            both = long_curves(self.curve_vae, words, firsts, frames, rate, overlap, source)
            drawn.append(CurveSequence(*(part.cpu().numpy() for part in both)))
        return drawn

    def make(self, request: VideoRequest, text: TextCondition | None, ink: Tensor | None) -> Tensor:
        """Latents (N, T, C, h, w) of videos, painted one after the other.

        Args:
            request: what is asked for.
            text: not used.
            ink: (N, T, 1, S, S) in [0, 1], the drawings.
        """
        assert ink is not None
        rates = request.rates(ink.device)
        guidance = Guidance(request.guidance_scale, request.control_guidance_scale)
        videos = []
        for video, source in enumerate(request.generators):
            one = slice(video, video + 1)
            windows = self.windows(request.plots[video] if request.plots else None, ink[one], rates[one])
            noise = None if request.latents is None else request.latents[one]
            painted = self.paint(windows, guidance, request.num_inference_steps, source, noise, request.on_step_end)
            videos.append(self.unnormalised(painted.latents))
        return torch.cat(videos)

    def windows(self, plot: Scenes | None, ink: Tensor, fps: Tensor) -> Windows:
        """One video as windows, each with the caption that holds at its middle.

        Args:
            plot: what it shows; None: anything.
            ink: (1, T, 1, S, S) in [0, 1], its drawing.
            fps: (1,).
        """
        frames = ink.shape[1]
        length = min(self.config.window, frames)
        starts = window_starts(frames, length, min(self.config.stride, length))
        text = None
        if plot is not None:
            told = captions_of_windows(plot, starts, length)
            captions = sorted(set(told))
            rows = torch.tensor([captions.index(caption) for caption in told], device=ink.device)
            read = self.encode_captions(captions)
            text = TextCondition(read.hidden[rows], read.mask[rows])
        weights = window_weights(cast(WindowWeights, self.config.weights), length)
        return Windows(starts, weights.to(ink.device), text, ink, fps)

    def paint(
        self,
        windows: Windows,
        guidance: Guidance,
        num_inference_steps: int,
        generator: torch.Generator | None,
        latents: Tensor | None = None,
        on_step_end: StepEnd | None = None,
    ) -> Painted:
        """The four modules on one video.

        Args:
            windows: of the video.
            guidance: how strongly caption and drawing are followed.
            num_inference_steps: of the sampler, from noise to the video.
            generator: source of all randomness.
            latents: (1, T, C, h, w), the noise; None: it is drawn.
            on_step_end: see :func:`~sketch2video.diffusion.samplers.sample`.

        Raises:
            UserError: the segmenter cannot be loaded.
        """
        device = self._execution_device
        shape = (1, windows.frames, *self.latent_shape)
        noise = self.noise(shape, generator, latents)
        denoise = partial(
            self.denoise_windows,
            windows,
            guidance=guidance,
            num_inference_steps=num_inference_steps,
            generator=generator,
            on_step_end=on_step_end,
        )
        latents = denoise(noise)
        self.timings.lap("denoising")
        foreground = torch.zeros_like(latents[0, :, :1], dtype=torch.bool)
        levels = self.scheduler.config.num_train_timesteps
        timesteps = begin(self.scheduler, num_inference_steps, device)
        fusions = self.config.fusion_times if windows.frames >= LEAST_FRAMES else []
        parts = None
        for asked in fusions:
            if self.interrupt:
                break
            begun = first_index(self.scheduler, timesteps, asked * levels)
            if parts is None:
                parts = self.take_apart(windows, latents)
                foreground = parts.foreground
            elif not parts.still:
                parts = parts._replace(pictures=self.shown(windows, latents))
            time = float(timesteps[begun]) / levels if begun < len(timesteps) else 0.0
            latents = self.fuse(latents, noise, parts, time, generator)
            self.timings.lap("fusion")
            if begun < len(timesteps):
                latents = denoise(latents, begun=begun)
                self.timings.lap("denoising")
        return Painted(latents, foreground)


def assemble(
    output: Path,
    *,
    settings: LongVideoParams,
    text_encoder: Path,
    curve_vae: Path,
    autoencoder: Path,
    video_ldm: Path,
    **sampling: Any,
) -> None:
    """Write the pipeline folder that is made of the sketch system's parts and the tuned video LDM, atomically.

    Args:
        output: the folder.
        settings: of the modules.
        text_encoder, curve_vae, autoencoder, video_ldm: folders of the parts.
        sampling: of calls that do not say: ``num_inference_steps``, ``guidance_scale``, ``control_guidance_scale``,
            which else are those of the class, and ``sampler``, by name, else the default one of the objective.

    Raises:
        UserError: a part is missing or damaged, or the objective does not allow this sampler.
    """
    save_pipeline(
        partial(LongVideoPipeline, **module_settings(settings), **read_json(video_ldm / FUSION)),
        output,
        text_encoder=text_encoder,
        autoencoder=autoencoder,
        video_ldm=video_ldm,
        curve_vae=load_frozen(CurveVAE, curve_vae, "train_curve_vae"),
        **sampling,
    )


def module_settings(settings: LongVideoParams) -> dict[str, Any]:
    """What the parameters say to the pipeline."""
    return {
        "window": settings.window,
        "stride": settings.stride,
        "weights": settings.window_weights,
        "fusion_times": settings.fusion_times,
        "fused_frames": settings.fused_frames,
        "shared_noise": settings.shared_noise,
        "segmenter": settings.segmenter,
    }

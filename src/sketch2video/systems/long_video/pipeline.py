"""Long videos with a steady background: the method of the project's fourth paper with the parts of the sketch system.

First a drawing of the whole length is generated, then the paper's modules apply (numbers of equations in brackets):

1. Separate tuning: the video is generated once (1), and separated into foreground and background (9).
2. Average fusion: the video is noised to step k, the backgrounds of all frames are fused (10, 11), and it is denoised
   from there (12); repeated for each requested step k.
3. Combined tuning: the network may have been tuned on videos with fused backgrounds (13 to 16, 20); see
   :mod:`~sketch2video.steadiness.combined_tuning`.
4. Inter-frame consistency: a video is denoised as overlapping windows that are merged at every step (17 to 19).

Without fusion only the fourth module remains, which is Wang et al. 2023, "Gen-L-Video". The network processes a few
windows of one video at a time, so that the time for a frame and the memory beyond the video itself do not grow with the
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
from sketch2video.params import DiffusionSampling, LongVideoParams, WindowWeights
from sketch2video.pipelines.callbacks import StepEnd
from sketch2video.pipelines.drawing import draw
from sketch2video.pipelines.latent_video import save_pipeline
from sketch2video.pipelines.request import Scenes, VideoRequest
from sketch2video.steadiness.file_names import FUSION
from sketch2video.steadiness.foreground import LEAST_FRAMES
from sketch2video.steadiness.segmenters import MOTION
from sketch2video.systems.long_video.fusion import BackgroundFuser, GeneratedVideo
from sketch2video.systems.long_video.window_batches import Windows
from sketch2video.text.encoder import TextCondition


class LongVideoPipeline(BackgroundFuser):
    """Text to long videos with a steady background, by way of a drawing; videos are generated one by one.

    Called as :class:`SketchToVideoPipeline`. Captions may change along a video: instead of one caption it may have
    several with the indices of their first frames, such as ``[(0, "a red circle grows"), (64, "a red circle
    shrinks")]``. Drawings of some frames and some strokes require a single caption.

    Args:
        tokenizer, text_encoder, curve_vae, autoencoder, transformer, scheduler: see :class:`SketchToVideoPipeline`.
        window: K, frames of a window; None: the length of the training clips.
        stride: S, distance of successive windows in frames; None: half a window. The drawings of successive captions
            overlap by as many frames.
        weights: weights by which windows are merged; see :func:`~sketch2video.diffusion.windows.window_weights`.
        fusion_times: times of the steps k at which backgrounds are fused, in [0, 1], 1 is noise: for each the first
            step of the sampler at or after it, or the end. 0 is the finished video. The paper uses 0.995 alone. The
            steps after a fusion change the background again, unless 0 is in the list, too, and make the foreground less
            steady. Empty: backgrounds are not fused.
        fused_frames: n, number of frames whose backgrounds are averaged.
        shared_noise: see :func:`~sketch2video.steadiness.average_fusion.average_fusion`.
        background_weight, foreground_weight: w_1 and w_2 of equation (11).
        segmenter: name of the segmenter; see :func:`~sketch2video.steadiness.segmenters.segment`.
        sampling: settings of the sampling where a call gives none.
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
        sampling: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(tokenizer, text_encoder, curve_vae, autoencoder, transformer, scheduler, sampling)
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
        """None: captions are encoded window by window, as they change along a video."""

    def draw(self, request: VideoRequest, text: TextCondition | None, known: Known | None) -> list[CurveSequence]:
        """Generated curves for the whole length of N videos; see :func:`~sketch2video.curve_vae.actions.long_curves`.

        Args:
            request: the validated arguments.
            text: not used.
            known: known strokes and frames; None: none.

        Raises:
            ValueError: strokes or frames are known of a video with several captions.
        """
        frames, rates = request.num_frames, request.rates(self._execution_device)
        all_scenes = request.scenes or [[(0, "")]] * request.num_videos
        drawn = []
        for video, (scenes, rate, source) in enumerate(zip(all_scenes, rates, request.generators, strict=True)):
            firsts = [first for first, _ in scenes]
            words = self.encode_captions([caption for _, caption in scenes])
            if known is not None:
                if len(scenes) > 1:
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
        """Latents (N, T, C, h, w) of the videos, generated one by one.

        Args:
            request: the validated arguments.
            text: not used.
            ink: (N, T, 1, S, S) in [0, 1], the drawings.
        """
        assert ink is not None
        rates = request.rates(ink.device)
        videos = []
        for video, source in enumerate(request.generators):
            one = slice(video, video + 1)
            windows = self.windows(request.scenes[video] if request.scenes else None, ink[one], rates[one])
            noise = None if request.latents is None else request.latents[one]
            generated = self.sample_video(windows, request.sampling, source, noise, request.on_step_end)
            videos.append(self.unnormalised(generated.latents))
        return torch.cat(videos)

    def windows(self, scenes: Scenes | None, ink: Tensor, fps: Tensor) -> Windows:
        """One video as windows, each with the caption that is valid at its middle.

        Args:
            scenes: captions of the video; None: unconditional.
            ink: (1, T, 1, S, S) in [0, 1], the drawing.
            fps: (1,).
        """
        frames = ink.shape[1]
        length = min(self.config.window, frames)
        starts = window_starts(frames, length, min(self.config.stride, length))
        text = None
        if scenes is not None:
            window_captions = captions_of_windows(scenes, starts, length)
            captions = sorted(set(window_captions))
            rows = torch.tensor([captions.index(caption) for caption in window_captions], device=ink.device)
            encoded = self.encode_captions(captions)
            text = TextCondition(encoded.hidden[rows], encoded.mask[rows])
        weights = window_weights(cast(WindowWeights, self.config.weights), length)
        return Windows(starts, weights.to(ink.device), text, ink, fps)

    def sample_video(
        self,
        windows: Windows,
        sampling: DiffusionSampling,
        generator: torch.Generator | None,
        latents: Tensor | None = None,
        on_step_end: StepEnd | None = None,
    ) -> GeneratedVideo:
        """Generate one video by the four modules.

        Args:
            windows: windows of the video.
            sampling: number of steps, and guidance.
            generator: random generator.
            latents: (1, T, C, h, w), the initial noise; None: it is sampled.
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
            sampling=sampling,
            generator=generator,
            on_step_end=on_step_end,
        )
        latents = denoise(noise)
        self.timings.lap("denoising")
        foreground = torch.zeros_like(latents[0, :, :1], dtype=torch.bool)
        levels = self.scheduler.config.num_train_timesteps
        timesteps = begin(self.scheduler, sampling.num_inference_steps, device)
        fusions = self.config.fusion_times if windows.frames >= LEAST_FRAMES else []
        separated, still = None, self.transformer.still_positions(windows.control)
        for fusion_time in fusions:
            if self.interrupt:
                break
            begun = first_index(self.scheduler, timesteps, fusion_time * levels)
            if separated is None:
                separated = self.separate(windows, latents)
                foreground = separated.foreground
            elif not separated.still:
                separated = separated._replace(pictures=self.frames_of(windows, latents))
            time = float(timesteps[begun]) / levels if begun < len(timesteps) else 0.0
            latents = self.fuse(latents, noise, separated, time, generator, still)
            self.timings.lap("fusion")
            if begun < len(timesteps):
                latents = denoise(latents, begun=begun)
                self.timings.lap("denoising")
        return GeneratedVideo(latents, foreground)


def assemble(
    output: Path,
    *,
    settings: LongVideoParams,
    text_encoder: Path,
    curve_vae: Path,
    autoencoder: Path,
    video_ldm: Path,
    **defaults: Any,
) -> None:
    """Write the pipeline folder from the sketch system's parts and the tuned video LDM, atomically.

    Args:
        output: the folder.
        settings: settings of the modules.
        text_encoder, curve_vae, autoencoder, video_ldm: folders of the parts.
        defaults: ``sampling``, as in the class, and the name of the ``sampler`` (by default that of the objective).

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
        **defaults,
    )


def module_settings(settings: LongVideoParams) -> dict[str, Any]:
    """Arguments of the pipeline from the parameters."""
    return {
        "window": settings.window,
        "stride": settings.stride,
        "weights": settings.window_weights,
        "fusion_times": settings.fusion_times,
        "fused_frames": settings.fused_frames,
        "shared_noise": settings.shared_noise,
        "segmenter": settings.segmenter,
    }

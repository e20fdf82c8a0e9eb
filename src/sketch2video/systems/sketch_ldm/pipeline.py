"""The sketch-guided video LDM: caption -> curves -> drawing -> latent video -> video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import SchedulerMixin
from diffusers.video_processor import VideoProcessor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sketch2video.autoencoder.network import FrameAutoencoder
from sketch2video.curve_vae import CurveVAE
from sketch2video.curves import CurveSequence
from sketch2video.diffusion.video_transformer import VideoTransformer
from sketch2video.networks.loading import load_frozen
from sketch2video.pipelines.drawing import (
    Sketches,
    as_sketches,
    check_drawings,
    draw,
    ink_of,
    videos_drawn,
    what_is_known,
)
from sketch2video.pipelines.latent_video import LatentVideoPipeline, save_pipeline
from sketch2video.pipelines.output import VideoOutput
from sketch2video.pipelines.timing import Timings
from sketch2video.pipelines.video_pipeline import Generators, check_captions, check_settings, number_of_videos
from sketch2video.text.encoder import encode_text


class SketchToVideoPipeline(LatentVideoPipeline):
    """Text to video by way of a drawing: the curve VAE draws, the video LDM paints.

    Args:
        tokenizer, text_encoder: what reads captions.
        curve_vae: caption -> curves.
        autoencoder: latents -> frames, with the drawing before its eyes.
        transformer: the video LDM's network.
        scheduler: of diffusers, for what the network predicts; see :meth:`set_sampler`.
    """

    model_cpu_offload_seq = "text_encoder->curve_vae->transformer->autoencoder"

    curve_vae: CurveVAE

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        text_encoder: PreTrainedModel,
        curve_vae: CurveVAE,
        autoencoder: FrameAutoencoder,
        transformer: VideoTransformer,
        scheduler: SchedulerMixin,
    ) -> None:
        super().__init__()
        self.register_modules(
            tokenizer=tokenizer,
            text_encoder=text_encoder,
            curve_vae=curve_vae,
            autoencoder=autoencoder,
            transformer=transformer,
            scheduler=scheduler,
        )
        self.video_processor = VideoProcessor(vae_scale_factor=autoencoder.factor)

    @torch.no_grad()
    def __call__(
        self,
        captions: str | Sequence[str] | None = None,
        num_frames: int | None = None,
        fps: float | Sequence[float] = 8.0,
        guidance_scale: float = 4.0,
        control_guidance_scale: float = 1.0,
        num_inference_steps: int = 20,
        generator: Generators = None,
        num_videos: int | None = None,
        sketches: Sketches | None = None,
        curves: Sequence[CurveSequence] | None = None,
        strokes: Sequence[CurveSequence] | None = None,
        output_type: str = "np",
        return_dict: bool = True,
    ) -> VideoOutput | tuple:
        """Generate videos.

        Args:
            captions: what to show, one for each of N videos; None: anything.
            num_frames: T; None: that of the drawings if they are given, else as in training.
            fps: frame rate at which the action is meant to be seen, for all videos or for each.
            guidance_scale: how strongly the caption is followed; 1 is the plain model.
            control_guidance_scale: how strongly the drawing is followed; 1 is the plain model, 0 ignores it.
            num_inference_steps: steps of the sampler from noise to video.
            generator: source of all randomness. A list with one for each video makes every video independent of the
                others in its batch.
            num_videos: N, where neither captions nor drawings say it.
            sketches: drawings of the user's own to be followed instead of generated curves: uint8 (N, T, H, H), 255 ink
                on 0; resized to the model's size if they have another one. Or drawings of some frames, by frame, such
                as ``{0: first, 15: last}``, uint8 (H, H) for all videos or (N, H, H): the curve VAE draws the others.
            curves: curves of the user's own, one sequence for each video.
            strokes: some strokes of each video, T frames: the curve VAE draws the other strokes.
            output_type: "np", "pt", "pil" or "latent"; see :class:`VideoOutput`.
            return_dict: whether to return a :class:`VideoOutput` instead of the tuple of its values.

        Raises:
            ValueError: arguments that do not belong together.
        """
        # 1. Check what was asked for
        captions = [captions] if isinstance(captions, str) else captions
        curves = None if curves is None else list(curves)
        count, frames = self.check_inputs(
            captions,
            num_frames,
            fps,
            num_inference_steps,
            generator,
            num_videos,
            sketches,
            curves,
            strokes,
            output_type,
        )
        device = self._execution_device
        rates = torch.as_tensor(fps, dtype=torch.float32, device=device).expand(count)
        self.timings = Timings(device)

        # 2. Read the captions
        text = encode_text(self.tokenizer, self.text_encoder, captions or [""] * count).to(device)
        self.timings.lap("captions")

        # 3. Draw
        if curves is None and not isinstance(sketches, np.ndarray):
            known = what_is_known(self.curve_vae, sketches, strokes, count, frames, device)
            curves = draw(self.curve_vae, text, frames, rates, generator, known)
        ink = ink_of(sketches, curves, self.sample_size, device)
        self.timings.lap("curves")

        # 4. Denoise
        latents = self.denoise(
            text if captions else None,
            ink,
            frames,
            rates,
            guidance_scale,
            control_guidance_scale,
            num_inference_steps,
            generator,
        )
        self.timings.lap("denoising")

        # 5. Decode
        video = self.decode(latents, ink, output_type)
        self.timings.lap("decoding")
        self.maybe_free_model_hooks()

        # 6. Answer
        output = VideoOutput(frames=video, curves=curves, sketches=as_sketches(ink))
        return output if return_dict else output.to_tuple()

    def check_inputs(
        self,
        captions: Sequence[str] | None,
        num_frames: int | None,
        fps: float | Sequence[float],
        num_inference_steps: int,
        generator: Generators,
        num_videos: int | None,
        sketches: Sketches | None,
        curves: list[CurveSequence] | None,
        strokes: Sequence[CurveSequence] | None,
        output_type: str,
    ) -> tuple[int, int]:
        """Compare the arguments of a call with each other.

        Returns:
            N and T.

        Raises:
            ValueError: they do not belong together; the message says which and what to change.
        """
        drawn = check_drawings(sketches, curves, num_frames, strokes)
        check_captions(captions)
        count = number_of_videos(
            {
                "captions": captions,
                "sketches": videos_drawn(sketches),
                "curves": curves,
                "strokes": strokes,
                "generator": generator,
                "fps": fps,
            },
            num_videos,
        )
        frames = drawn or num_frames or self.sample_frames
        check_settings(frames, num_inference_steps, fps, output_type)
        return count, frames


def assemble(
    output: Path = Path("models/sketch_ldm"),
    *,
    text_encoder: Path = Path("models/text_encoder"),
    curve_vae: Path = Path("models/curve_vae"),
    autoencoder: Path = Path("models/autoencoder"),
    video_ldm: Path = Path("models/video_ldm"),
) -> None:
    """Write the pipeline folder that is made of the trained parts, atomically.

    Raises:
        UserError: a part is missing or damaged.
    """
    save_pipeline(
        SketchToVideoPipeline,
        output,
        text_encoder=text_encoder,
        autoencoder=autoencoder,
        video_ldm=video_ldm,
        curve_vae=load_frozen(CurveVAE, curve_vae, "train_curve_vae"),
    )

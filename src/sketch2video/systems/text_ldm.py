"""The text-only system: caption -> latent video -> video, as the sketch system without its sketch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import SchedulerMixin
from diffusers.video_processor import VideoProcessor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sketch2video.files import replacing
from sketch2video.models.autoencoder import FrameAutoencoder, load_autoencoder
from sketch2video.models.text import encode_text, load_text_encoder
from sketch2video.models.video_transformer import VideoTransformer
from sketch2video.systems.latent_video import (
    Generators,
    LatentVideoPipeline,
    check_captions,
    check_settings,
    fit_to_size,
    load_part,
    number_of_videos,
)
from sketch2video.systems.output import VideoOutput
from sketch2video.systems.samplers import default_scheduler
from sketch2video.systems.timing import Timings


class TextToVideoPipeline(LatentVideoPipeline):
    """Text to video, or control videos (maps, poses, depths) and text to video.

    Args:
        tokenizer, text_encoder: what reads captions.
        autoencoder: latents -> frames.
        transformer: the video LDM's network.
        scheduler: of diffusers, for what the network predicts; see :meth:`set_sampler`.
    """

    model_cpu_offload_seq = "text_encoder->transformer->autoencoder"

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        text_encoder: PreTrainedModel,
        autoencoder: FrameAutoencoder,
        transformer: VideoTransformer,
        scheduler: SchedulerMixin,
    ) -> None:
        super().__init__()
        self.register_modules(
            tokenizer=tokenizer,
            text_encoder=text_encoder,
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
        control: np.ndarray | None = None,
        output_type: str = "np",
        return_dict: bool = True,
    ) -> VideoOutput | tuple:
        """Generate videos.

        Args:
            captions: what to show, one for each of N videos; None: anything.
            num_frames: T; None: that of the control videos if they are given, else as in training.
            fps: frame rate at which the action is meant to be seen, for all videos or for each.
            guidance_scale: how strongly the caption is followed; 1 is the plain model.
            control_guidance_scale: how strongly the control video is followed; 1 is the plain model, 0 ignores it.
            num_inference_steps: steps of the sampler from noise to video.
            generator: source of all randomness. A list with one for each video makes every video independent of the
                others in its batch.
            num_videos: N, where neither captions nor control videos say it.
            control: control videos to be followed, uint8 (N, T, H, H, 3), of the kind that the model was trained with;
                resized to the model's size if they have another one. None: none.
            output_type: "np", "pt", "pil" or "latent"; see :class:`VideoOutput`.
            return_dict: whether to return a :class:`VideoOutput` instead of the tuple of its values.

        Raises:
            ValueError: arguments that do not belong together.
        """
        # 1. Check what was asked for
        captions = [captions] if isinstance(captions, str) else captions
        count, frames = self.check_inputs(
            captions, num_frames, fps, num_inference_steps, generator, num_videos, control, output_type
        )
        device, size = self._execution_device, self.transformer.config.sample_size
        rates = torch.as_tensor(fps, dtype=torch.float32, device=device).expand(count)
        self.timings = Timings(device)

        # 2. Read the captions and the control videos
        text = encode_text(self.tokenizer, self.text_encoder, captions).to(device) if captions else None
        pictures = None
        if control is not None:
            pictures = fit_to_size(torch.from_numpy(control).to(device).movedim(-1, -3).float() / 255, size)
        self.timings.lap("captions")

        # 3. Denoise
        latents = self.denoise(
            text,
            pictures,
            frames,
            rates,
            guidance_scale,
            control_guidance_scale,
            num_inference_steps,
            generator,
        )
        self.timings.lap("denoising")

        # 4. Decode
        video = self.decode(latents, pictures, output_type)
        self.timings.lap("decoding")
        self.maybe_free_model_hooks()

        # 5. Answer
        output = VideoOutput(frames=video)
        return output if return_dict else output.to_tuple()

    def check_inputs(
        self,
        captions: Sequence[str] | None,
        num_frames: int | None,
        fps: float | Sequence[float],
        num_inference_steps: int,
        generator: Generators,
        num_videos: int | None,
        control: np.ndarray | None,
        output_type: str,
    ) -> tuple[int, int]:
        """Compare the arguments of a call with each other.

        Returns:
            N and T.

        Raises:
            ValueError: they do not belong together; the message says which and what to change.
        """
        if control is not None:
            if not self.transformer.config.control_channels:
                raise ValueError("control was given, but this model was trained without; train with text_ldm.control")
            square = control.ndim == 5 and control.shape[2] == control.shape[3] and control.shape[4] == 3
            if not square or control.dtype != np.uint8:
                raise ValueError(f"control is {control.dtype} {control.shape}, expected square uint8 (N, T, H, H, 3)")
        check_captions(captions)
        count = number_of_videos(
            {"captions": captions, "control": control, "generator": generator, "fps": fps}, num_videos
        )
        shown = None if control is None else control.shape[1]
        if shown and num_frames and shown != num_frames:
            raise ValueError(f"num_frames is {num_frames}, but control has {shown} frames; leave num_frames out")
        frames = shown or num_frames or self.transformer.config.sample_frames
        check_settings(frames, num_inference_steps, fps, output_type)
        return count, frames


def assemble(
    output: Path = Path("models/text_ldm"),
    *,
    text_encoder: Path = Path("models/text_encoder"),
    autoencoder: Path = Path("models/text/autoencoder"),
    video_ldm: Path = Path("models/text/video_ldm"),
) -> None:
    """Write the pipeline folder that is made of the trained parts, atomically.

    Raises:
        UserError: a part is missing or damaged.
    """
    tokenizer, encoder = load_text_encoder(text_encoder)
    transformer = load_part(VideoTransformer, video_ldm)
    pipeline = TextToVideoPipeline(
        tokenizer=tokenizer,
        text_encoder=encoder,
        autoencoder=load_autoencoder(autoencoder),
        transformer=transformer,
        scheduler=default_scheduler(transformer.config.objective, transformer.config.time_shift),
    )
    with replacing(output) as partial:
        pipeline.save_pretrained(partial, safe_serialization=True)

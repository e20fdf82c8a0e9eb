"""The text-only system: caption -> latent video -> video, as the sketch system without its sketch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import SchedulerMixin
from diffusers.video_processor import VideoProcessor
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sketch2video.autoencoder.network import FrameAutoencoder
from sketch2video.diffusion.video_transformer import VideoTransformer
from sketch2video.pipelines.key_frames import Windows, fill_video, key_stride, rounds_of_windows
from sketch2video.pipelines.latent_video import LatentVideoPipeline, save_pipeline
from sketch2video.pipelines.output import VideoOutput
from sketch2video.pipelines.timing import Timings
from sketch2video.pipelines.video_pipeline import (
    Generators,
    check_captions,
    check_settings,
    check_videos,
    number_of_videos,
    pictures_of,
)
from sketch2video.text.encoder import TextCondition, encode_text


class TextToVideoPipeline(LatentVideoPipeline):
    """Text to video, or control videos (maps, poses, depths) and text to video.

    A model that was trained with known frames also makes videos that are longer than its training clips, see
    :mod:`~sketch2video.pipelines.key_frames`, and goes on from given frames or fills in between them.

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

    @property
    def longest(self) -> int | None:
        """See :class:`VideoPipeline`; any number where frames can be known."""
        return None if self.transformer.config.known_frames else self.sample_frames

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
        frames: np.ndarray | None = None,
        frame_positions: Sequence[int] | None = None,
        output_type: str = "np",
        return_dict: bool = True,
    ) -> VideoOutput | tuple:
        """Generate videos.

        Args:
            captions: what to show, one for each of N videos; None: anything.
            num_frames: T; None: that of the control videos if they are given, else as in training. Above the model's
                ``sample_frames`` key frames are made first, at a low frame rate.
            fps: frame rate at which the action is meant to be seen, for all videos or for each.
            guidance_scale: how strongly the caption is followed; 1 is the plain model.
            control_guidance_scale: how strongly the control video is followed; 1 is the plain model, 0 ignores it.
            num_inference_steps: steps of the sampler from noise to video.
            generator: source of all randomness. A list with one for each video makes every video independent of the
                others in its batch.
            num_videos: N, where neither captions nor control videos say it.
            control: control videos to be followed, uint8 (N, T, H, H, C), of the kind that the model was trained with;
                resized to the model's size if they have another one. None: none.
            frames: frames that the videos have, uint8 (N, t, H, H, 3); resized likewise. Their latents stay as they
                are. None: none.
            frame_positions: where these belong in the videos, t numbers in [0, T), in a long video only where it has
                key frames; None: at the beginning.
            output_type: "np", "pt", "pil" or "latent"; see :class:`VideoOutput`.
            return_dict: whether to return a :class:`VideoOutput` instead of the tuple of its values.

        Raises:
            ValueError: arguments that do not belong together.
        """
        # 1. Check what was asked for
        captions = [captions] if isinstance(captions, str) else captions
        count, length = self.check_inputs(
            captions, num_frames, fps, num_inference_steps, generator, num_videos, control, frames, output_type
        )
        positions = self.check_positions(frames, frame_positions, length)
        device = self._execution_device
        rates = torch.as_tensor(fps, dtype=torch.float32, device=device).expand(count)
        self.timings = Timings(device)

        # 2. Read the captions, the control videos and the frames that are there
        text = encode_text(self.tokenizer, self.text_encoder, captions).to(device) if captions else None
        pictures = None
        if control is not None:
            pictures = pictures_of(control, self.sample_size, device, self.control.lines)
        given = None if frames is None else self.encode(frames)
        self.timings.lap("captions")

        # 3. Denoise, window by window if one cannot hold all frames
        def make(windows: Windows) -> Tensor:
            videos, some = windows.videos, bool(windows.known_mask.any())
            return self.denoise(
                TextCondition(text.hidden[videos], text.mask[videos]) if text else None,
                None if pictures is None else pictures[videos[:, None], windows.positions.clamp(max=length - 1)],
                windows.positions.shape[1],
                rates[videos] / windows.stride,
                guidance_scale,
                control_guidance_scale,
                num_inference_steps,
                [generator[video] for video in videos.tolist()] if isinstance(generator, list) else generator,
                known=windows.known if some else None,
                known_mask=windows.known_mask if some else None,
            )

        rounds = rounds_of_windows(length, self.transformer.config.sample_frames)
        latents, known = self._blank(count, rounds[0][0][-1] + 1)
        if given is not None:
            latents[:, positions], known[positions] = given, True
        latents = fill_video(rounds, latents, known, make)[:, :length]
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
        frames: np.ndarray | None,
        output_type: str,
    ) -> tuple[int, int]:
        """Compare the arguments of a call with each other.

        Returns:
            N and T.

        Raises:
            ValueError: they do not belong together; the message says which and what to change.
        """
        config = self.transformer.config
        if control is not None and not self.control.channels:
            raise ValueError("control was given, but this model was trained without; train with text_ldm.control")
        if frames is not None and not config.known_frames:
            raise ValueError(
                "frames were given, but this model was trained without known ones; train with text_ldm.known_frames"
            )
        check_videos(self.control.channels, control=control)
        check_videos(frames=frames)
        check_captions(captions)
        count = number_of_videos(
            {"captions": captions, "control": control, "frames": frames, "generator": generator, "fps": fps},
            num_videos,
        )
        shown = None if control is None else control.shape[1]
        if shown and num_frames and shown != num_frames:
            raise ValueError(f"num_frames is {num_frames}, but control has {shown} frames; leave num_frames out")
        length = shown or num_frames or config.sample_frames
        check_settings(length, num_inference_steps, fps, output_type)
        if self.longest and length > self.longest:
            raise ValueError(
                f"num_frames is {length}, but this model makes {self.longest}; for longer videos train with"
                " text_ldm.known_frames"
            )
        return count, length

    def check_positions(
        self, frames: np.ndarray | None, frame_positions: Sequence[int] | None, length: int
    ) -> list[int]:
        """Where given frames (N, t, H, H, 3) belong in videos of ``length`` frames.

        Raises:
            ValueError: the positions do not belong to the frames or are not in the video, or key frames are made first
                and would not know of some of them.
        """
        count = 0 if frames is None else frames.shape[1]
        positions = list(range(count) if frame_positions is None else frame_positions)
        if len(positions) != count or len(set(positions)) != count or not all(0 <= p < length for p in positions):
            raise ValueError(
                f"frame_positions are {positions} for {count} frames of a video of {length}; give each its own place"
            )
        stride = key_stride(length, self.transformer.config.sample_frames)
        if any(position % stride for position in positions):
            raise ValueError(
                f"frame_positions are {positions}, but a video of {length} frames begins with key frames {stride}"
                f" apart; give multiples of {stride}"
            )
        return positions

    def encode(self, frames: np.ndarray) -> Tensor:
        """Latents (N, t, C, h, w) in the autoencoder's units of frames uint8 (N, t, H, H, 3)."""
        return self.encode_pictures(2 * pictures_of(frames, self.sample_size, self._execution_device) - 1)

    def _blank(self, count: int, length: int) -> tuple[Tensor, Tensor]:
        """Latents (count, length, C, h, w) without content, and which frames are known: none, (length,)."""
        device = self._execution_device
        latents = torch.zeros(count, length, *self.latent_shape, device=device)
        return latents, torch.zeros(length, dtype=torch.bool, device=device)


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
    save_pipeline(
        TextToVideoPipeline,
        output,
        text_encoder=text_encoder,
        autoencoder=autoencoder,
        video_ldm=video_ldm,
    )

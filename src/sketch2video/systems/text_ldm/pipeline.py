"""The text-only system: caption -> latent video -> video, as the sketch system without its sketch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sketch2video.curve_vae.sampling import Generators
from sketch2video.pipelines.callbacks import CallbackOnStepEnd
from sketch2video.pipelines.key_frames import Windows, fill_video, key_stride, rounds_of_windows
from sketch2video.pipelines.latent_video import LatentVideoPipeline, save_pipeline
from sketch2video.pipelines.output import VideoOutput
from sketch2video.pipelines.pictures import pictures_of
from sketch2video.pipelines.request import VideoRequest
from sketch2video.text.encoder import TextCondition


class TextToVideoPipeline(LatentVideoPipeline):
    """Text to video, or control videos (maps, poses, depths) and text to video.

    A model that was trained with known frames also makes videos that are longer than its training clips, see
    :mod:`~sketch2video.pipelines.key_frames`, and goes on from given frames or fills in between them.

    Args:
        tokenizer, text_encoder: what reads captions.
        autoencoder: latents -> frames.
        transformer: the video LDM's network.
        scheduler: of diffusers, for what the network predicts; see :meth:`set_sampler`.
        num_inference_steps, guidance_scale, control_guidance_scale: of calls that do not say.
    """

    model_cpu_offload_seq = "text_encoder->transformer->autoencoder"

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
        guidance_scale: float | None = None,
        control_guidance_scale: float | None = None,
        num_inference_steps: int | None = None,
        generator: Generators = None,
        num_videos: int | None = None,
        control: np.ndarray | None = None,
        frames: np.ndarray | None = None,
        frame_positions: Sequence[int] | None = None,
        output_type: str = "np",
        return_dict: bool = True,
        *,
        prompt: str | Sequence[str] | None = None,
        latents: Tensor | None = None,
        callback_on_step_end: CallbackOnStepEnd | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> VideoOutput | tuple:
        """Generate videos.

        Args:
            captions: what to show, one for each of N videos; None: anything.
            num_frames: T; None: that of the control videos if they are given, else as in training. Above the model's
                ``sample_frames`` key frames are made first, at a low frame rate.
            fps: frame rate at which the action is meant to be seen, for all videos or for each.
            guidance_scale: how strongly the caption is followed; 1 is the plain model. None, here and in the next two:
                as the pipeline's config says, with which its scores were made.
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
            prompt: another name of ``captions``.
            latents: standard normal noise (N, T, C, h, w) that the videos are made from, T at most ``sample_frames``;
                None: it is drawn.
            callback_on_step_end: is called with the pipeline, the number of the step, the timestep and tensors by name
                at the end of every step; the next step goes on with what it returns by name. As in diffusers,
                ``pipe._interrupt = True`` leaves out the steps that are left.
            callback_on_step_end_tensor_inputs: the tensors that it gets, of ``pipe._callback_tensor_inputs``.

        Raises:
            ValueError: arguments that do not belong together.
        """
        request = self.request(
            captions,
            prompt,
            callback_on_step_end,
            callback_on_step_end_tensor_inputs,
            latents=latents,
            num_videos=num_videos,
            num_frames=num_frames,
            fps=fps,
            guidance_scale=guidance_scale,
            control_guidance_scale=control_guidance_scale,
            num_inference_steps=num_inference_steps,
            generator=generator,
            output_type=output_type,
            control=control,
            frames=frames,
        )
        positions = self.check_positions(frames, frame_positions, request.num_frames)
        return self.generate(request, partial(self.fill, request, positions), return_dict)

    def check_request(self, request: VideoRequest) -> None:
        """See :class:`VideoPipeline`."""
        config = self.transformer.config
        if request.control is not None and not self.control.channels:
            raise ValueError("control was given, but this model was trained without; train with text_ldm.control")
        if request.frames is not None and not config.known_frames:
            raise ValueError(
                "frames were given, but this model was trained without known ones; train with text_ldm.known_frames"
            )
        if self.longest and request.num_frames > self.longest:
            raise ValueError(
                f"num_frames is {request.num_frames}, but this model makes {self.longest}; for longer videos train with"
                " text_ldm.known_frames"
            )
        if request.latents is not None and request.num_frames > self.sample_frames:
            raise ValueError(
                f"latents were given for {request.num_frames} frames, which are made window by window;"
                f" ask for at most {self.sample_frames}"
            )
        super().check_request(request)

    def fill(
        self, request: VideoRequest, positions: list[int], text: TextCondition | None, pictures: Tensor | None
    ) -> Tensor:
        """Latents (N, T, C, h, w) of the videos, made window by window if one cannot hold all frames.

        Args:
            request: what is asked for.
            positions: where its frames belong.
            text: captions; None: anything.
            pictures: (N, T, C, S, S) in [0, 1], control videos; None: none.
        """
        length, generator = request.num_frames, request.generator
        rates = request.rates(self._execution_device)

        def make(windows: Windows) -> Tensor:
            videos, some = windows.videos, bool(windows.known_mask.any())
            return self.denoise(
                TextCondition(text.hidden[videos], text.mask[videos]) if text else None,
                None if pictures is None else pictures[videos[:, None], windows.positions.clamp(max=length - 1)],
                windows.positions.shape[1],
                rates[videos] / windows.stride,
                request.guidance_scale,
                request.control_guidance_scale,
                request.num_inference_steps,
                [generator[video] for video in videos.tolist()] if isinstance(generator, list) else generator,
                known=windows.known if some else None,
                known_mask=windows.known_mask if some else None,
                latents=request.latents,
                on_step_end=request.on_step_end,
            )

        rounds = rounds_of_windows(length, self.transformer.config.sample_frames)
        latents, known = self._blank(request.num_videos, rounds[0][0][-1] + 1)
        if request.frames is not None:
            latents[:, positions], known[positions] = self.encode(request.frames), True
        return fill_video(rounds, latents, known, make)[:, :length]

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
    output: Path,
    *,
    text_encoder: Path,
    autoencoder: Path,
    video_ldm: Path,
    **sampling: Any,
) -> None:
    """Write the pipeline folder that is made of the trained parts, atomically.

    Args:
        output: the folder.
        text_encoder, autoencoder, video_ldm: folders of the parts.
        sampling: of calls that do not say: ``num_inference_steps``, ``guidance_scale``, ``control_guidance_scale``,
            which else are those of the class, and ``sampler``, by name, else the default one of the objective.

    Raises:
        UserError: a part is missing or damaged, or the objective does not allow this sampler.
    """
    save_pipeline(
        TextToVideoPipeline,
        output,
        text_encoder=text_encoder,
        autoencoder=autoencoder,
        video_ldm=video_ldm,
        **sampling,
    )

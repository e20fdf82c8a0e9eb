"""The text-only system: caption -> latent video -> video, without a sketch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor

from sketch2video.curve_vae.sampling import Generators
from sketch2video.params import SamplingOptions
from sketch2video.pipelines.callbacks import CallbackOnStepEnd
from sketch2video.pipelines.key_frames import Windows, fill_video, key_stride, rounds_of_windows
from sketch2video.pipelines.latent_video import LatentVideoPipeline, save_pipeline
from sketch2video.pipelines.model_size import pictures_of
from sketch2video.pipelines.output import VideoOutput
from sketch2video.pipelines.request import VideoRequest
from sketch2video.text.encoder import TextCondition


class TextToVideoPipeline(LatentVideoPipeline):
    """Text to video, or control videos (maps, poses, depths) and text to video.

    A model that was trained with known frames also generates videos longer than its training clips, see
    :mod:`~sketch2video.pipelines.key_frames`, and continues given frames or interpolates between them.

    Args:
        tokenizer, text_encoder: encode captions.
        autoencoder: latents -> frames.
        transformer: the video LDM's network.
        scheduler: a scheduler of diffusers that matches the network's prediction type; see :meth:`set_sampler`.
        sampling: settings of the sampling where a call gives none.
    """

    model_cpu_offload_seq = "text_encoder->transformer->autoencoder"

    @classmethod
    def longest_of(cls, network: Mapping[str, Any]) -> int | None:
        """See :class:`VideoPipeline`; unlimited if the model supports known frames."""
        return None if network["known_frames"] else int(network["sample_frames"])

    @torch.no_grad()
    def __call__(
        self,
        captions: str | Sequence[str] | None = None,
        num_frames: int | None = None,
        fps: float | Sequence[float] = 8.0,
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
        **sampling: Unpack[SamplingOptions],
    ) -> VideoOutput | tuple:
        """Generate videos.

        Args:
            captions: one for each of N videos, or a single one; None: unconditional.
            num_frames: T; None: that of the control videos if they are given, else that of the training clips. Above
                the model's ``sample_frames``, key frames are generated first, at a low frame rate.
            fps: frame rate of the videos, one for all or one for each; it conditions the model.
            generator: random generator. With a list of one for each video, every video is independent of the others in
                its batch.
            num_videos: N, if neither captions nor control videos determine it.
            control: control videos, uint8 (N, T, H, H, C), of the kind that the model was trained with; resized to the
                model's size if necessary. None: none.
            frames: known frames, uint8 (N, t, H, H, 3); resized likewise. Their latents are kept. None: none.
            frame_positions: indices of the known frames in the videos, t numbers in [0, T); in a long video these must
                be key frames. None: the first t frames.
            output_type: "np", "pt", "pil" or "latent"; see :class:`VideoOutput`.
            return_dict: whether to return a :class:`VideoOutput` instead of the tuple of its values.
            prompt: another name for ``captions``.
            latents: standard normal noise (N, T, C, h, w) from which the videos are generated, T at most
                ``sample_frames``; None: it is sampled.
            callback_on_step_end: called with the pipeline, the step index, the timestep and tensors by name at the end
                of every step; the tensors that it returns by name replace those of the next step. As in diffusers,
                ``pipe._interrupt = True`` skips the remaining steps.
            callback_on_step_end_tensor_inputs: the tensors that it receives, of ``pipe._callback_tensor_inputs``.
            sampling: ``guidance_scale`` of the caption and ``control_guidance_scale`` of the control video
                (1 disables guidance, 0 ignores the condition), ``num_inference_steps``. By default those of
                ``pipe.config.sampling``, for which the model's scores hold; see
                :class:`~sketch2video.params.sampling.SamplingOptions`.

        Raises:
            TypeError: there is no such argument.
            ValueError: the arguments are inconsistent.
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
            sampling=sampling,
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
                f" set num_frames to at most {self.sample_frames}"
            )
        super().check_request(request)

    def fill(
        self, request: VideoRequest, positions: list[int], text: TextCondition | None, pictures: Tensor | None
    ) -> Tensor:
        """Latents (N, T, C, h, w) of the videos, generated window by window if there are too many frames for one.

        Args:
            request: the validated arguments.
            positions: indices of the known frames.
            text: encoded captions; None: unconditional.
            pictures: (N, T, C, S, S) in [0, 1], control videos; None: none.
        """
        length, generator = request.num_frames, request.generator
        rates = request.rates(self._execution_device)
        still = self.transformer.still_positions(pictures)

        def make(windows: Windows) -> Tensor:
            videos, some = windows.videos, bool(windows.known_mask.any())
            return self.denoise(
                TextCondition(text.hidden[videos], text.mask[videos]) if text else None,
                None if pictures is None else pictures[videos[:, None], windows.positions.clamp(max=length - 1)],
                windows.positions.shape[1],
                rates[videos] / windows.stride,
                request.sampling,
                [generator[video] for video in videos.tolist()] if isinstance(generator, list) else generator,
                known=windows.known if some else None,
                known_mask=windows.known_mask if some else None,
                latents=request.latents,
                on_step_end=request.on_step_end,
                still=None if still is None else still[videos],
            )

        rounds = rounds_of_windows(length, self.transformer.config.sample_frames)
        latents, known = self._blank(request.num_videos, rounds[0][0][-1] + 1)
        if request.frames is not None:
            latents[:, positions], known[positions] = self.encode(request.frames), True
        return fill_video(rounds, latents, known, make)[:, :length]

    def check_positions(
        self, frames: np.ndarray | None, frame_positions: Sequence[int] | None, length: int
    ) -> list[int]:
        """Indices of the known frames (N, t, H, H, 3) in videos of ``length`` frames.

        Raises:
            ValueError: the number of positions is wrong, or one is repeated, out of range, or no key frame of a long
                video.
        """
        count = 0 if frames is None else frames.shape[1]
        positions = list(range(count) if frame_positions is None else frame_positions)
        if len(positions) != count or len(set(positions)) != count or not all(0 <= p < length for p in positions):
            raise ValueError(
                f"frame_positions are {positions} for {count} frames of a video of {length}; give each its own index"
            )
        stride = key_stride(length, self.transformer.config.sample_frames)
        if any(position % stride for position in positions):
            raise ValueError(
                f"frame_positions are {positions}, but a video of {length} frames begins with key frames {stride}"
                f" apart; give multiples of {stride}"
            )
        return positions

    def encode(self, frames: np.ndarray) -> Tensor:
        """The autoencoder's latents (N, t, C, h, w) of frames uint8 (N, t, H, H, 3)."""
        return self.encode_pictures(2 * pictures_of(frames, self.sample_size, self._execution_device) - 1)

    def _blank(self, count: int, length: int) -> tuple[Tensor, Tensor]:
        """Zeros as latents (count, length, C, h, w), and the mask of known frames, all False (length,)."""
        device = self._execution_device
        latents = torch.zeros(count, length, *self.latent_shape, device=device)
        return latents, torch.zeros(length, dtype=torch.bool, device=device)


def assemble(
    output: Path,
    *,
    text_encoder: Path,
    autoencoder: Path,
    video_ldm: Path,
    **defaults: Any,
) -> None:
    """Write the pipeline folder from the trained parts, atomically.

    Args:
        output: the folder.
        text_encoder, autoencoder, video_ldm: folders of the parts.
        defaults: ``sampling``, as in the class, and the name of the ``sampler`` (by default that of the objective).

    Raises:
        UserError: a part is missing or damaged, or the objective does not allow this sampler.
    """
    save_pipeline(
        TextToVideoPipeline,
        output,
        text_encoder=text_encoder,
        autoencoder=autoencoder,
        video_ldm=video_ldm,
        **defaults,
    )

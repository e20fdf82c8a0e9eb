"""Captions and drawings -> videos by an adapted base, such as Wan 2.1 or a text LDM of this project."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Unpack, cast

import numpy as np
import torch
from diffusers import DiffusionPipeline, SchedulerMixin
from diffusers.video_processor import VideoProcessor
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sketch2video.bases.adapted_transformer import AdaptedTransformer, check_hash
from sketch2video.bases.base import Base
from sketch2video.bases.encoded_clips import encode_control
from sketch2video.bases.guided import guided_base
from sketch2video.bases.registry import open_base
from sketch2video.curve_vae import CurveVAE
from sketch2video.curve_vae.known import Known
from sketch2video.curve_vae.sampling import Generators
from sketch2video.curves import CurveSequence
from sketch2video.files import CODE, PIPELINE, read_json, replacing, write_json
from sketch2video.networks.loading import load_frozen
from sketch2video.networks.precision import precision
from sketch2video.params import SamplingOptions
from sketch2video.pipelines.callbacks import CallbackOnStepEnd
from sketch2video.pipelines.drawing import Curves, Sketches, draw
from sketch2video.pipelines.output import VideoOutput
from sketch2video.pipelines.request import VideoRequest
from sketch2video.pipelines.video_pipeline import VideoPipeline
from sketch2video.systems.adapted_video.key_drawings import ink_of_key_frames, key_drawings
from sketch2video.text.encoder import TextCondition, encode_text, load_text_encoder

OF_BASE = ("vae", "text_encoder", "tokenizer")
"""Components that are loaded with the base, and not saved."""


class AdaptedVideoPipeline(VideoPipeline):
    """A base that follows drawings or control videos.

    The saved folder holds the adapters, the sampler and the networks that draw; it names the base, which is loaded
    from its own folder or from the hub. See ``from_pretrained``.

    Args:
        transformer: the adapted network of the base.
        vae: videos <-> latents.
        text_encoder, tokenizer: encode captions for the base.
        scheduler: the sampler.
        curve_vae: caption -> curves; None: drawings are the user's.
        curve_text_encoder, curve_tokenizer: encode captions for ``curve_vae``.
        sampling: settings of the sampling where a call gives none.
    """

    model_cpu_offload_seq = "text_encoder->curve_text_encoder->curve_vae->transformer->vae"
    _optional_components = [  # noqa: RUF012 (diffusers' own way)
        *OF_BASE,
        "scheduler",
        "curve_vae",
        "curve_text_encoder",
        "curve_tokenizer",
    ]
    any_shape = True

    transformer: AdaptedTransformer
    vae: Any
    scheduler: SchedulerMixin

    def __init__(
        self,
        transformer: AdaptedTransformer,
        vae: nn.Module | None = None,
        text_encoder: PreTrainedModel | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
        scheduler: SchedulerMixin | None = None,
        curve_vae: CurveVAE | None = None,
        curve_text_encoder: PreTrainedModel | None = None,
        curve_tokenizer: PreTrainedTokenizerBase | None = None,
        sampling: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(
            transformer=transformer,
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            scheduler=scheduler,
            curve_vae=curve_vae,
            curve_text_encoder=curve_text_encoder,
            curve_tokenizer=curve_tokenizer,
        )
        self.register_sampling(sampling)
        self.video_processor = VideoProcessor(do_resize=False)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> Any:
        """Load the adapters and their base.

        Args:
            pretrained_model_name_or_path: folder that ``save_pretrained`` wrote, or of the system.
            kwargs: ``base``, folder or hub id of the base; by default that of the environment variable
                SKETCH2VIDEO_BASE, or else that of the training. Others: see diffusers.

        Raises:
            UserError: the base is missing, damaged, or not the one of the training.
        """
        folder, base = Path(pretrained_model_name_or_path), kwargs.pop("base", None)
        folder = folder / PIPELINE if (folder / PIPELINE / cls.config_name).is_file() else folder
        transformer = AdaptedTransformer.from_pretrained(folder / "transformer", base)
        opened, hashes = transformer.base, transformer.config.hashes
        tokenizer, text_encoder = opened.load_text()
        parts = {"vae": opened.load_vae(), "text_encoder": text_encoder}
        for name, part in parts.items():
            check_hash(part, name, opened, hashes, folder / "transformer")
        return super().from_pretrained(folder, transformer=transformer, tokenizer=tokenizer, **parts, **kwargs)

    def save_pretrained(self, save_directory: Any, *arguments: Any, **kwargs: Any) -> None:
        """Write everything but the base; see :class:`~diffusers.DiffusionPipeline`."""
        parts = {name: getattr(self, name) for name in OF_BASE}
        self.register_modules(**dict.fromkeys(OF_BASE))
        try:
            super().save_pretrained(save_directory, *arguments, **kwargs)
        finally:
            self.register_modules(**parts)

    @property
    def base(self) -> Base:
        """The base."""
        return self.transformer.base

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """C, h and w of a latent frame of videos of the default size."""
        return self._latent_shape(self.sample_size, self.sample_size)

    def _latent_shape(self, height: int, width: int) -> tuple[int, int, int]:
        return self.base.latent_channels, height // self.base.factor, width // self.base.factor

    @torch.no_grad()
    def __call__(
        self,
        captions: str | Sequence[str] | None = None,
        num_frames: int | None = None,
        fps: float | Sequence[float] = 8.0,
        generator: Generators = None,
        num_videos: int | None = None,
        sketches: Sketches | None = None,
        curves: Curves | None = None,
        strokes: Sequence[CurveSequence] | None = None,
        control: np.ndarray | None = None,
        height: int | None = None,
        width: int | None = None,
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
            num_frames: T; None: that of drawings or control videos, else that of the training clips. The base
                generates the next ``frame_step`` * n + 1 frames, of which the first T are returned.
            fps: frame rate of the videos, one for all or one for each; bases that know frame rates are conditioned on
                it.
            generator: random generator. With a list of one for each video, every video is independent of the others in
                its batch.
            num_videos: N, if no other argument determines it.
            sketches: the user's drawings: uint8 (N, T, H, W), 255 ink on 0; or drawings of some frames by frame index,
                such as ``{0: first, 48: last}``, uint8 (H, W) for all videos or (N, H, W). The base invents the others.
            curves: the user's curves, one sequence for each video; or those of some frames by frame index.
            strokes: some strokes of each video, T frames: the curve VAE generates the other strokes.
            control: control videos, uint8 (N, T, H, W, C), of the kind that the model was trained with.
            height, width: of the videos, px; None: those of the training clips of ingest. Drawings and control videos
                are resized to it.
            output_type: "np", "pt", "pil" or "latent"; see :class:`VideoOutput`. Latents are (N, t, C, h, w),
                normalised.
            return_dict: whether to return a :class:`VideoOutput` instead of the tuple of its values.
            prompt: another name for ``captions``.
            latents: standard normal noise (N, t, C, h, w) from which the videos are generated; None: it is sampled.
            callback_on_step_end: called with the pipeline, the step index, the timestep and tensors by name at the end
                of every step; the tensors that it returns by name replace those of the next step. As in diffusers,
                ``pipe._interrupt = True`` skips the remaining steps.
            callback_on_step_end_tensor_inputs: the tensors that it receives, of ``pipe._callback_tensor_inputs``.
            sampling: ``guidance_scale`` of the caption and ``control_guidance_scale`` of the drawing
                (1 disables guidance, 0 ignores the condition), ``num_inference_steps``. By default those of
                ``pipe.config.sampling``.

        Raises:
            TypeError: there is no such argument.
            ValueError: the arguments are inconsistent.
        """
        size = height or self.sample_size, width or self.sample_size
        if any(side % self.base.side_step for side in size):
            raise ValueError(
                f"height and width are {size[0]} and {size[1]}; {self.base.title} makes videos whose sides are"
                f" multiples of {self.base.side_step}"
            )
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
            sketches=sketches,
            curves=curves,
            strokes=strokes,
            control=control,
            size=size,
        )
        output = cast(VideoOutput, self.generate(request, partial(self.make, request)))
        if output_type != "latent":
            output.frames = _first_frames(output.frames, request.num_frames)
        return output if return_dict else output.to_tuple()

    def check_request(self, request: VideoRequest) -> None:
        """See :class:`VideoPipeline`."""
        drawings = [name for name in ("sketches", "curves", "strokes") if getattr(request, name) is not None]
        if drawings and (request.control is not None or not self.control.draws):
            raise ValueError(
                f"{drawings[0]} and control were given; give one of them"
                if request.control is not None
                else f"{drawings[0]} was given, but this model follows {self.control.name}; give control"
            )
        if request.strokes is not None and self.curve_vae is None:
            raise ValueError("strokes was given, but this model has no curve VAE; give curves or sketches")
        length = self.base.latent_frames(self._padded(request.num_frames))
        expected = (request.num_videos, length, *self._latent_shape(*self._size(request)))
        if request.latents is not None and request.latents.shape != expected:
            raise ValueError(f"latents are {tuple(request.latents.shape)}, expected noise {expected}")

    def _size(self, request: VideoRequest) -> tuple[int, int]:
        """Height and width of the videos."""
        return request.size or (self.sample_size, self.sample_size)

    def _padded(self, frames: int) -> int:
        """The next number of frames that the base can generate."""
        return self.base.frames_of(frames + self.base.frame_step - 1)

    def drawing(
        self, request: VideoRequest, text: TextCondition | None
    ) -> tuple[list[CurveSequence] | None, Tensor | None]:
        """See :class:`VideoPipeline`; drawings of some frames leave the others blank."""
        given, size, device = key_drawings(request), self._size(request), self._execution_device
        if given is None:
            return super().drawing(request, text)
        return None, ink_of_key_frames(given, request.num_videos, request.num_frames, size, device)

    def draw(self, request: VideoRequest, text: TextCondition | None, known: Known | None) -> list[CurveSequence]:
        """See :class:`VideoPipeline`; the curve VAE has a text encoder of its own."""
        assert self.curve_vae is not None
        captions, device = request.captions or [""] * request.num_videos, self._execution_device
        condition = encode_text(self.curve_tokenizer, self.curve_text_encoder, captions, device)
        return draw(self.curve_vae, condition, request.num_frames, request.rates(device), request.generator, known)

    def read(self, request: VideoRequest) -> TextCondition | None:
        """See :class:`VideoPipeline`; also encodes the empty caption, for guidance."""
        self._no_text = self.base.no_text(self.tokenizer, self.text_encoder, self._execution_device)
        return super().read(request)

    def encode_captions(self, captions: Sequence[str]) -> TextCondition:
        """See :class:`VideoPipeline`."""
        return self.base.encode_text(self.tokenizer, self.text_encoder, captions, self._execution_device)

    def make(self, request: VideoRequest, text: TextCondition | None, pictures: Tensor | None) -> Tensor:
        """Latents (N, t, C, h, w) of the videos, normalised.

        Args:
            request: the validated arguments.
            text: encoded captions; None: unconditional.
            pictures: (N, T, C, H, W) in [0, 1], drawings or control videos; None: none.
        """
        device, frames = self._execution_device, self._padded(request.num_frames)
        control, drawn = None, None
        if pictures is not None:
            drawn = self._drawn(request, frames, device)
            # The last drawing is repeated where the base generates more frames than were asked for.
            last = pictures[:, -1:].expand(-1, frames - pictures.shape[1], -1, -1, -1)
            control = encode_control(self.base, self.vae, torch.cat([pictures, last], dim=1), drawn)
        noise = request.latents
        if noise is None:
            length = self.base.latent_frames(frames)
            shape = (request.num_videos, length, *self._latent_shape(*self._size(request)))
            noise = self.base.noise(shape, request.generator, device)
        predict = guided_base(
            self.transformer,
            text,
            self._no_text,
            request.rates(device),
            control,
            drawn,
            request.sampling,
        )
        fast = precision() == "bf16" and device.type == "cpu"  # on a GPU the weights of the base are bfloat16
        with torch.autocast(device.type, torch.bfloat16, enabled=fast):
            return self.base.sample(
                self.scheduler,
                predict,
                noise.to(device, torch.float32),
                request.sampling.num_inference_steps,
                request.generator,
                self.until_interrupted,
                request.on_step_end,
            )

    def _drawn(self, request: VideoRequest, frames: int, device: torch.device) -> Tensor:
        """Which of the base's frames are drawn: (N, T) bool."""
        drawn = torch.ones(request.num_videos, frames, dtype=torch.bool, device=device)
        if (given := key_drawings(request)) is not None:
            drawn.zero_()
            drawn[:, list(given)] = True
        return drawn

    def decode_videos(self, made: Tensor, control: Tensor | None) -> Tensor:
        """See :class:`VideoPipeline`; one video at a time bounds the memory."""
        return torch.cat([self.base.decode(self.vae, video) for video in made.split(1)])

    def decode_finished(self, made: Tensor, control: Tensor | None, generator: Generators) -> Tensor:
        """See :class:`VideoPipeline`; one video at a time bounds the memory."""
        generators = generator if isinstance(generator, list) else [generator] * len(made)
        videos = zip(made.split(1), generators, strict=True)
        return torch.cat([self.base.decode_finished(self.vae, *video) for video in videos])


def _first_frames(videos: Any, frames: int) -> Any:
    """The first frames of videos in any output type."""
    return [video[:frames] for video in videos] if isinstance(videos, list) else videos[:, :frames]


def assemble(
    output: Path,
    *,
    adapters: Path,
    curve_vae: Path | None,
    text_encoder: Path,
    sampling: Mapping[str, Any],
) -> None:
    """Write the pipeline folder, atomically; the weights of the base are not loaded.

    Args:
        output: the folder.
        adapters: folder of the trained adapters.
        curve_vae: folder of the curve VAE; None: the control is no drawing.
        text_encoder: folder of the text encoder of the curve VAE.
        sampling: as in the class.

    Raises:
        UserError: a part is missing or damaged.
    """
    config = read_json(adapters / AdaptedTransformer.config_name)
    drawing: dict[str, Any] = {}
    if curve_vae is not None:
        tokenizer, encoder = load_text_encoder(text_encoder)
        drawing = {
            "curve_vae": load_frozen(CurveVAE, curve_vae, "train_curve_vae"),
            "curve_text_encoder": encoder,
            "curve_tokenizer": tokenizer,
        }
    shell = AdaptedVideoPipeline(
        transformer=None,  # type: ignore[arg-type]
        scheduler=open_base(config["source"]).load_scheduler(),
        sampling=dict(sampling),
        **drawing,
    )
    with replacing(output) as partial_folder:
        DiffusionPipeline.save_pretrained(shell, partial_folder, safe_serialization=True)
        shutil.copytree(adapters, partial_folder / "transformer", ignore=shutil.ignore_patterns(CODE))
        index = read_json(partial_folder / AdaptedVideoPipeline.config_name)
        index["transformer"] = [AdaptedTransformer.__module__, AdaptedTransformer.__name__]
        write_json(partial_folder / AdaptedVideoPipeline.config_name, index)

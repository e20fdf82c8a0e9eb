"""What all systems share: the steps of a call, and what a pipeline says of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from diffusers.models.modeling_utils import ModelMixin
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.video_processor import VideoProcessor
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sketch2video.controls import Control, control_of_network
from sketch2video.curve_vae import CurveVAE
from sketch2video.curve_vae.known import Known
from sketch2video.curves import CurveSequence
from sketch2video.errors import UserError
from sketch2video.files import PIPELINE
from sketch2video.pipelines.callbacks import CallbackOnStepEnd, StepEnd
from sketch2video.pipelines.drawing import as_sketches, draw, ink_of, what_is_known
from sketch2video.pipelines.output import VideoOutput
from sketch2video.pipelines.pictures import pictures_of
from sketch2video.pipelines.request import Plot, VideoRequest
from sketch2video.pipelines.timing import Timings
from sketch2video.text.encoder import TextCondition, encode_text

FRAMES_AT_ONCE = 64
"""Frames that are encoded or decoded together; bounds the memory of long videos."""

MOVED = {
    "sketch2video.models.autoencoder": "sketch2video.autoencoder.network",
    "sketch2video.models.video_transformer": "sketch2video.diffusion.video_transformer",
    "sketch2video.models.vqgan": "sketch2video.tokens.vqgan.network",
    "sketch2video.models.token_transformer": "sketch2video.tokens.transformer",
    "sketch2video.models.average_fusion": "sketch2video.steadiness.average_fusion",
}
"""Modules of networks by the names that indexes of older versions (``model_index.json``) give them."""

Make = Callable[[TextCondition | None, Tensor | None], Any]
"""From captions and control pictures (N, T, C, S, S), where there are any, to what a pipeline decodes."""


class VideoPipeline(DiffusionPipeline):
    """Captions to videos, by whatever system.

    Subclasses register the modules, and define the call, :meth:`check_request` and :meth:`decode_videos`. A call makes
    a request of its arguments and passes it to :meth:`generate` with what is the system's own.

    Attributes:
        transformer: the network that makes videos; its config says ``sample_size``, ``sample_frames``, ``control`` and
            ``control_channels``.
        curve_vae: what draws; None where the system does not draw.
        several_scenes: whether captions may change along a video.
        making: what the stage that makes videos is called in ``timings``.
        timings: what the stages of the last call cost, in their order.
    """

    tokenizer: PreTrainedTokenizerBase
    text_encoder: PreTrainedModel
    transformer: ModelMixin
    curve_vae: CurveVAE | None = None
    several_scenes = False
    making = "denoising"
    _callback_tensor_inputs: ClassVar[list[str]] = ["latents"]
    _interrupt = False
    _num_timesteps = 0
    video_processor: VideoProcessor
    timings: Timings

    @classmethod
    def load_config(cls, *args: Any, **kwargs: Any) -> Any:
        """See :class:`~diffusers.ConfigMixin`; finds modules that older versions saved where they are now."""
        found = super().load_config(*args, **kwargs)
        config = found[0] if isinstance(found, tuple) else found
        for name, value in config.items():
            if isinstance(value, list | tuple) and value and value[0] in MOVED:
                config[name] = [MOVED[value[0]], *value[1:]]
        return found

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> Any:
        """See :class:`~diffusers.DiffusionPipeline`; of a system's folder, its folder ``pipeline`` is loaded."""
        folder = Path(pretrained_model_name_or_path) / PIPELINE
        if (folder / cls.config_name).is_file():
            pretrained_model_name_or_path = folder
        return super().from_pretrained(pretrained_model_name_or_path, **kwargs)

    @property
    def control(self) -> Control:
        """The control that the networks were trained with.

        Raises:
            UserError: it is not registered.
        """
        config = self.transformer.config
        return control_of_network(config.get("control"), config.control_channels)

    @property
    def sample_size(self) -> int:
        """S of the videos, px."""
        return int(self.transformer.config.sample_size)

    @property
    def sample_frames(self) -> int:
        """T of the training clips."""
        return int(self.transformer.config.sample_frames)

    @property
    def longest(self) -> int | None:
        """The most frames that a video may have; None: any number."""
        return None

    @property
    def samplers(self) -> tuple[str, ...]:
        """Names of the samplers that :meth:`set_sampler` knows, the default one first; none where there is no such."""
        return ()

    def set_sampler(self, name: str) -> None:
        """Choose the sampler by its name, one of :attr:`samplers`.

        Raises:
            UserError: this pipeline cannot be sampled so.
        """
        raise UserError(f"{type(self).__name__} has no samplers, so that {name} cannot be chosen; leave it out")

    @property
    def interrupt(self) -> bool:
        """Whether the present call is to leave out the steps that are left; set ``_interrupt`` for it."""
        return self._interrupt

    @property
    def num_timesteps(self) -> int:
        """Steps of the sampling that is, or was last, under way."""
        return self._num_timesteps

    def until_interrupted(self, steps: Any) -> Iterator[Any]:
        """Steps behind a progress bar, up to where the call is interrupted."""
        self._num_timesteps = len(steps)
        for step in self.progress_bar(steps):
            if self.interrupt:
                return
            yield step

    def call_arguments(self, settings: Any) -> dict[str, Any]:
        """The arguments of a call that sampling parameters ask for.

        Args:
            settings: ``evaluate`` or ``generate`` of the parameters, or the like.
        """
        return {
            "guidance_scale": settings.guidance_scale,
            "control_guidance_scale": settings.control_guidance_scale,
        }

    def request(
        self,
        captions: str | Sequence[Plot] | None,
        prompt: str | Sequence[Plot] | None,
        callback_on_step_end: CallbackOnStepEnd | None,
        callback_on_step_end_tensor_inputs: Sequence[str],
        **arguments: Any,
    ) -> VideoRequest:
        """The arguments of a call, checked.

        Args:
            captions: see :meth:`VideoRequest.checked`.
            prompt: another name of the captions.
            callback_on_step_end, callback_on_step_end_tensor_inputs: see :class:`StepEnd`.
            arguments: see :meth:`VideoRequest.checked`; a scale or number of steps that is None is that of the config.

        Raises:
            ValueError: they do not belong together, or ask for what this pipeline cannot do.
        """
        if captions is not None and prompt is not None:
            raise ValueError("captions and prompt were given, which are the same; give one of them")
        if callback_on_step_end is not None:
            arguments["on_step_end"] = StepEnd(self, callback_on_step_end, callback_on_step_end_tensor_inputs)
        for name in ("guidance_scale", "control_guidance_scale", "num_inference_steps"):
            if arguments[name] is None:
                arguments[name] = self.config[name]
        request = VideoRequest.checked(
            prompt if captions is None else captions,
            default_frames=self.sample_frames,
            several_scenes=self.several_scenes,
            control_channels=3 if arguments.get("control") is None else self.control.channels or 3,
            **arguments,
        )
        self.check_request(request)
        return request

    def check_request(self, request: VideoRequest) -> None:
        """Raise a ValueError if a request asks for what this pipeline cannot do."""

    def generate(self, request: VideoRequest, make: Make, return_dict: bool = True) -> VideoOutput | tuple:
        """The steps of a call: read captions and control videos, draw, make the videos, decode them.

        Args:
            request: what is asked for.
            make: the system's own step.
            return_dict: whether to return a :class:`VideoOutput` instead of the tuple of its values.
        """
        device = self._execution_device
        self._interrupt = False
        self.timings = Timings(device)
        text = self.read(request)
        pictures = None if request.control is None else self.pictures_of_control(request.control)
        self.timings.lap("captions")
        curves, sketches = request.curves, None
        if self.curve_vae is not None:
            if not request.drawn:
                known = what_is_known(
                    self.curve_vae, request.sketches, request.strokes, request.num_videos, request.num_frames, device
                )
                curves = self.draw(request, text, known)
            pictures = ink_of(request.sketches, curves, self.sample_size, device)
            sketches = as_sketches(pictures)
            self.timings.lap("curves")
        made = make(text, pictures)
        self.timings.lap(self.making)
        frames = made
        if request.output_type != "latent":
            decoded = self.decode_videos(made, pictures)
            frames = self.video_processor.postprocess_video(decoded.transpose(1, 2), request.output_type)
        self.timings.lap("decoding")
        self.maybe_free_model_hooks()
        output = VideoOutput(frames=frames, curves=curves, sketches=sketches)
        return output if return_dict else output.to_tuple()

    def pictures_of_control(self, videos: np.ndarray) -> Tensor:
        """Control videos uint8 (N, T, H, H, C) as the networks see them: (N, T, C, S, S) in [0, 1]."""
        return pictures_of(videos, self.sample_size, self._execution_device, self.control.lines)

    def read(self, request: VideoRequest) -> TextCondition | None:
        """The captions of N videos; None where nothing is said."""
        return None if request.captions is None else self.encode_captions(request.captions)

    def encode_captions(self, captions: Sequence[str]) -> TextCondition:
        """Captions as networks see them."""
        return encode_text(self.tokenizer, self.text_encoder, captions, self._execution_device)

    def draw(self, request: VideoRequest, text: TextCondition | None, known: Known | None) -> list[CurveSequence]:
        """Generated curves of N videos.

        Args:
            request: what is asked for.
            text: the captions; None: anything is drawn.
            known: strokes and frames that are given; None: none.
        """
        assert self.curve_vae is not None
        text = text or self.encode_captions([""] * request.num_videos)
        rates = request.rates(text.hidden.device)
        return draw(self.curve_vae, text, request.num_frames, rates, request.generator, known)

    def decode_videos(self, made: Any, control: Tensor | None) -> Tensor:
        """Frames (N, T, 3, H, W) of what the pipeline made, as its video processor expects them.

        Args:
            made: by the system's own step.
            control: what the decoder may see, (N, T, C, S, S); None: nothing.
        """
        raise NotImplementedError

"""Base class of the pipelines of all systems: the steps of a call, and properties of the model."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from sketch2video.curve_vae.sampling import Generators
from sketch2video.curves import CurveSequence
from sketch2video.errors import UserError
from sketch2video.files import PIPELINE
from sketch2video.params import CallParams, DiffusionSampling, Guidance
from sketch2video.pipelines.callbacks import CallbackOnStepEnd, StepEnd
from sketch2video.pipelines.drawing import as_sketches, draw, ink_of
from sketch2video.pipelines.known_drawings import known_drawings
from sketch2video.pipelines.model_size import Size, pictures_of
from sketch2video.pipelines.output import VideoOutput
from sketch2video.pipelines.request import Prompt, VideoRequest
from sketch2video.pipelines.timing import Timings
from sketch2video.text.encoder import TextCondition, encode_text

MOVED = {
    "sketch2video.models.autoencoder": "sketch2video.autoencoder.network",
    "sketch2video.models.video_transformer": "sketch2video.diffusion.video_transformer",
    "sketch2video.models.vqgan": "sketch2video.tokens.vqgan.network",
    "sketch2video.models.token_transformer": "sketch2video.tokens.transformer",
    "sketch2video.models.average_fusion": "sketch2video.steadiness.average_fusion",
}
"""Modules of networks by their names in pipelines of older versions (``model_index.json``)."""

Make = Callable[[TextCondition | None, Tensor | None], Any]
"""From captions and control pictures (N, T, C, S, S), each None if there are none, to what the pipeline decodes."""


class VideoPipeline(DiffusionPipeline):
    """Base class of the pipelines of all systems: captions -> videos.

    Subclasses register the modules, and define the call, :meth:`check_request` and :meth:`decode_videos`. A call
    builds a request from its arguments and passes it to :meth:`generate` with the system's own step.

    Attributes:
        transformer: the network that generates videos; its config has ``sample_size``, ``sample_frames``, ``control``
            and ``control_channels``.
        curve_vae: the network that generates curves; None if the system uses none.
        sampling_type: the settings of the sampling that a call takes and the config keeps as ``sampling``.
        several_scenes: whether captions may change along a video.
        any_shape: whether drawings and control videos need not be square.
        making: name in ``timings`` of the stage that generates videos.
        timings: wall time of the stages of the last call, in order.
    """

    tokenizer: PreTrainedTokenizerBase
    text_encoder: PreTrainedModel
    transformer: ModelMixin
    curve_vae: CurveVAE | None = None
    sampling_type: ClassVar[type[Guidance]] = DiffusionSampling
    several_scenes = False
    any_shape = False
    making = "denoising"
    _callback_tensor_inputs: ClassVar[list[str]] = ["latents"]
    _interrupt = False
    _num_timesteps = 0
    video_processor: VideoProcessor
    timings: Timings

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Show the settings of the sampling by name in the signature of a call, in place of ``**sampling``."""
        super().__init_subclass__(**kwargs)
        call = vars(cls).get("__call__")
        parameters = dict(inspect.signature(call).parameters) if call else {}
        if call and parameters.pop("sampling", None):
            settings = [
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=field.annotation)
                for name, field in cls.sampling_type.model_fields.items()
            ]
            call.__signature__ = inspect.Signature([*parameters.values(), *settings])

    @classmethod
    def load_config(cls, *args: Any, **kwargs: Any) -> Any:
        """See :class:`~diffusers.ConfigMixin`; replaces what older versions wrote by the present form."""
        found = super().load_config(*args, **kwargs)
        config = found[0] if isinstance(found, tuple) else found
        flat = {name: config.pop(name) for name in cls.sampling_type.model_fields if name in config}
        if flat:
            config["sampling"] = flat
        for name, value in config.items():
            if isinstance(value, list | tuple) and value and value[0] in MOVED:
                config[name] = [MOVED[value[0]], *value[1:]]
        return found

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> Any:
        """See :class:`~diffusers.DiffusionPipeline`; for a system's folder, its subfolder ``pipeline`` is loaded."""
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
        return control_of_network(config.get("control"), config.get("control_channels", 0))

    @property
    def sample_size(self) -> int:
        """S of the videos, px."""
        return int(self.transformer.config.sample_size)

    @property
    def sample_frames(self) -> int:
        """T of the training clips."""
        return int(self.transformer.config.sample_frames)

    @classmethod
    def longest_of(cls, network: Mapping[str, Any]) -> int | None:
        """Maximum number of frames of a video of pipelines whose transformer has this config; None: unlimited."""
        return None

    @classmethod
    def samplers_of(cls, network: Mapping[str, Any]) -> tuple[str, ...]:
        """See :attr:`samplers`, of pipelines whose transformer has this config."""
        return ()

    @property
    def longest(self) -> int | None:
        """Maximum number of frames of a video; None: unlimited."""
        return self.longest_of(self.transformer.config)

    @property
    def samplers(self) -> tuple[str, ...]:
        """Names of the samplers that :meth:`set_sampler` accepts, the default one first; empty if there are none."""
        return self.samplers_of(self.transformer.config)

    def set_sampler(self, name: str) -> None:
        """Choose the sampler by its name, one of :attr:`samplers`.

        Raises:
            UserError: this pipeline does not support the sampler.
        """
        raise UserError(f"{type(self).__name__} has no samplers, so that {name} cannot be chosen; leave it out")

    @property
    def interrupt(self) -> bool:
        """Whether the current call is to skip its remaining steps; set ``_interrupt`` to do so."""
        return self._interrupt

    @property
    def num_timesteps(self) -> int:
        """Number of steps of the current or last sampling."""
        return self._num_timesteps

    def until_interrupted(self, steps: Any) -> Iterator[Any]:
        """Steps with a progress bar, until the call is interrupted."""
        self._num_timesteps = len(steps)
        for step in self.progress_bar(steps):
            if self.interrupt:
                return
            yield step

    def call_arguments(self, settings: CallParams) -> dict[str, Any]:
        """The arguments of a call that the sampling parameters define.

        Args:
            settings: such as section ``evaluate`` or ``generate`` of the parameters.
        """
        return self.sampling_type.options(settings)

    def register_sampling(self, sampling: Mapping[str, Any] | None) -> None:
        """Save settings of the sampling in the config, complete; see :meth:`Guidance.checked`."""
        self.register_to_config(sampling=self.sampling_type.checked({}, sampling or {}).model_dump())

    def request(
        self,
        captions: str | Sequence[Prompt] | None,
        prompt: str | Sequence[Prompt] | None,
        callback_on_step_end: CallbackOnStepEnd | None,
        callback_on_step_end_tensor_inputs: Sequence[str],
        sampling: Mapping[str, Any],
        **arguments: Any,
    ) -> VideoRequest:
        """Validate the arguments of a call.

        Args:
            captions: see :meth:`VideoRequest.checked`.
            prompt: another name for ``captions``.
            callback_on_step_end, callback_on_step_end_tensor_inputs: see :class:`StepEnd`.
            sampling: settings of this call; those that are missing or None are the config's.
            arguments: see :meth:`VideoRequest.checked`.

        Raises:
            TypeError: there is no such setting.
            ValueError: the arguments are inconsistent, or this pipeline does not support them.
        """
        if captions is not None and prompt is not None:
            raise ValueError("captions and prompt were given, which are the same; give one of them")
        if callback_on_step_end is not None:
            arguments["on_step_end"] = StepEnd(self, callback_on_step_end, callback_on_step_end_tensor_inputs)
        request = VideoRequest.checked(
            prompt if captions is None else captions,
            default_frames=self.sample_frames,
            several_scenes=self.several_scenes,
            any_shape=self.any_shape,
            control_channels=3 if arguments.get("control") is None else self.control.channels or 3,
            sampling=self.sampling_type.checked(self.config.get("sampling", {}), sampling),
            **arguments,
        )
        self.check_request(request)
        return request

    def check_request(self, request: VideoRequest) -> None:
        """Raise a ValueError if this pipeline does not support a request."""

    def generate(self, request: VideoRequest, make: Make, return_dict: bool = True) -> VideoOutput | tuple:
        """The steps of a call: encode captions and control videos, generate curves, generate the videos, decode them.

        Args:
            request: the validated arguments.
            make: the system's own step.
            return_dict: whether to return a :class:`VideoOutput` instead of the tuple of its values.
        """
        self._interrupt = False
        self.timings = Timings(self._execution_device)
        text = self.read(request)
        pictures = (
            None
            if request.control is None
            else self.pictures_of_control(request.control, request.size or self.sample_size)
        )
        self.timings.lap("captions")
        curves, sketches, ink = None, None, None
        if pictures is None:
            curves, ink = self.drawing(request, text)
        if ink is not None:
            pictures, sketches = ink, as_sketches(ink)
            self.timings.lap("curves")
        made = make(text, pictures)
        self.timings.lap(self.making)
        frames = made
        if request.output_type != "latent":
            decoded = self.decode_finished(made, pictures, request.generator)
            frames = self.video_processor.postprocess_video(decoded.transpose(1, 2), request.output_type)
        self.timings.lap("decoding")
        self.maybe_free_model_hooks()
        output = VideoOutput(frames=frames, curves=curves, sketches=sketches)
        return output if return_dict else output.to_tuple()

    def pictures_of_control(self, videos: np.ndarray, size: Size) -> Tensor:
        """Control videos uint8 (N, T, H, W, C) as input of the networks: (N, T, C, height, width) in [0, 1]."""
        return pictures_of(videos, size, self._execution_device, self.control.lines)

    def read(self, request: VideoRequest) -> TextCondition | None:
        """The encoded captions of N videos; None without captions."""
        return None if request.captions is None else self.encode_captions(request.captions)

    def encode_captions(self, captions: Sequence[str]) -> TextCondition:
        """Encode captions as input of the networks."""
        return encode_text(self.tokenizer, self.text_encoder, captions, self._execution_device)

    def drawing(
        self, request: VideoRequest, text: TextCondition | None
    ) -> tuple[list[CurveSequence] | None, Tensor | None]:
        """The curves of N videos, given or generated, and their ink (N, T, 1, height, width); None without drawings."""
        given = request.curves
        curves = None if given is None or isinstance(given, Mapping) else list(given)
        device = self._execution_device
        if not request.drawn:
            if self.curve_vae is None:
                return curves, None
            curves = self.draw(request, text, known_drawings(self.curve_vae, request, device))
        return curves, ink_of(request.sketches, curves, request.size or self.sample_size, device)

    def draw(self, request: VideoRequest, text: TextCondition | None, known: Known | None) -> list[CurveSequence]:
        """Generated curves of N videos.

        Args:
            request: the validated arguments.
            text: the encoded captions; None: unconditional.
            known: known strokes and frames; None: none.
        """
        assert self.curve_vae is not None
        text = text or self.encode_captions([""] * request.num_videos)
        rates = request.rates(text.hidden.device)
        return draw(self.curve_vae, text, request.num_frames, rates, request.generator, known)

    def decode_videos(self, made: Any, control: Tensor | None) -> Tensor:
        """Decode frames (N, T, 3, H, W), in the range that the video processor expects.

        Args:
            made: output of the system's own step.
            control: control pictures for the decoder, (N, T, C, S, S); None: none.
        """
        raise NotImplementedError

    def decode_finished(self, made: Any, control: Tensor | None, generator: Generators) -> Tensor:
        """As :meth:`decode_videos`, with all that is sampled in decoding.

        Args:
            made, control: see :meth:`decode_videos`.
            generator: random generator.
        """
        return self.decode_videos(made, control)

"""``params.yaml`` as frozen typed models: the only source of parameters.

Every model refuses unknown keys and wrong types; :func:`load_params` reports any fault as one line that names
the key. Defaults are in ``params.yaml`` alone, so no field here has one.
"""

from sketch2video.params.data import (
    MAX_NUMBERS_PER_FRAME,
    BaseParams,
    FitParams,
    IngestParams,
    SketchParams,
    SpritesParams,
    SyntheticParams,
    ValidateParams,
)
from sketch2video.params.file import SECTIONS, Params, find_params, load_params, parse_params
from sketch2video.params.networks import (
    SAMPLERS,
    AutoencoderParams,
    CurveVAEParams,
    JudgeParams,
    MeanOver,
    MixtureParams,
    Objective,
    Sampler,
    SketcherParams,
    SteadySource,
    TextEncoderParams,
    TokenTransformerParams,
    TrainingParams,
    VideoLDMParams,
    VQGANParams,
    WindowWeights,
)
from sketch2video.params.sampling import DiffusionSampling, Guidance, SamplingOptions, TokenChoice, TokenSampling
from sketch2video.params.section import Section
from sketch2video.params.systems import (
    CallParams,
    EvaluateParams,
    GenerateParams,
    LongVideoParams,
    RegisterParams,
    RequestParams,
    TextLDMParams,
)

__all__ = [
    "MAX_NUMBERS_PER_FRAME",
    "SAMPLERS",
    "SECTIONS",
    "AutoencoderParams",
    "BaseParams",
    "CallParams",
    "CurveVAEParams",
    "DiffusionSampling",
    "EvaluateParams",
    "FitParams",
    "GenerateParams",
    "Guidance",
    "IngestParams",
    "JudgeParams",
    "LongVideoParams",
    "MeanOver",
    "MixtureParams",
    "Objective",
    "Params",
    "RegisterParams",
    "RequestParams",
    "Sampler",
    "SamplingOptions",
    "Section",
    "SketchParams",
    "SketcherParams",
    "SpritesParams",
    "SteadySource",
    "SyntheticParams",
    "TextEncoderParams",
    "TextLDMParams",
    "TokenChoice",
    "TokenSampling",
    "TokenTransformerParams",
    "TrainingParams",
    "VQGANParams",
    "ValidateParams",
    "VideoLDMParams",
    "WindowWeights",
    "find_params",
    "load_params",
    "parse_params",
]

"""Systems: how trained networks become text to video. All are ``DiffusionPipeline`` subclasses, called alike."""

from sketch2video.systems.hierarchical_vqgan import HierarchicalVQGANPipeline
from sketch2video.systems.long_video import LongVideoPipeline
from sketch2video.systems.output import VideoOutput
from sketch2video.systems.sketch_ldm import SketchToVideoPipeline
from sketch2video.systems.text_ldm import TextToVideoPipeline

__all__ = [
    "HierarchicalVQGANPipeline",
    "LongVideoPipeline",
    "SketchToVideoPipeline",
    "TextToVideoPipeline",
    "VideoOutput",
]

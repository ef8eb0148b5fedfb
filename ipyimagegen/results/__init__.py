"""What users hold: an `Image`, a `Generation` of a call, a `Sweep` of many; immutable and picklable."""

from ipyimagegen.results.generation import Generation
from ipyimagegen.results.image import Bundle, Handle, Image, Result, frame_bundle, make_bundle
from ipyimagegen.results.sweep import Sweep, measure_shape

__all__ = [
    "Bundle",
    "Generation",
    "Handle",
    "Image",
    "Result",
    "Sweep",
    "frame_bundle",
    "make_bundle",
    "measure_shape",
]

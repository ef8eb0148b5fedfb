"""What users hold: an `Image`, a `Generation` of a call, a `Sweep` of many; immutable and picklable."""

from ipyimagegen.results.generation import Generation
from ipyimagegen.results.image import Bundle, Image, bundle_preview
from ipyimagegen.results.pending import Pending, Returned, list_ids
from ipyimagegen.results.sweep import Result, Sweep, measure_shape

__all__ = [
    "Bundle",
    "Generation",
    "Image",
    "Pending",
    "Result",
    "Returned",
    "Sweep",
    "bundle_preview",
    "list_ids",
    "measure_shape",
]

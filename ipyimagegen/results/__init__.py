"""What users hold: an `Image`, a `Generation` of one call, a `Sweep` of many; immutable, and picklable."""

from ipyimagegen.results.generation import Generation
from ipyimagegen.results.image import Bundle, Handle, Image, Result, bundle, framed
from ipyimagegen.results.sheets import shape
from ipyimagegen.results.sweep import Sweep

__all__ = ["Bundle", "Generation", "Handle", "Image", "Result", "Sweep", "bundle", "framed", "shape"]

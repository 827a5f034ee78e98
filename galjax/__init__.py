"""galjax: how far may the resolution of training images differ from that of the galaxies to classify?

The way of the data: source -> GalaxySample -> draw -> resample -> training x repeats -> statistics -> run folder ->
figures and report. Each step is one module and knows only the modules before it.
"""

from galjax.errors import InputError
from galjax.sample import Exclusion, GalaxySample

__all__ = ["Exclusion", "GalaxySample", "InputError"]
__version__ = "0.1.0"

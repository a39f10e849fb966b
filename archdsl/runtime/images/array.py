"""Arrays in files by `numpy.save`: the network's input itself, with any number of axes, without the batch."""

from __future__ import annotations

import numpy as np

from archdsl.runtime.images.opened import opened
from archdsl.runtime.images.pixels import Pixels, Unusable, Wanted
from archdsl.runtime.images.source import Source

SUFFIX = ".npy"
MAGIC = b"\x93NUMPY"


def read(source: Source, wanted: Wanted) -> Pixels:
    """Return the array, mapped from the disk: its shape is checked before its values are read. Raises E0804."""
    with opened(source) as file:
        if not file.read(1):
            raise Unusable("it is empty")
        try:
            stored = np.load(source.path, mmap_mode="r", allow_pickle=False)
        except ValueError:
            raise Unusable("it is no array that `numpy.save` wrote") from None
        if not isinstance(stored, np.ndarray) or stored.dtype.kind not in "fiub":
            raise Unusable("it is no array of numbers")
        return Pixels(stored, is_input=True)

"""Samples of a network's input to calibrate on: images, or for any input arrays in files by `numpy.save`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from archdsl.axes import axes_of, kind_of
from archdsl.backends.weights import Array
from archdsl.diagnostics import ArchError, error
from archdsl.files.atomic import NotRegular, open_regular
from archdsl.runtime.image_model import ImageModel, as_image_model, legal_size, open_one_input
from archdsl.runtime.model import ModelFacts
from archdsl.runtime.preprocess import LegalSizes
from archdsl.runtime.session import Session

SUFFIX = ".npy"
_NO_IMAGE = f"calibrate on arrays of its shape without the batch: `numpy.save` writes them as {SUFFIX} files"


@dataclass(frozen=True, slots=True)
class SampleModel:
    """A model with one input, and its samples. `images` is None if no sample is an image."""

    facts: ModelFacts
    session: Session
    images: ImageModel | None

    def sample(self, path: Path) -> dict[str, Any]:
        """Return a file as one sample, by the name of the input. Raises E0804 or E0806 if it cannot be used."""
        name, shape = next(iter(self.session.inputs.items()))
        if is_array(path) or self.images is None:
            return {name: _array(path, [legal_size(self.facts, size) for size in shape[1:]])[None]}
        return {name: self.images.prepare(path).values}


def is_array(path: Path) -> bool:
    return path.suffix.lower() == SUFFIX


def open_sample_model(path: Path, samples: list[Path]) -> SampleModel:
    """Open a model on the CPU. Raises E0802 to E0806, also if a sample is an image and the model's input is none."""
    facts, session = open_one_input(path, "cpu")
    arrays = all(map(is_array, samples))
    return SampleModel(facts, session, None if arrays else as_image_model(facts, session, help=_NO_IMAGE))


def _array(path: Path, sizes: list[LegalSizes]) -> Array:
    """Return the array in a file, as float32. Its shape is checked before its values are read."""
    try:
        with open_regular(path):
            stored = np.load(path, mmap_mode="r", allow_pickle=False)
    except NotRegular:
        raise _unusable(path, "it is not a regular file") from None
    except OSError as problem:
        why = (problem.strerror or str(problem)).lower()
        raise error("E0804", f"cannot read the array `{str(path)[-120:]}`: {why}", status=2) from None
    except MemoryError:
        raise
    except Exception:  # numpy raises exceptions of many types for damaged files
        raise _unusable(path, "it is no array that `numpy.save` wrote") from None
    if not isinstance(stored, np.ndarray) or stored.dtype.kind not in "fiub":
        raise _unusable(path, "it is no array of numbers")
    fits = len(stored.shape) == len(sizes) and all(
        legal.nearest(size) == size for legal, size in zip(sizes, stored.shape, strict=True)
    )
    if not fits:
        wanted = " x ".join(str(legal.fixed or f"{legal.least} or more") for legal in sizes)
        shown = " x ".join(map(str, list(stored.shape)[:9])) or "one number"
        form = kind_of(sizes).form
        raise error(
            "E0806",
            f"`{path.name[-120:]}` has the shape {shown}; the network's input is {wanted}",
            help=f"save one sample in each file, {form}, without the batch" if axes_of(sizes) else "",
        )
    values = np.array(stored, np.float32)
    if not np.isfinite(values).all():
        raise _unusable(path, "some of its values are infinite or NaN")
    return values


def _unusable(path: Path, why: str) -> ArchError:
    return error("E0804", f"`{path.name[:120]}` is not a usable array: {why}")

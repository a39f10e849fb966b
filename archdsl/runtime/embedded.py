"""ONNX files with their preprocessing inside (`compile --embed-preprocess`): their input is the raw pixels of images.

Such a file has the recipe in its metadata under another key than other files, so that no reader applies it twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from archdsl.diagnostics import Diagnostic
from archdsl.runtime.images import Pixels, Source, Unusable, Wanted, as_source, read, unreadable
from archdsl.runtime.model import EMBEDDED
from archdsl.runtime.preprocess import Prepared, in_mode

if TYPE_CHECKING:
    import os

    from onnx import ModelProto

INPUT = "pixels"
"""The name of the input: uint8, `N x height x width x 3`, red, green and blue."""
PREFIX = "/preprocess/"
"""The start of the names of the nodes and the constants that are not the network's: no path starts with a slash."""


def raw_pixels(source: str | os.PathLike[str] | Source) -> Prepared:
    """Return an image as `(1, height, width, 3)`, uint8: upright, and with its transparent parts on white.

    Raises E0804 if the image cannot be read or has no 8 bits per channel.
    """
    sample = as_source(source)
    pixels = read(sample, Wanted(2))
    try:
        image = _in_8_bits(pixels)
    except Unusable as problem:
        help_ = "save it with 8 bits, or use a file without `--embed-preprocess`, which reads all bits"
        raise unreadable(sample, f"{problem}: {help_}") from None
    values: Any = np.asarray(image.convert("RGB"))[None]
    notes = (Diagnostic("N0804", f"{sample.short}: {note}", severity="note") for note in pixels.notes)
    return Prepared(values, tuple(notes))


def _in_8_bits(pixels: Pixels) -> Image.Image:
    """The image in mode `RGB` or `L`. Raises Unusable if 8 bits do not hold all values, e.g. of DICOM."""
    limit = "the preprocessing inside the model is for 8 bits per channel"
    values = pixels.values
    if not isinstance(values, Image.Image):
        if pixels.span != (0.0, 255.0) or (values != np.rint(values)).any():
            raise Unusable(
                f"its window has values between those of 8 bits; {limit}" if pixels.by == "window" else limit
            )
        values = values.clip(0, 255).astype(np.uint8)
        values = Image.fromarray(255 - values if pixels.inverted else values)
    image = in_mode(values, "RGB", pixels.notes)
    if image.mode not in ("RGB", "L"):
        raise Unusable(limit)
    return image


def without_preprocessing(model: ModelProto) -> bool:
    """Remove the preprocessing of a model: the network's own input becomes its input, as in a file without.

    Returns False for a model that has none, which is unchanged.
    """
    if not any(item.key == EMBEDDED for item in model.metadata_props):
        return False
    graph = model.graph
    inside = {output for node in graph.node if node.name.startswith(PREFIX) for output in node.output}
    read_by_network = {name for node in graph.node if not node.name.startswith(PREFIX) for name in node.input}
    entries = [value for value in graph.value_info if value.name in inside & read_by_network]
    for field in (graph.node, graph.initializer):
        _keep(field, lambda item: not item.name.startswith(PREFIX))
    del graph.input[:]
    graph.input.extend(entries)
    return True


def only_preprocessing(model: ModelProto) -> None:
    """Keep the preprocessing of a model alone: its output is the network's input."""
    graph = model.graph
    for field in (graph.node, graph.initializer):
        _keep(field, lambda item: item.name.startswith(PREFIX))
    made = {output for node in graph.node for output in node.output}
    made -= {name for node in graph.node for name in node.input}
    del graph.output[:]
    graph.output.extend(value for value in graph.value_info if value.name in made)


def _keep(field: Any, wanted: Callable[[Any], bool]) -> None:
    """Delete the other items in place: a copy would need the memory of all weights."""
    for number in reversed(range(len(field))):
        if not wanted(field[number]):
            del field[number]

"""The result of `predict`, as data and as text."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from statistics import median_high
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from archdsl.diagnostics import Diagnostic, escape_control
from archdsl.diagnostics.machine import to_json
from archdsl.report.shown import ShownAsText
from archdsl.report.table import Style

_SURROGATE = re.compile("[\udc80-\udcff]")
"""How Python represents a byte of a file's name that is not UTF-8."""

Measure: TypeAlias = Literal["probability", "score", "distance"]
Array: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ClassScore:
    """A class: its index, its label if the network has labels, and its value."""

    index: int
    label: str | None
    value: float


@dataclass(frozen=True, slots=True)
class OutputRange:
    """An output that is neither classes nor an image: its shape, batch first, and minimum, maximum and mean."""

    name: str
    shape: tuple[int, ...]
    least: float
    most: float
    mean: float


@dataclass(frozen=True, slots=True)
class PictureFile:
    """An image that was written, of an output or of a map that explains one; `pixels` describes how values became
    pixels."""

    path: Path
    pixels: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """The outputs for one image.

    `image` is the name of the sample, `frame` the frame of a file with several, counted from 1. `classes` are the best
    classes, best first, with values of the kind `measure`; a network that outputs an image has a `picture` instead,
    `(C, H, W)` float32, and `file` if it was written. `outputs` are all other outputs. `latency_ms` is the time of the
    network alone, of a batch divided by its size. `values` are the requested outputs, by name and without the batch.
    """

    image: str
    measure: Measure | None
    classes: tuple[ClassScore, ...]
    picture: Array | None = field(compare=False)
    file: PictureFile | None
    outputs: tuple[OutputRange, ...]
    latency_ms: float
    notes: tuple[Diagnostic, ...]
    frame: int | None = None
    values: Mapping[str, npt.NDArray[np.generic]] = field(default_factory=dict, compare=False)

    @property
    def data(self) -> dict[str, object]:
        """JSON data; the values of pictures and requested outputs are in their files only."""
        return {
            "measure": self.measure,
            "top": [{"index": c.index, "label": c.label, "value": _finite(c.value)} for c in self.classes],
            "picture": None if self.file is None else {"path": str(self.file.path), "pixels": self.file.pixels},
            "outputs": {
                o.name: {
                    "shape": list(o.shape),
                    "min": _finite(o.least),
                    "max": _finite(o.most),
                    "mean": _finite(o.mean),
                }
                for o in self.outputs
            },
            "notes": [note.message for note in self.notes],
        }


def _finite(value: float) -> float | None:
    """The value for JSON, which has no NaN and no infinities; a note of the image then says why there is none."""
    return value if isfinite(value) else None


@dataclass(frozen=True, slots=True)
class Missed:
    """An image without a prediction: `problems` are its errors, or `skipped` is why the file is none.

    `status` is the exit status for it: 0 for a skipped file.
    """

    image: str
    problems: tuple[Diagnostic, ...] = ()
    skipped: str = ""
    status: int = 0
    frame: int | None = None


Row: TypeAlias = Prediction | Missed
"""The result for one image."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What ran: the name of the network, its precision, the source of its weights (empty if the model does not state
    it), ONNX Runtime's provider and version."""

    model: str
    precision: str
    weights: str
    provider: str
    onnxruntime: str

    @property
    def random_weights(self) -> bool:
        return self.weights.startswith("random")


@dataclass(frozen=True, slots=True, repr=False)
class PredictResult(ShownAsText, ModelInfo):
    """The predictions of one network for all images, in order.

    `failures` are errors of images without a prediction, `status` is the exit status for them, 0 without failures.
    `notes` are those of the network. `skipped` are files that are no images.
    """

    images: tuple[Prediction, ...]
    failures: tuple[Diagnostic, ...]
    status: int
    notes: tuple[Diagnostic, ...]
    skipped: tuple[Missed, ...] = ()

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """All notes on the network and the images, and the failures."""
        return (*self.notes, *(note for image in self.images for note in image.notes), *self.failures)

    def data(self) -> dict[str, object]:
        """Return JSON data; the values of pictures are in their files only."""
        return {
            **info_data(self),
            "images": [image_data(image) for image in self.images],
            "failures": to_json(self.failures),
        }

    def text(self, style: Style) -> str:
        """Return the classes, pictures and outputs of each image, and the runtime, as text."""
        return "".join(text_of(self, self.images, style))


def info_data(info: ModelInfo) -> dict[str, Any]:
    """Return JSON data of what ran."""
    return {
        "model": info.model,
        "precision": info.precision,
        "weights": info.weights or None,
        "random_weights": info.random_weights,
        "provider": info.provider,
        "onnxruntime": info.onnxruntime,
    }


def image_data(image: Prediction) -> dict[str, object]:
    """Return JSON data of one image."""
    return {"image": image.image, **image.data, "latency_ms": round(image.latency_ms, 3)}


def text_of(info: ModelInfo, rows: Iterable[Row], style: Style) -> Iterator[str]:
    """Yield the text of each prediction as it comes, then what ran."""
    latencies = array("d")
    for row in rows:
        if isinstance(row, Prediction):
            latencies.append(row.latency_ms)
            lines = [style.paint("name", escape_control(shown_name(row.image))), *_image_lines(row)]
            yield "\n".join([*lines, "", ""])
    if not latencies:
        return
    weights = f", weights {info.weights}" if info.weights else ""
    precision = f", {info.precision}" if info.precision != "fp32" else ""
    each = " per image" if len(latencies) > 1 else ""
    time = f"{median_high(latencies):.1f} ms{each}"
    yield style.paint("quiet", escape_control(f"{info.model}{precision}{weights}")) + "\n"
    yield style.paint("quiet", f"ran on {info.provider} (onnxruntime {info.onnxruntime}), {time}") + "\n"


def shown_name(name: str) -> str:
    """A file's name as text: bytes that are not UTF-8 as `\\xff`."""
    return _SURROGATE.sub(lambda match: f"\\x{ord(match[0]) - 0xDC00:02x}", name)


def _image_lines(image: Prediction) -> list[str]:
    lines = [f"  {escape_control(line)}" for line in _class_lines(image)]
    if image.file is not None:
        size = ""
        if image.picture is not None:
            channels, height, width = image.picture.shape
            size = f"  {width} x {height}, {'grey' if channels == 1 else 'colour'}"
        lines += [f"  wrote {escape_control(str(image.file.path))}{size}", f"  {escape_control(image.file.pixels)}"]
    for output in image.outputs:
        shape = " x ".join(map(str, output.shape))
        range_ = f"from {output.least:.4g} to {output.most:.4g}, mean {output.mean:.4g}"
        lines.append(f"  {escape_control(output.name[:80])}  {shape}, {range_}")
    return lines


def _class_lines(image: Prediction) -> list[str]:
    if not image.classes:
        return []
    names = [c.label if c.label is not None else f"class {c.index}" for c in image.classes]
    width, digits = max(map(len, names)), max(len(str(c.index)) for c in image.classes)
    lines = []
    for number, (score, name) in enumerate(zip(image.classes, names, strict=True), 1):
        value = f"{100 * score.value:6.2f} %" if image.measure == "probability" else f"{score.value:>10.4g}"
        index = f"{score.index:>{digits}}  " if score.label is not None else ""
        lines.append(f"{number:>2}  {index}{name:<{width}}  {value}" + (f"  {image.measure}" if number == 1 else ""))
    return lines

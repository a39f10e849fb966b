"""The result of `predict`, as data and as text."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from statistics import median_high
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from archdsl.diagnostics import Diagnostic, escape_control
from archdsl.diagnostics.machine import to_json
from archdsl.report.table import Style

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
    """An image that was written; `pixels` describes how values became pixels."""

    path: Path
    pixels: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """The outputs for one image.

    `classes` are the best classes, best first, with values of the kind `measure`; a network that outputs an image has a
    `picture` instead, `(C, H, W)` float32, and `file` if it was written. `outputs` are all other outputs. `latency_ms`
    is the time of the network alone.
    """

    image: str
    measure: Measure | None
    classes: tuple[ClassScore, ...]
    picture: Array | None = field(compare=False)
    file: PictureFile | None
    outputs: tuple[OutputRange, ...]
    latency_ms: float
    notes: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class PredictResult:
    """The predictions of one network for all images, in order.

    `weights` is the source of the weights, empty if the model does not state it. `provider` is ONNX Runtime's provider
    that ran the network, `onnxruntime` the version. `failures` are errors of images without a prediction, `status` is
    the exit status for them, 0 without failures. `notes` are those of the network.
    """

    model: str
    precision: str
    weights: str
    provider: str
    onnxruntime: str
    images: tuple[Prediction, ...]
    failures: tuple[Diagnostic, ...]
    status: int
    notes: tuple[Diagnostic, ...]

    @property
    def random_weights(self) -> bool:
        return self.weights.startswith("random")

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """All notes on the network and the images, and the failures."""
        return (*self.notes, *(note for image in self.images for note in image.notes), *self.failures)

    def data(self) -> dict[str, object]:
        """Return JSON data; the values of pictures are in their files only."""
        return {
            "model": self.model,
            "precision": self.precision,
            "weights": self.weights or None,
            "random_weights": self.random_weights,
            "provider": self.provider,
            "onnxruntime": self.onnxruntime,
            "images": [_image_data(image) for image in self.images],
            "failures": to_json(self.failures),
        }

    def text(self, style: Style) -> str:
        """Return the classes, pictures and outputs of each image, and the runtime, as text."""
        lines: list[str] = []
        for image in self.images:
            lines += [style.paint("name", escape_control(image.image)), *_image_lines(image), ""]
        latency = median_high([image.latency_ms for image in self.images])
        weights = f", weights {self.weights}" if self.weights else ""
        precision = f", {self.precision}" if self.precision != "fp32" else ""
        each = " per image" if len(self.images) > 1 else ""
        lines.append(style.paint("quiet", escape_control(f"{self.model}{precision}{weights}")))
        ran = f"ran on {self.provider} (onnxruntime {self.onnxruntime}), {latency:.1f} ms{each}"
        lines.append(style.paint("quiet", ran))
        return "\n".join(lines) + "\n"


def _image_data(image: Prediction) -> dict[str, object]:
    return {
        "image": image.image,
        "measure": image.measure,
        "top": [{"index": c.index, "label": c.label, "value": c.value} for c in image.classes],
        "picture": None if image.file is None else {"path": str(image.file.path), "pixels": image.file.pixels},
        "outputs": {
            o.name: {"shape": list(o.shape), "min": o.least, "max": o.most, "mean": o.mean} for o in image.outputs
        },
        "latency_ms": round(image.latency_ms, 3),
        "notes": [note.message for note in image.notes],
    }


def _image_lines(image: Prediction) -> list[str]:
    lines = [f"  {escape_control(line)}" for line in _class_lines(image)]
    if image.file is not None and image.picture is not None:
        channels, height, width = image.picture.shape
        colours = "grey" if channels == 1 else "colour"
        path = escape_control(str(image.file.path))
        lines += [f"  wrote {path}  {width} x {height}, {colours}", f"  {image.file.pixels}"]
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

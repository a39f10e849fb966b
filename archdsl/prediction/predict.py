"""A compiled network run on images: what it says of each, or the image that it makes of it."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from archdsl.diagnostics import Diagnostic
from archdsl.runtime.image_model import ImageModel, open_image_model
from archdsl.runtime.model import ModelFacts
from archdsl.runtime.recipe import Recipe
from archdsl.runtime.session import Device, Session, refused

Measure: TypeAlias = Literal["probability", "score", "distance"]
Array: TypeAlias = npt.NDArray[np.float32]

_MAX_LABELS = 1_000_000


@dataclass(frozen=True, slots=True)
class Guess:
    """One class: its index, its label where there are any, and its value."""

    index: int
    label: str | None
    value: float


@dataclass(frozen=True, slots=True)
class Output:
    """An output that is no vector of classes, in figures."""

    name: str
    shape: tuple[int, ...]
    least: float
    most: float
    mean: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """What came out for one image. `guesses`, best first, in the given `measure`; or `picture`, `(C, H, W)`."""

    image: str
    measure: Measure | None
    guesses: tuple[Guess, ...]
    picture: Array | None
    outputs: tuple[Output, ...]
    latency_ms: float
    notes: tuple[Diagnostic, ...]


@dataclass
class Predictor:
    """A model, opened once for many images."""

    model: ImageModel
    labels: tuple[str, ...] | None

    @property
    def facts(self) -> ModelFacts:
        return self.model.facts

    @property
    def session(self) -> Session:
        return self.model.session

    @property
    def recipe(self) -> Recipe:
        return self.model.recipe

    @property
    def name(self) -> str:
        return self.facts.metadata.get("name") or self.facts.path.stem

    @property
    def precision(self) -> str:
        """What the file says that it computes in."""
        return self.facts.metadata.get("precision", "fp32")[:20]

    @property
    def weights(self) -> str:
        """Where its numbers come from, as the file says; empty where it does not."""
        return self.facts.metadata.get("weights", "") if self.facts.producer == "archdsl" else ""

    @property
    def random(self) -> bool:
        return self.weights.startswith("random")

    def run(self, path: str | Path, top: int = 5) -> Prediction:
        """The prediction for one image. Raises E0804 and E0806 (the image), E0805 (the model fails)."""
        prepared = self.model.prepare(path)
        begun = time.perf_counter()
        try:
            arrays = self.session.run({self.model.input_name: prepared.values})
        except Exception as problem:
            raise refused(problem, self.facts.path) from None
        latency = 1000 * (time.perf_counter() - begun)
        notes = [Diagnostic("N0804", f"{Path(path).name}: {note}", severity="note") for note in prepared.notes]
        return self._read(str(path), dict(zip(self.session.outputs, arrays, strict=True)), top, latency, notes)

    def _read(
        self, image: str, outputs: dict[str, Any], top: int, latency: float, notes: list[Diagnostic]
    ) -> Prediction:
        first = np.asarray(next(iter(outputs.values())))
        if not np.isfinite(first).all():
            notes.append(
                Diagnostic(
                    "W0809", f"{Path(image).name}: the output holds numbers that are not finite", severity="warning"
                )
            )
        figures = tuple(_figures(name, np.asarray(value)) for name, value in outputs.items())
        told = tuple(notes)
        drawn = self.facts.metadata.get("output") == "image"  # even where it is of one pixel
        if first.ndim >= 2 and first.size == first.shape[1] and not drawn:
            measure, values = self._measured(first.reshape(-1).astype(np.float64))
            guesses = tuple(self._guess(int(i), float(values[i])) for i in _best(values, top, measure))
            return Prediction(image, measure, guesses, None, figures[1:], latency, told)
        if first.ndim == 4 and first.shape[1] in (1, 3):
            return Prediction(image, None, (), first[0].astype(np.float32), figures[1:], latency, told)
        return Prediction(image, None, (), None, figures, latency, told)

    def _guess(self, index: int, value: float) -> Guess:
        labels = self.labels
        return Guess(index, labels[index] if labels is not None and index < len(labels) else None, value)

    def _measured(self, values: npt.NDArray[np.float64]) -> tuple[Measure, npt.NDArray[np.float64]]:
        """The numbers as what they are. A model that does not say is taken to give logits, unless they sum to 1."""
        reading = self.facts.metadata.get("output", "")
        if reading == "distances":
            return "distance", values
        if reading == "scores" or values.size == 1:
            return "score", values
        summed = bool((values >= 0).all() and abs(float(values.sum()) - 1) < 1e-3)
        if reading == "probabilities" or (reading != "logits" and summed):
            return "probability", values
        powers = np.exp(values - values.max())
        return "probability", powers / powers.sum()


def _best(values: npt.NDArray[np.float64], top: int, measure: Measure) -> Sequence[int]:
    order: Sequence[int] = np.argsort(values if measure == "distance" else -values, kind="stable")[:top].tolist()
    return order


def _figures(name: str, value: npt.NDArray[Any]) -> Output:
    if not value.size:
        return Output(name, value.shape, 0.0, 0.0, 0.0)
    return Output(name, value.shape, float(value.min()), float(value.max()), float(value.mean()))


# --- opening ---------------------------------------------------------------------------------------------


def open_predictor(path: str | Path, device: Device = "auto") -> Predictor:
    """A model file made ready. Raises E0802 to E0806."""
    model = open_image_model(path, device)
    return Predictor(model, _labels(model.facts))


def _labels(facts: ModelFacts) -> tuple[str, ...] | None:
    try:
        found = json.loads(facts.metadata.get("labels", "null"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list) or len(found) > _MAX_LABELS or not all(isinstance(v, str) for v in found):
        return None
    return tuple(found)


# --- pictures --------------------------------------------------------------------------------------------


def picture(values: Array, whole: float, stretch: bool, suffix: str) -> tuple[bytes, str]:
    """An output `(C, H, W)` as an image file, and how its values became pixels.

    By default 0 is black and `whole` white, and what lies outside is clipped; with `stretch` the least value is black
    and the largest white.
    """
    from PIL import Image, PngImagePlugin

    numbers = np.nan_to_num(values.astype(np.float64))
    least, most = float(numbers.min()), float(numbers.max())
    if stretch:
        scaled = (numbers - least) * (255 / (most - least) if most > least else 0)
        told = f"stretched: {least:.4g} is black, {most:.4g} white"
    else:
        outside = float(((numbers < 0) | (numbers > whole)).mean())
        scaled = np.clip(numbers, 0, whole) * (255 / whole)
        told = f"clipped to 0 .. {whole:g}: {100 * outside:.1f} % of the values lie outside, from {least:.4g} to {most:.4g}"
    pixels = np.rint(scaled).astype(np.uint8)
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    format = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF"}.get(
        suffix, "PNG"
    )
    options: dict[str, Any] = {}
    if format == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_text("Comment", "made by archdsl")
    elif format == "JPEG":
        options["comment"] = b"made by archdsl"
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue(), told

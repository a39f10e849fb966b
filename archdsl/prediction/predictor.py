"""Run a compiled model on one image after the other, and interpret its outputs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from archdsl.backends.weights.resolve import random_patterns
from archdsl.diagnostics import Diagnostic
from archdsl.prediction.result import ClassScore, Measure, OutputRange, Prediction
from archdsl.runtime.image_model import ImageModel, open_image_model
from archdsl.runtime.model import ModelFacts
from archdsl.runtime.session import Device, refused

_MAX_LABELS = 1_000_000
_MAX_WORD = 20
"""Maximum length of the precision in a file's metadata."""


@dataclass(frozen=True, slots=True)
class Predictor:
    """A model, and the labels of its classes if its file has them."""

    model: ImageModel
    labels: tuple[str, ...] | None

    @property
    def name(self) -> str:
        return self._metadata.get("name") or self.model.facts.path.stem

    @property
    def precision(self) -> str:
        """The precision in the file's metadata."""
        return self._metadata.get("precision", "fp32")[:_MAX_WORD]

    @property
    def weights(self) -> str:
        """The source of the weights in the metadata of a file that archdsl wrote; empty for other files."""
        return self._metadata.get("weights", "") if self.model.facts.producer == "archdsl" else ""

    @property
    def notes(self) -> tuple[Diagnostic, ...]:
        """N0803 if a GPU does not start, W0808 if any of the weights are random."""
        notes = []
        if self.model.session.note:
            notes.append(Diagnostic("N0803", self.model.session.note, severity="note"))
        if self.weights.startswith("random"):
            message = f"the weights of `{self.name}` are random: its predictions are meaningless"
            help_ = "pass trained weights: `--weights FILE`"
            notes.append(Diagnostic("W0808", message, severity="warning", help=help_))
        elif made := random_patterns(self.weights):
            message = f"some weights of `{self.name}` are random, {made}: its predictions are meaningless"
            help_ = "train them, or pass weights that have them: `--weights FILE`"
            notes.append(Diagnostic("W0808", message, severity="warning", help=help_))
        return tuple(notes)

    @property
    def _metadata(self) -> Mapping[str, str]:
        return self.model.facts.metadata

    def run(self, image: str | Path, top: int = 5) -> Prediction:
        """Return the prediction for one image file.

        Raises E0804 or E0806 if the image cannot be used, E0805 if the model fails.
        """
        prepared = self.model.prepare(image)
        session = self.model.session
        start = time.perf_counter()
        try:
            arrays = session.run({self.model.input_name: prepared.values})
        except Exception as problem:
            raise refused(problem, self.model.facts.path) from None
        latency = 1000 * (time.perf_counter() - start)
        outputs = dict(zip(session.outputs, map(np.asarray, arrays), strict=True))
        notes = [*prepared.notes]
        if not np.isfinite(next(iter(outputs.values()))).all():
            message = f"{Path(image).name}: the output contains infinities or NaN"
            notes.append(Diagnostic("W0809", message, severity="warning"))
        return self._read(str(image), outputs, top, latency, tuple(notes))

    def _read(
        self,
        image: str,
        outputs: Mapping[str, npt.NDArray[np.generic]],
        top: int,
        latency: float,
        notes: tuple[Diagnostic, ...],
    ) -> Prediction:
        """Interprets the first output as classes, an image, or a range; the others as ranges."""
        first = next(iter(outputs.values()))
        ranges = tuple(_range(name, value) for name, value in outputs.items())
        is_image = self._metadata.get("output") == "image"  # even with a single pixel
        if first.ndim >= 2 and first.size == first.shape[1] and not is_image:
            measure, values = self._measured(first.reshape(-1).astype(np.float64))
            classes = tuple(self._score(index, float(values[index])) for index in _best(values, top, measure))
            return Prediction(image, measure, classes, None, None, ranges[1:], latency, notes)
        if first.ndim == 4 and first.shape[1] in (1, 3):
            return Prediction(image, None, (), first[0].astype(np.float32), None, ranges[1:], latency, notes)
        return Prediction(image, None, (), None, None, ranges, latency, notes)

    def _score(self, index: int, value: float) -> ClassScore:
        labels = self.labels
        return ClassScore(index, labels[index] if labels is not None and index < len(labels) else None, value)

    def _measured(self, values: npt.NDArray[np.float64]) -> tuple[Measure, npt.NDArray[np.float64]]:
        """The values and their measure. Without metadata the output is logits, unless its values sum to 1."""
        reading = self._metadata.get("output", "")
        if reading == "distances":
            return "distance", values
        if reading == "scores" or values.size == 1:
            return "score", values
        sums_to_1 = bool((values >= 0).all() and abs(float(values.sum()) - 1) < 1e-3)
        if reading == "probabilities" or (reading != "logits" and sums_to_1):
            return "probability", values
        powers = np.exp(values - values.max())
        return "probability", powers / powers.sum()


def _best(values: npt.NDArray[np.float64], top: int, measure: Measure) -> Sequence[int]:
    order: Sequence[int] = np.argsort(values if measure == "distance" else -values, kind="stable")[:top].tolist()
    return order


def _range(name: str, value: npt.NDArray[np.generic]) -> OutputRange:
    exact = value.astype(np.float64)
    if not exact.size:
        return OutputRange(name, value.shape, 0.0, 0.0, 0.0)
    return OutputRange(name, value.shape, float(exact.min()), float(exact.max()), float(exact.mean()))


def open_predictor(path: str | Path, device: Device = "auto") -> Predictor:
    """Open a model file on a device. Raises E0802 to E0806."""
    model = open_image_model(path, device)
    return Predictor(model, _labels(model.facts))


def _labels(facts: ModelFacts) -> tuple[str, ...] | None:
    """The labels in the metadata; None if they are not a list of strings."""
    try:
        labels = json.loads(facts.metadata.get("labels", "null"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(labels, list) or len(labels) > _MAX_LABELS or not all(isinstance(v, str) for v in labels):
        return None
    return tuple(labels)

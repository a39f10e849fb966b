"""Run a compiled model on samples, and interpret its outputs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from archdsl.backends.weights.resolve import random_patterns
from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.prediction.inputs import Remote, Sample, sample_name
from archdsl.prediction.result import ClassScore, Measure, Missed, OutputRange, Prediction, Row
from archdsl.runtime.image_model import ImageModel, open_image_model
from archdsl.runtime.images import Skipped, Source, as_source
from archdsl.runtime.model import ModelFacts, not_a_model
from archdsl.runtime.preprocess import Prepared
from archdsl.runtime.session import Device, Tuning, refused

AnyArray: TypeAlias = npt.NDArray[np.generic]

_MAX_LABELS = 1_000_000
_MAX_BATCH_BYTES = 1 << 25
"""Maximum bytes of the inputs of a batch, unless one sample has more."""
_MAX_WORD = 20
"""Maximum length of the precision in a file's metadata."""


_ANY_TIME: AbstractContextManager[object] = nullcontext()

Each: TypeAlias = Callable[[npt.NDArray[np.float32], Mapping[str, AnyArray], Prediction], Row]
"""Called in a worker thread for each sample with its input `(1, ...)`, all its outputs `(1, ...)` and its prediction;
returns the prediction, with additions, or an error."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What to make of the outputs: the `top` best classes, the `outputs` to keep, and `each` for anything else.

    `batch` is the maximum number of samples that run together.
    """

    top: int = 5
    outputs: tuple[str, ...] = ()
    batch: int = 1
    each: Each | None = None


@dataclass(frozen=True, slots=True)
class _Ready:
    """A prepared sample; `number` is its place among those of one call."""

    number: int
    source: Source
    prepared: Prepared


def _fits(batch: Sequence[_Ready], ready: _Ready, most: int) -> bool:
    values = ready.prepared.values
    same_shape = batch[0].prepared.values.shape == values.shape
    return len(batch) < most and same_shape and (len(batch) + 1) * values.nbytes <= _MAX_BATCH_BYTES


def random_note(name: str, weights: str) -> tuple[Diagnostic, ...]:
    """Return W0808 if any of a network's weights are random; `weights` is their source."""
    if weights.startswith("random"):
        message = f"the weights of `{name}` are random: its predictions are meaningless"
        help_ = "pass trained weights: `--weights FILE`"
    elif made := random_patterns(weights):
        message = f"some weights of `{name}` are random, {made}: its predictions are meaningless"
        help_ = "train them, or pass weights that have them: `--weights FILE`"
    else:
        return ()
    return (Diagnostic("W0808", message, severity="warning", help=help_),)


@dataclass(frozen=True, slots=True)
class Predictor:
    """A model, and the labels of its classes if its file has them. `turn` limits how many runs are under way."""

    model: ImageModel
    labels: tuple[str, ...] | None
    turn: AbstractContextManager[object] = _ANY_TIME

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
        return self.model.facts.weights

    @property
    def notes(self) -> tuple[Diagnostic, ...]:
        """N0803 if a GPU does not start, W0808 if any of the weights are random."""
        notes = []
        if self.model.session.note:
            notes.append(Diagnostic("N0803", self.model.session.note, severity="note"))
        return (*notes, *random_note(self.name, self.weights))

    @property
    def _metadata(self) -> Mapping[str, str]:
        return self.model.facts.metadata

    def run(self, image: str | Path, top: int = 5) -> Prediction:
        """Return the prediction for one image file.

        Raises E0804 or E0806 if the image cannot be used, E0805 if the model fails.
        """
        (row,) = self.rows([as_source(image)], Reading(top))
        if isinstance(row, Missed):
            raise ArchError(row.problems, row.status)
        return row

    def rows(self, samples: Sequence[Sample], reading: Reading) -> list[Row]:
        """Return the row of each sample. Threads may call it at the same time.

        Consecutive samples of equal shape run as one batch of at most `reading.batch`. The errors of a sample are in
        its row.
        """
        rows: list[Row | None] = [None] * len(samples)
        batch: list[_Ready] = []
        for number, sample in enumerate(samples):
            ready = self._prepared(number, sample)
            if isinstance(ready, Missed):
                rows[number] = ready
                continue
            if batch and not _fits(batch, ready, reading.batch):
                self._fill(rows, batch, reading)
                batch = []
            batch.append(ready)
        if batch:
            self._fill(rows, batch, reading)
        return [row for row in rows if row is not None]

    def _prepared(self, number: int, sample: Sample) -> _Ready | Missed:
        if isinstance(sample, Missed):
            return sample
        if isinstance(sample, Skipped):
            return Missed(sample_name(sample), skipped=sample.reason)
        frame = sample.frame if isinstance(sample, Source) else None
        try:
            with sample.fetched(self.model.axes) if isinstance(sample, Remote) else nullcontext(sample) as source:
                return _Ready(number, source, self.model.prepare(source))
        except ArchError as problem:
            return Missed(sample.name, problem.diagnostics, status=problem.status, frame=frame)
        except MemoryError:
            problems = (Diagnostic("E0804", f"`{sample.name[-120:]}` needs more memory than there is"),)
        except Exception as problem:  # an error of a reader is one of this file: the others go on
            why = f"`{sample.name[-120:]}`: internal error: {type(problem).__name__}: {str(problem)[:200]}"
            problems = (Diagnostic("E0999", why, help="please report it with the file, if you may"),)
        return Missed(sample.name, problems, status=1, frame=frame)

    def _fill(self, rows: list[Row | None], batch: Sequence[_Ready], reading: Reading) -> None:
        """Runs a batch and fills in its rows. A batch that fails is run one by one: the error may be of one sample."""
        try:
            outputs, latency = self._outputs(batch)
        except ArchError as problem:
            if len(batch) == 1:
                ready = batch[0]
                rows[ready.number] = Missed(
                    ready.source.name, problem.diagnostics, status=problem.status, frame=ready.source.frame
                )
                return
            for ready in batch:
                self._fill(rows, [ready], reading)
            return
        for place, ready in enumerate(batch):
            own = {name: value[place : place + 1] if len(batch) > 1 else value for name, value in outputs.items()}
            row = self._row(ready, own, latency, reading)
            rows[ready.number] = row if reading.each is None else reading.each(ready.prepared.values, own, row)

    def outputs(self, values: AnyArray) -> dict[str, AnyArray]:
        """Return all outputs, batch first, for samples `(N, ...)`. Raises E0805 if the model fails."""
        session = self.model.session
        try:
            arrays = session.run({self.model.input_name: values})
        except Exception as problem:
            raise refused(problem, self.model.facts.path) from None
        return dict(zip(session.outputs, map(np.asarray, arrays), strict=True))

    def _outputs(self, batch: Sequence[_Ready]) -> tuple[dict[str, AnyArray], float]:
        """The outputs of a batch, and the milliseconds per sample. Raises E0805 if the model fails."""
        values = [ready.prepared.values for ready in batch]
        stacked = values[0] if len(values) == 1 else np.concatenate(values)
        with self.turn:
            start = time.perf_counter()
            outputs = self.outputs(stacked)
            latency = 1000 * (time.perf_counter() - start) / len(batch)
        if len(batch) > 1 and any(value.shape[:1] != (len(batch),) for value in outputs.values()):
            raise not_a_model(self.model.facts.path, "the first axis of an output is not the batch")
        return outputs, latency

    def _row(self, ready: _Ready, outputs: Mapping[str, AnyArray], latency: float, reading: Reading) -> Prediction:
        source = ready.source
        notes = [*ready.prepared.notes]
        if not np.isfinite(next(iter(outputs.values()))).all():
            message = f"{source.short}: the output contains infinities or NaN"
            notes.append(Diagnostic("W0809", message, severity="warning"))
        row = self._read(source.name, outputs, reading.top, latency, tuple(notes))
        # A copy: a view would keep the outputs of the whole batch in memory.
        values = {name: outputs[name][0].copy() for name in reading.outputs}
        return replace(row, frame=source.frame, values=values)

    def _read(
        self,
        image: str,
        outputs: Mapping[str, AnyArray],
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


def _range(name: str, value: AnyArray) -> OutputRange:
    exact = value.astype(np.float64)
    if not exact.size:
        return OutputRange(name, value.shape, 0.0, 0.0, 0.0)
    return OutputRange(name, value.shape, float(exact.min()), float(exact.max()), float(exact.mean()))


def open_predictor(path: str | Path, device: Device = "auto", tuning: Tuning = Tuning()) -> Predictor:
    """Open a model file on a device. Raises E0802 to E0806."""
    model = open_image_model(path, device, tuning)
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

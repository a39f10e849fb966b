"""Quantise a model to int8: static quantisation by ONNX Runtime, calibrated on the user's samples.

Weights become int8 with one scale per channel, activations uint8 with one scale per tensor, from their minimum and
maximum over the images (QuantizeLinear and DequantizeLinear around every op that has an int8 form). Activations are
unsigned because ONNX Runtime's kernels for x86 multiply uint8 by int8: it converts signed activations only if a single
op reads them, so a network with skip connections would run slower than in float32 (1.32). The result reports the
difference between int8 and float32 on the same images.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import helper

from archdsl.diagnostics import ArchError, Diagnostic, error
from archdsl.diagnostics.arguments import check_type
from archdsl.files.atomic import WrittenFile, atomic_write
from archdsl.files.overwrite_marks import has_mark
from archdsl.progress import Progress
from archdsl.runtime.image_model import ImageModel, open_image_model
from archdsl.runtime.images import Skipped, Source, as_source, scan
from archdsl.runtime.images.array import SUFFIX as ARRAY
from archdsl.runtime.images.readers import named
from archdsl.runtime.session import onnxruntime, open_session, refused

MAX_ERRORS = 10
FEW = 32
"""Fewer samples cause a warning: values outside their ranges are clipped."""

AnyPath: TypeAlias = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference between the int8 and the float32 outputs over the calibration images.

    `cosine` is the mean and `least` the minimum cosine between the two outputs; 1 means the same direction. For a
    classifier, `agreement` is the share of images with the same top-1 class, and `classes` the number of different
    top-1 classes of the float32 model.
    """

    images: int
    cosine: float
    least: float
    agreement: float | None
    classes: int | None


@dataclass(frozen=True, slots=True)
class QuantisedModel(WrittenFile):
    """The int8 file, its difference from the float32 model, and notes: W0862 if there were few images."""

    difference: Difference
    notes: tuple[Diagnostic, ...]


def calibration_images(source: AnyPath | Sequence[AnyPath]) -> tuple[Path, ...]:
    """Return the images and arrays to calibrate on: all in a folder and its subfolders, sorted, or the files of a list.

    Raises E0802 if ONNX Runtime is not installed, E0861 if there is no image.
    """
    onnxruntime()
    if not isinstance(source, (str, os.PathLike)):
        check_type("calibrate", source, "a folder, or a list of files", Sequence)
        return _not_empty(tuple(map(Path, source)), "the list")
    folder = Path(source)
    if not os.path.isdir(folder):
        raise error("E0861", f"`{str(folder)[-120:]}` is not a folder of images or arrays", status=2)
    files = sorted(path for path in folder.rglob("*") if named(path) and path.is_file())
    return _not_empty(tuple(files), f"`{str(folder)[-120:]}`")


def _not_empty(images: tuple[Path, ...], place: str) -> tuple[Path, ...]:
    if not images:
        raise error(
            "E0861",
            f"there is no image or array in {place}",
            status=2,
            help="use some hundred images like those the network will see, with names in .png, .jpg, .dcm, ...;\n"
            f"for signals and volumes arrays of the input's shape, as `numpy.save` writes them: {ARRAY}",
        )
    return images


def about(images: Sequence[Path]) -> tuple[Diagnostic, ...]:
    """Return W0862 if there are few images."""
    if len(images) >= FEW:
        return ()
    noun = "array" if any(path.suffix.lower() == ARRAY for path in images) else "image"
    count = f"{len(images)} {noun}{'s' * (len(images) != 1)}"
    return (
        Diagnostic(
            "W0862",
            f"calibrated on {count}: values outside their ranges are clipped",
            severity="warning",
            help=f"use some hundred {noun}s like those the network will see",
        ),
    )


def quantise(
    model: AnyPath,
    images: Sequence[Path],
    target: AnyPath,
    *,
    inputs: Sequence[AnyPath] = (),
    force: bool = False,
    progress: Progress | None = None,
) -> QuantisedModel:
    """Write the float32 ONNX file `model` as an int8 ONNX file at `target`, calibrated on `images`.

    `images` are those of `calibration_images`; `inputs` are files that `target` must not replace. `progress` is called
    with the number of finished steps and of all steps. The input and the output of the int8 model stay float32.

    Raises E0804 or E0806 for samples that cannot be used, before it starts; E0805 for a model that ONNX Runtime cannot
    quantise; E07xx as `atomic_write`.
    """
    opened = open_image_model(model, "cpu")
    scanned = scan(images, opened.axes)
    samples = tuple(as_source(one.path) if isinstance(one, Skipped) else one for one in scanned)
    steps = _Steps(3 * len(samples), progress)
    extremes = _check(samples, opened, steps)
    with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
        quantised = Path(folder) / "int8.onnx"
        _run(opened, quantised, _Images(samples, opened, steps))
        proto = _with_facts(onnx.load(quantised), opened)
        difference = _difference(proto, samples, opened, steps)
    with atomic_write(target, inputs=inputs, force=force, replaceable=has_mark("onnx")) as output:
        output.write(proto.SerializeToString(deterministic=True))
    assert output.written is not None
    return QuantisedModel(output.written.path, output.written.size, difference, (*about(images), *_constant(extremes)))


class _Steps:
    """Counts finished steps: every image is read three times."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.done, self.total, self.progress = 0, total, progress

    def advance(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)


def _check(samples: Sequence[Source], model: ImageModel, steps: _Steps) -> set[float]:
    """Return the minimum and the maximum of all values. Raises the errors of all images."""
    problems: list[Diagnostic] = []
    extremes: set[float] = set()
    for sample in samples:
        try:
            values = model.prepare(sample).values
            extremes |= {float(values.min()), float(values.max())}
            extremes = {min(extremes), max(extremes)}
        except ArchError as problem:
            problems += problem.diagnostics
        steps.advance()
    if problems:
        more = len(problems) - MAX_ERRORS
        rest = [Diagnostic("E0861", f"{more} more calibration images cannot be used")] if more > 0 else []
        raise ArchError([*problems[:MAX_ERRORS], *rest])
    return extremes


def _constant(extremes: set[float]) -> tuple[Diagnostic, ...]:
    """Return W0862 if all values of all samples are equal."""
    if len(extremes) != 1:
        return ()
    message = (
        f"all values of the calibration samples are {min(extremes):g}: the ranges of the network are those of no data"
    )
    return (Diagnostic("W0862", message, severity="warning", help="are these the right files?"),)


def _run(model: ImageModel, quantised: Path, reader: _Images) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    try:
        with _quiet():
            quantize_static(
                model.facts.path,
                quantised,
                reader,
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
    except (ArchError, MemoryError):
        raise
    except Exception as problem:  # the quantiser raises exceptions of any type
        raise error(
            "E0805", f"ONNX Runtime cannot quantise the model: {type(problem).__name__}: {str(problem)[:200]}"
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppresses log messages meant for the programmer."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


class _Images:
    """ONNX Runtime's CalibrationDataReader: returns one sample after the other, then None."""

    def __init__(self, samples: Sequence[Source], model: ImageModel, steps: _Steps) -> None:
        self._left, self._model, self._steps = iter(samples), model, steps

    def get_next(self) -> dict[str, Any] | None:
        sample = next(self._left, None)
        if sample is None:
            return None
        self._steps.advance()
        return _inputs(self._model, sample)


def _inputs(model: ImageModel, sample: Source) -> dict[str, Any]:
    return {model.input_name: model.prepare(sample).values}


def _with_facts(proto: onnx.ModelProto, model: ImageModel) -> onnx.ModelProto:
    """Copies the model's metadata, except the fold map: no tensor is unchanged."""
    facts = {key: value for key, value in model.facts.metadata.items() if key != "folded"}
    del proto.metadata_props[:]
    helper.set_model_props(proto, {**facts, "precision": "int8"})
    proto.producer_name = "archdsl"
    return proto


def _difference(proto: onnx.ModelProto, samples: Sequence[Source], model: ImageModel, steps: _Steps) -> Difference:
    session = open_session(proto.SerializeToString(), "cpu")
    cosines, same, seen = [], [], set()
    best = np.argmin if model.facts.metadata.get("output") == "distances" else np.argmax
    for sample in samples:
        inputs = _inputs(model, sample)
        try:
            was, now = (np.asarray(one.inference.run(None, inputs)[0], np.float64) for one in (model.session, session))
        except Exception as problem:  # ONNX Runtime rejects the scale of very large values
            raise refused(problem, model.facts.path) from None
        norms = float(np.linalg.norm(was) * np.linalg.norm(now))
        cosines.append(float((was * now).sum()) / norms if norms else float(np.array_equal(was, now)))
        if was.size == was.shape[1] > 1:
            same.append(bool(best(was) == best(now)))
            seen.add(int(best(was)))
        steps.advance()
    agreement = sum(same) / len(same) if same else None
    return Difference(len(samples), sum(cosines) / len(cosines), min(cosines), agreement, len(seen) or None)

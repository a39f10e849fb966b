"""Eight bits instead of thirty-two: static quantisation by ONNX Runtime's own quantiser, calibrated on the user's
images.

Weights become int8 with a scale for each channel, activations uint8 with one for each value, from the least and the
largest number seen (QuantizeLinear and DequantizeLinear around every op that has an int8 form). ONNX Runtime's kernels
for x86 take uint8 beside int8; signed activations it turns into unsigned ones only where one op reads them, so that a
network with skips would run slower than in float32 (1.32). What int8 costs is told on the same images.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import helper

from archdsl.diagnostics import ArchError, Diagnostic, error
from archdsl.files.atomic import Written, atomic_write
from archdsl.prediction.predict import Predictor, open_predictor
from archdsl.runtime.preprocess import prepare
from archdsl.runtime.session import open_session, refused

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm")
MAX_TOLD = 10
FEW = 32
"""Fewer images than this are told of: the ranges are those of what was seen, and what is beyond them is cut off."""

Progress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Difference:
    """What int8 changes, over the calibration images: the cosine between the outputs, 1 where they point the same way,
    as mean and least; and for classes the share of images whose best one is the same, and how many best ones there are
    before."""

    images: int
    cosine: float
    least: float
    agreement: float | None
    classes: int | None


def calibration_images(folder: Path) -> tuple[Path, ...]:
    """The images in a folder and the folders in it, in the order of their names. Raises E0861 where there are none."""
    if not os.path.isdir(folder):
        raise error("E0861", f"`{str(folder)[-120:]}` is not a folder of images", status=2)
    found = tuple(sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()))
    if not found:
        raise error(
            "E0861",
            f"there is no image in `{str(folder)[-120:]}`",
            status=2,
            help=f"some hundred pictures such as the network will see, with names that end in {', '.join(SUFFIXES[:3])}, ...",
        )
    return found


def about(images: Sequence[Path]) -> tuple[Diagnostic, ...]:
    """W0862 where they are few."""
    if len(images) >= FEW:
        return ()
    count = f"{len(images)} image{'s' * (len(images) != 1)}"
    return (
        Diagnostic(
            "W0862",
            f"calibrated on {count}: numbers beyond what they show are cut off",
            severity="warning",
            help="some hundred pictures such as the network will see",
        ),
    )


def quantise(
    model: Path,
    images: Sequence[Path],
    target: Path,
    *,
    inputs: Sequence[str] = (),
    force: bool = False,
    mine: Callable[[Path], bool] | None = None,
    progress: Progress | None = None,
) -> tuple[Written, Difference]:
    """Writes the float32 `model` as int8, and tells the difference.

    Errors: E0804, E0806 images that cannot be used, all of them before the work begins; E0805 a model that the
    quantiser refuses; E07xx as `atomic_write`.
    """
    predictor = open_predictor(model, "cpu")
    steps = _Steps(3 * len(images), progress)
    _check(images, predictor, steps)
    with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
        made = Path(folder) / "int8.onnx"
        _run(model, made, _Images(images, predictor, steps))
        proto = _with_facts(onnx.load(made), predictor)
        difference = _difference(proto, images, predictor, steps)
    with atomic_write(target, inputs=inputs, force=force, mine=mine) as output:
        output.write(proto.SerializeToString(deterministic=True))
    assert output.written is not None
    return output.written, difference


class _Steps:
    """Counts what is done: every image is looked at three times."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.done, self.total, self.progress = 0, total, progress

    def one(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)


def _sample(path: Path, predictor: Predictor) -> dict[str, Any]:
    return {next(iter(predictor.session.inputs)): prepare(path, predictor.recipe, predictor.sizes).values}


def _check(images: Sequence[Path], predictor: Predictor, steps: _Steps) -> None:
    """Raises what is wrong with any of the images."""
    problems: list[Diagnostic] = []
    for path in images:
        try:
            prepare(path, predictor.recipe, predictor.sizes)
        except ArchError as problem:
            problems += problem.diagnostics
        steps.one()
    if problems:
        more = len(problems) - MAX_TOLD
        rest = [Diagnostic("E0861", f"{more} more of the calibration images cannot be used")] if more > 0 else []
        raise ArchError([*problems[:MAX_TOLD], *rest])


def _run(model: Path, made: Path, reader: _Images) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    try:
        with _quiet():
            quantize_static(
                model,
                made,
                reader,
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
    except (ArchError, MemoryError):
        raise
    except Exception as problem:  # the quantiser raises of every kind
        raise error(
            "E0805", f"ONNX Runtime cannot quantise the model: {type(problem).__name__}: {str(problem)[:200]}"
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without advice meant for whoever wrote the call."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


class _Images:
    """What ONNX Runtime calls a CalibrationDataReader: one sample after the other, then None."""

    def __init__(self, images: Sequence[Path], predictor: Predictor, steps: _Steps) -> None:
        self._left, self._predictor, self._steps = iter(images), predictor, steps

    def get_next(self) -> dict[str, Any] | None:
        path = next(self._left, None)
        if path is None:
            return None
        self._steps.one()
        return _sample(path, self._predictor)


def _with_facts(proto: onnx.ModelProto, predictor: Predictor) -> onnx.ModelProto:
    """What the model said of itself; no fold map, as no tensor is what it was."""
    facts = {key: value for key, value in predictor.facts.metadata.items() if key != "folded"}
    del proto.metadata_props[:]
    helper.set_model_props(proto, {**facts, "precision": "int8"})
    proto.producer_name = "archdsl"
    return proto


def _difference(proto: onnx.ModelProto, images: Sequence[Path], predictor: Predictor, steps: _Steps) -> Difference:
    session = open_session(proto.SerializeToString(), "cpu")
    cosines, same, seen = [], [], set()
    best = np.argmin if predictor.facts.metadata.get("output") == "distances" else np.argmax
    for path in images:
        sample = _sample(path, predictor)
        try:
            was, now = (
                np.asarray(one.inference.run(None, sample)[0], np.float64) for one in (predictor.session, session)
            )
        except Exception as problem:  # of numbers so large that ONNX Runtime takes no scale for them
            raise refused(problem, predictor.facts.path) from None
        norms = float(np.linalg.norm(was) * np.linalg.norm(now))
        cosines.append(float((was * now).sum()) / norms if norms else float(np.array_equal(was, now)))
        if was.size == was.shape[1] > 1:
            same.append(bool(best(was) == best(now)))
            seen.add(int(best(was)))
        steps.one()
    agreement = sum(same) / len(same) if same else None
    return Difference(len(images), sum(cosines) / len(cosines), min(cosines), agreement, len(seen) or None)

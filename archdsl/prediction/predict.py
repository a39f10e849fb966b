"""`archdsl.predict`: run a network on images."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

from archdsl.axes import IMAGE, VECTOR, is_picture, kind_of
from archdsl.backends.onnx.half_precision import DTYPES, Precision
from archdsl.diagnostics import ArchError, Diagnostic, error
from archdsl.diagnostics.arguments import (
    check_callables,
    check_choice,
    check_flags,
    check_mappings,
    check_paths,
    check_range,
    check_type,
)
from archdsl.network import Network, as_network, label_note
from archdsl.network.checks import MAX_SEED
from archdsl.packages import require_package
from archdsl.prediction.picture import PictureWriter, check_output
from archdsl.prediction.predictor import Predictor, open_predictor
from archdsl.prediction.result import Prediction, PredictResult
from archdsl.progress import Watch, watched
from archdsl.runtime.model import check_unchanged, is_model
from archdsl.runtime.session import Device, require
from archdsl.shapes import format_shape

MAX_TOP = 1000
_OF_IMAGES = {"E0804", "E0806"}
"""Errors of one image, which do not affect the other images."""


def predict(
    source: str | Path | Network,
    images: str | Path | Sequence[str | Path],
    *,
    top: int = 5,
    weights: str | Path | Mapping[str, object] | None = None,
    seed: int | None = None,
    precision: Precision = "fp32",
    device: Device = "auto",
    output: str | Path | None = None,
    folder: str | Path | None = None,
    stretch: bool = False,
    force: bool = False,
    args: Mapping[str, object] | None = None,
    input: str | Sequence[int] | None = None,
    watch: Watch | None = None,
) -> PredictResult:
    """Run a network on image files with ONNX Runtime.

    `source` is a SPEC, the path of a compiled model (`.onnx`), or a `Network`; a spec is compiled first. `weights` and
    `seed` are those of `Network.weights`, `args` and `input` those of `load`, `precision` is `fp32`, `fp16` or `bf16`.
    `device` is `auto`, `cpu`, `cuda` or `tensorrt`; `auto` is the GPU if one works.

    Each image is preprocessed as the spec, or the model's metadata, defines. For a classifier, the result has the `top`
    best classes (1 to 1,000). The images that a network outputs are written to `output`, a file or an existing folder,
    or without `output` to `folder`; without both they are not written. With `stretch` the minimum is black and the
    maximum white; by default 0 is black and the recipe's scale white. `force` replaces files that archdsl did not
    write.

    The errors of an image that cannot be used are in the result's `failures`; if no image can be used, they are raised.

    Raises E0001 or E0002 for an argument with a wrong value, E0003 for arguments that exclude each other, E0802 for a
    missing ONNX Runtime, E0803 for a device that does not start, E0804 for unreadable images, E0805 for an unusable
    model, E0806 for a network whose input is not an image, or whose output is not one although `output` is set, E07xx
    for a file that cannot be written; the errors of `load` and `Network.weights` for a spec.
    """
    check_mappings(args=args)
    check_paths(output=output, folder=folder)
    check_flags(stretch=stretch, force=force)
    check_callables(watch=watch)
    if isinstance(images, bytes) or not isinstance(images, (str, PathLike, Iterable)):
        check_type("images", images, "a path, or several paths")
    paths = (images,) if isinstance(images, (str, PathLike)) else tuple(images)
    for path in paths:
        check_type("images", path, "a path, or several paths", str, PathLike)
    _check(paths, top, seed, precision, output)
    require_package("numpy")
    require_package("PIL")
    require(device)
    model = _Source(source, weights, seed, precision, args, input, device)
    with model.opened(watch) as (predictor, notes):
        inputs = (*model.files, *paths)
        target = folder if output is None else output
        writer = None if target is None else PictureWriter(Path(target), stretch, force, inputs)
        run = _ImageRun(predictor, top, writer, output is not None)
        run.all(paths, watch)
        return run.result(notes)


def _check(images: Sequence[str | Path], top: int, seed: int | None, precision: str, output: str | Path | None) -> None:
    check_range("top", top, 1, MAX_TOP)
    if seed is not None:
        check_range("seed", seed, 0, MAX_SEED)
    check_choice("precision", precision, DTYPES)
    if not images:
        raise error("E0804", "no image to predict", status=2, help="name at least one image file")
    check_output(output, images)


# --- the model -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Source:
    """A network, and how to compile it unless it is a compiled model."""

    source: str | Path | Network
    weights: str | Path | Mapping[str, object] | None
    seed: int | None
    precision: Precision
    args: Mapping[str, object] | None
    input: str | Sequence[int] | None
    device: Device

    @property
    def files(self) -> tuple[str | Path, ...]:
        """The files that the run reads, which no output may replace."""
        sources = self.source.files if isinstance(self.source, Network) else (self.source,)
        return (*sources, *((self.weights,) if isinstance(self.weights, (str, Path)) else ()))

    @contextmanager
    def opened(self, watch: Watch | None) -> Iterator[tuple[Predictor, tuple[Diagnostic, ...]]]:
        """The model, ready to run, and notes on the network and the weights."""
        if not isinstance(self.source, Network) and is_model(self.source):
            check_unchanged(
                self.source,
                weights=self.weights is not None,
                seed=self.seed is not None,
                precision=self.precision != "fp32",
                args=bool(self.args),
                input=self.input is not None,
            )
            yield open_predictor(self.source, self.device), ()
            return
        network = as_network(self.source, self.args, self.input)
        _check_input(network)
        values = network.weights(self.weights, self.seed or 0)
        with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
            path = Path(folder) / f"{network.name}.onnx"
            progress = watched(watch, f"compiling {network.name}")
            network.to_onnx(path, values, precision=self.precision, progress=progress)
            yield open_predictor(path, self.device), (*label_note(network.document, network.classes), *values.notes)


def _check_input(network: Network) -> None:
    """Raises E0806 if the network's input is neither an image nor a vector, whose values are those of an image."""
    shape = network.input
    if isinstance(shape, dict):
        raise error("E0806", f"`{network.name}` has {len(shape)} inputs; an image fills only one")
    kind = kind_of(shape)
    if kind not in (IMAGE, VECTOR):
        raise error(
            "E0806",
            f"the input of `{network.name}` is {kind.noun} of {format_shape(shape)}; `predict` reads image files",
            help="`archdsl compile` writes a model, which ONNX Runtime and PyTorch run on arrays",
        )
    if network.recipe is None or (kind is IMAGE and not is_picture(shape)):
        raise error("E0806", f"the input of `{network.name}` has {shape[0]} channels, an image has 1 or 3")


# --- the images ------------------------------------------------------------------------------------------


class _ImageRun:
    """Runs a network on one image after the other, and collects predictions and failures."""

    def __init__(self, predictor: Predictor, top: int, writer: PictureWriter | None, must_write: bool) -> None:
        self.predictor, self.top, self.writer, self.must_write = predictor, top, writer, must_write
        self.predictions: list[Prediction] = []
        self.failures: list[Diagnostic] = []
        self.status = 0

    def all(self, images: Sequence[str | Path], watch: Watch | None) -> None:
        progress = watched(watch if len(images) > 1 else None, "predicting")
        for number, image in enumerate(images, 1):
            try:
                prediction = self.predictor.run(image, self.top)
            except ArchError as problem:
                if not {d.code for d in problem.diagnostics} <= _OF_IMAGES:
                    raise
                self.failures += problem.diagnostics
                self.status = max(self.status, problem.status)
            else:
                self.predictions.append(self._written(prediction))
            progress(number, len(images))

    def _written(self, prediction: Prediction) -> Prediction:
        """The prediction with the file of its picture."""
        if prediction.picture is None:
            if self.must_write:
                message = f"`output` is for images, and `{self.predictor.name}` outputs none"
                raise error("E0806", message, status=2, help="leave out `output`")
            return prediction
        if self.writer is None:
            return prediction
        white = self.predictor.model.recipe.scale
        file = self.writer.write(prediction.picture, prediction.image, self.predictor.name, white)
        return replace(prediction, file=file)

    def result(self, notes: Sequence[Diagnostic]) -> PredictResult:
        """Raises the errors of the images if none of them could be used."""
        if not self.predictions:
            raise ArchError(self.failures, self.status)
        session = self.predictor.model.session
        return PredictResult(
            self.predictor.name,
            self.predictor.precision,
            self.predictor.weights,
            session.provider,
            session.version,
            tuple(self.predictions),
            tuple(self.failures),
            self.status,
            (*notes, *self.predictor.notes),
        )

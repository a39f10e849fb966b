"""`archdsl.predict` and `archdsl.predict_stream`: run a network on images."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Unpack

from archdsl.diagnostics import ArchError, Diagnostic, error
from archdsl.diagnostics.arguments import (
    check_callables,
    check_flags,
    check_names,
    check_paths,
    check_range,
    check_type,
    conflict,
)
from archdsl.network import Network
from archdsl.packages import require_package
from archdsl.prediction.inputs import find_files
from archdsl.prediction.opening import ModelOptions, ModelSource
from archdsl.prediction.picture import PictureWriter, check_output
from archdsl.prediction.predictor import Each, Reading
from archdsl.prediction.result import Missed, Prediction, PredictResult
from archdsl.prediction.stream import CHUNK, MAX_WORKERS, Engine, PredictStream, open_stream
from archdsl.progress import Watch
from archdsl.runtime.session import Device, require

MAX_TOP = 1000
MAX_BATCH = 4096
MAX_CHUNK = 1_000_000
MAX_SHARDS = 100_000
_SHARD = re.compile(r"(\d{1,6})/(\d{1,6})", re.ASCII)


def predict(
    source: str | Path | Network,
    images: str | Path | Sequence[str | Path],
    *,
    top: int = 5,
    device: Device = "auto",
    output: str | Path | None = None,
    folder: str | Path | None = None,
    stretch: bool = False,
    force: bool = False,
    watch: Watch | None = None,
    **model: Unpack[ModelOptions],
) -> PredictResult:
    """Run a network on image files with ONNX Runtime, and return all predictions: `predict_stream` is for many images.

    `source` is a SPEC, the path of a compiled model (`.onnx`), or a `Network`; a spec is compiled first: of `model`,
    `weights` and `seed` are those of `Network.weights`, `args` and `input` those of `load`, and `precision` is `fp32`,
    `fp16` or `bf16`.
    `device` is `auto`, `cpu`, `cuda`, `cuda:1` or `tensorrt`; `auto` is the GPU if one works. `images` are those of
    `predict_stream`.

    Each image is preprocessed as the spec, or the model's metadata, defines. For a classifier, the result has the `top`
    best classes (1 to 1,000). The images that a network outputs are written to `output`, a file, or a folder (a name
    without a suffix), or without `output` to `folder`; without both they are not written. With `stretch` the minimum is
    black and the maximum white; by default 0 is black and the recipe's scale white. `force` replaces files that archdsl
    did not write.

    The errors of an image that cannot be used are in the result's `failures`; if no image can be used, they are raised.

    Raises E0001 or E0002 for an argument with a wrong value, E0003 for arguments that exclude each other, E0802 for a
    missing ONNX Runtime, E0803 for a device that does not start, E0804 for unreadable images, E0805 for an unusable
    model, E0806 for a network whose input is not an image, or whose output is not one although `output` is set, E0830
    for a list or a store that cannot be read, E07xx for a file that cannot be written; the errors of `load` and
    `Network.weights` for a spec.
    """
    check_paths(output=output, folder=folder)
    opened = ModelSource(source, **model)
    paths = _paths(images)
    pictures = _pictures(opened, paths, output, folder, stretch, force)
    with _open(opened, paths, Reading(_top(top)), device, False, output, pictures=pictures, watch=watch) as stream:
        rows = [*stream]
        missed = [row for row in rows if isinstance(row, Missed)]
        images_ = tuple(row for row in rows if isinstance(row, Prediction))
        failures = tuple(problem for row in missed for problem in row.problems)
        skipped = tuple(row for row in missed if row.skipped)
        if not images_:
            raise ArchError(failures or tuple(map(_no_image, skipped)), stream.status or 1)
        known = {
            "failures": failures,
            "status": stream.status,
            "notes": (*stream.notes, *stream.warnings),
            "skipped": skipped,
        }
        return PredictResult(**asdict(stream.info), images=images_, **known)  # type: ignore[arg-type]


def predict_stream(
    source: str | Path | Network,
    images: str | Path | Sequence[str | Path],
    *,
    top: int = 5,
    outputs: Sequence[str] = (),
    device: Device = "auto",
    batch: int | None = None,
    workers: int | None = None,
    chunk: int = CHUNK,
    shard: str | None = None,
    engine: Engine | None = None,
    output: str | Path | None = None,
    folder: str | Path | None = None,
    stretch: bool = False,
    force: bool = False,
    each: Each | None = None,
    watch: Watch | None = None,
    **model: Unpack[ModelOptions],
) -> PredictStream:
    """Run a network on any number of images: iterate over the result, or call its `write`.

    `images` are files, folders (with their subfolders), globs, `@FILE` (a list of names), `-` (the same from standard
    input), and URLs of fsspec. Rows come in this order, each a `Prediction` or a `Missed` with its reason. `source`,
    `top`, `device`, `output`, `folder`, `stretch` and `force` are those of `predict`, `model` its `weights`, `seed`,
    `precision`, `args` and `input`.

    `outputs` are the names of outputs whose values each row keeps, or `["all"]`. `batch` images run together (by
    default 8; 1 for up to 16 images and for models of other tools). `workers` threads prepare and run batches (by
    default one per core, at most 16); memory is bounded by workers and batch, not by the number of images. Large inputs
    and GPUs run one batch at a time. `chunk` images are one part of the work; `shard`, `I/N`, runs each N-th chunk from
    the I-th on. `engine` runs chunks elsewhere: `RayEngine`. `each` is called for each sample, in a worker.

    Raises as `predict` does, but errors of images are rows; E0831 to E0834 are those of `PredictStream.write` and of
    engines.
    """
    check_names("outputs", outputs)
    check_range("chunk", chunk, 1, MAX_CHUNK)
    for name, value, most in (("batch", batch, MAX_BATCH), ("workers", workers, MAX_WORKERS)):
        if value is not None:
            check_range(name, value, 1, most)
    check_paths(output=output, folder=folder)
    check_callables(each=each)
    opened = ModelSource(source, **model)
    paths = _paths(images)
    if engine is not None and each is not None:
        raise conflict("`each` is called in this process, `engine` runs elsewhere", help="leave one out")
    return _open(
        opened,
        paths,
        Reading(_top(top), tuple(outputs), each=each),
        device,
        True,
        output,
        batch=batch,
        workers=workers,
        chunk=chunk,
        shard=_shard(shard),
        engine=engine,
        pictures=_pictures(opened, paths, output, folder, stretch, force),
        watch=watch,
    )


def _open(
    model: ModelSource,
    paths: Sequence[str | Path],
    reading: Reading,
    device: Device,
    full: bool,
    output: str | Path | None,
    **options: object,
) -> PredictStream:
    check_callables(watch=options["watch"])
    require_package("numpy")
    require_package("PIL")
    require(device)
    entries = find_files(paths, full)
    check_output(output, entries)
    return open_stream(model, entries, reading, device=device, **options)  # type: ignore[arg-type]


def _paths(images: object) -> tuple[str | Path, ...]:
    expected = "a path, or several paths"
    if isinstance(images, bytes) or not isinstance(images, (str, PathLike, Iterable)):
        check_type("images", images, expected)
    paths: tuple[str | Path, ...] = (images,) if isinstance(images, (str, Path)) else tuple(images)  # type: ignore[arg-type]
    for path in paths:
        check_type("images", path, expected, str, PathLike)
    if not paths:
        raise error("E0804", "no image to predict", status=2, help="name at least one image file")
    return paths


def _top(top: int) -> int:
    check_range("top", top, 1, MAX_TOP)
    return top


def _shard(shard: str | None) -> tuple[int, int]:
    """Raises E0002 if a shard is not `I/N` with 1 <= I <= N."""
    if shard is None:
        return 1, 1
    check_type("shard", shard, "a text such as 1/4", str)
    match = _SHARD.fullmatch(shard)
    number, count = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= count <= MAX_SHARDS:
        message = f"`shard` cannot be `{shard[:60]}`: I/N with I from 1 to N, such as 1/4"
        raise error("E0002", message, status=2)
    return number, count


def _pictures(
    model: ModelSource,
    paths: Sequence[str | Path],
    output: str | Path | None,
    folder: str | Path | None,
    stretch: bool,
    force: bool,
) -> tuple[PictureWriter, bool] | None:
    check_flags(stretch=stretch, force=force)
    target = folder if output is None else output
    if target is None:
        return None
    return PictureWriter(Path(target), stretch, force, (*model.files, *paths)), output is not None


def _no_image(row: Missed) -> Diagnostic:
    return Diagnostic("E0804", f"`{row.image[-120:]}` is not an image: {row.skipped}")

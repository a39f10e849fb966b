"""Options of ONNX Runtime's TensorRT provider: cached engines, timing cache, and the range of free sizes
(onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html)."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

from archdsl.backends.onnx.external import LOCATION
from archdsl.files.cache import cache_folder

Range = tuple[tuple[int, ...], tuple[int, ...]]
"""The smallest and the largest shape of an input, batch first."""


def cache_options(model: Path | bytes, version: str) -> dict[str, str]:
    """Return the options that keep engines and timings in archdsl's cache folder; none if there is no such folder.

    ONNX Runtime names an engine after the nodes of the model, not after its weights. So each content of a file has a
    folder of its own, and a model with weights in other files has no cached engine.
    """
    try:
        folder = cache_folder() / "tensorrt"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return {}
    options = {"trt_timing_cache_enable": "1", "trt_timing_cache_path": str(folder)}
    key = _digest(model)
    if key:
        engines = folder / f"{key}-{version}"
        options |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(engines)}
    return options


def _digest(model: Path | bytes) -> str:
    """The hash of a model; empty if some of its weights are in other files, or if it cannot be read."""
    digest, tail = hashlib.sha256(), b""
    try:
        with open(model, "rb") if isinstance(model, Path) else io.BytesIO(model) as file:
            while piece := file.read(1 << 24):
                if LOCATION in tail + piece:
                    return ""
                digest.update(piece)
                tail = piece[-len(LOCATION) :]
    except OSError:
        return ""
    return digest.hexdigest()[:32]


def shape_options(inputs: Sequence[tuple[str, Sequence[int | str | None]]], ranges: Sequence[Range]) -> dict[str, str]:
    """Return the profile of free sizes: the range of each input, with the largest shape as the fastest.

    Empty if the ranges do not fit the inputs, or no size is free: TensorRT then derives the range from the inputs that
    it gets, and builds a new engine for each larger one.
    """
    if len(ranges) != len(inputs) or all(isinstance(size, int) for _, shape in inputs for size in shape):
        return {}
    texts: dict[str, list[str]] = {"min": [], "opt": [], "max": []}
    for (name, shape), (least, most) in zip(inputs, ranges, strict=True):
        if len(shape) != len(least) or len(shape) != len(most):
            return {}
        for key, sizes in (("min", least), ("opt", most), ("max", most)):
            texts[key].append(f"{name}:{'x'.join(map(str, sizes))}")
    return {f"trt_profile_{key}_shapes": ",".join(values) for key, values in texts.items()}

"""Checks the options of an ONNX file: passes, precision, sizes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from archdsl.backends.onnx.half_precision import DTYPES, Precision
from archdsl.backends.onnx.opsets import checked_opset
from archdsl.compilation.targets import TARGETS, TargetName, stores_weights
from archdsl.diagnostics import error
from archdsl.diagnostics.arguments import check_choice, check_flags, conflict
from archdsl.passes.optimise import PASSES, check_passes

OnnxPrecision: TypeAlias = Precision | Literal["int8"]
PRECISIONS: tuple[OnnxPrecision, ...] = (*DTYPES, "int8")
AnyPath: TypeAlias = str | os.PathLike[str]
Calibration: TypeAlias = AnyPath | Sequence[AnyPath]
"""A folder of images or arrays, or the files themselves."""


@dataclass(frozen=True, slots=True)
class OnnxOptions:
    """A valid combination of options of an ONNX file, made by `checked_options`."""

    passes: tuple[str, ...] = tuple(PASSES)
    precision: OnnxPrecision = "fp32"
    images: tuple[Path, ...] = ()
    """Images or arrays to calibrate int8 on."""
    value_info: bool = False
    free_sizes: bool | None = None
    external_data: bool | None = None
    opset: int | None = None
    """The version of ONNX's ops; None: the default of the precision."""
    cam: bool = False
    """Add class activation maps as the last output."""
    embed_preprocess: bool = False
    """Whether the file computes the preprocessing of images, and reads raw pixels."""


def checked_options(
    passes: Sequence[str] | None,
    precision: OnnxPrecision,
    calibrate: Calibration | None,
    value_info: bool,
    free_sizes: bool | None,
    external_data: bool | None,
    opset: int | None = None,
    cam: bool = False,
    embed_preprocess: bool = False,
) -> OnnxOptions:
    """Return the options of an ONNX file. `passes` None: all.

    Raises E0001 for an unknown precision or pass, E0002 for an unknown opset, E0003 for options that exclude each
    other, E0004 if `passes` is not a list of names, E0870 for an opset that cannot express the precision; if the
    precision is int8, E0802 without ONNX Runtime and E0861 without images.
    """
    check_choice("precision", precision, PRECISIONS)
    check_flags(
        value_info=value_info,
        free_sizes=free_sizes,
        external_data=external_data,
        cam=cam,
        embed_preprocess=embed_preprocess,
    )
    checked_opset(opset, precision, embed_preprocess)
    if passes is not None:
        check_passes(passes)
    if calibrate is not None and precision != "int8":
        raise conflict(f"`calibrate` applies to precision int8; the precision is {precision}", "set precision to int8")
    if precision == "int8":
        _check_int8(calibrate, value_info, external_data)
        if embed_preprocess:
            raise conflict("an int8 file is calibrated on its own input: `embed_preprocess` does not apply")
        if cam:
            raise conflict("an int8 file has no class activation maps: `cam` does not apply")
    names = tuple(PASSES) if passes is None else tuple(name for name in PASSES if name in passes)
    images = () if calibrate is None else _images(calibrate)
    return OnnxOptions(names, precision, images, value_info, free_sizes, external_data, opset, cam, embed_preprocess)


def _check_int8(calibrate: Calibration | None, value_info: bool, external_data: bool | None) -> None:
    if calibrate is None:
        raise error(
            "E0861",
            "precision int8 needs images or arrays to calibrate on",
            status=2,
            help="set `calibrate` to a folder of a few hundred images like those that the network will see,\n"
            "or of arrays of the input's shape (`numpy.save`)",
        )
    if external_data:
        raise conflict("an int8 file contains its weights: `external_data` does not apply")
    if value_info:
        raise conflict("an int8 file has no shapes of values: `value_info` does not apply")


def _images(calibrate: Calibration) -> tuple[Path, ...]:
    from archdsl.runtime.quantise import calibration_images

    return calibration_images(calibrate)


def check_targets_have(targets: Sequence[TargetName], onnx: OnnxOptions, weights: bool) -> None:
    """Raises E0003 for weights if no target stores them, and for options of an ONNX file without the target onnx."""
    if weights and not stores_weights(targets):
        raise conflict(
            f"{TARGETS[targets[0]].about} stores no weights: `weights` does not apply",
            f"targets that store weights: {', '.join(name for name in TARGETS if TARGETS[name].stores_weights)}",
        )
    if "onnx" not in targets and replace(onnx, external_data=onnx.external_data or None) != OnnxOptions():
        raise conflict(
            "`passes`, `precision`, `value_info`, `free_sizes`, `external_data`, `opset`, `cam` and `embed_preprocess` "
            "apply to the target onnx",
            f"the target is {', '.join(targets)}",
        )

"""The table of `compile` targets: suffix, description and writer of each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from archdsl.diagnostics import error
from archdsl.diagnostics.arguments import check_choice, check_names
from archdsl.files.endings import format_of

TargetName: TypeAlias = Literal["onnx", "torch", "weights"]


@dataclass(frozen=True, slots=True)
class Target:
    """A target: a type of file that `compile` writes."""

    suffix: str
    """The suffix of the default path."""
    about: str
    stores_weights: bool
    writer: str
    """`module:function`, loaded when the target is written: `(Compilation, Path) -> TargetFiles`."""


TARGETS: Mapping[TargetName, Target] = {
    "onnx": Target(".onnx", "an ONNX file", True, "archdsl.compilation.write:write_onnx"),
    "torch": Target(".py", "PyTorch source", False, "archdsl.compilation.write:write_source"),
    "weights": Target(".safetensors", "a safetensors file", True, "archdsl.compilation.write:write_weights"),
}


def checked_targets(names: str | Sequence[str]) -> tuple[TargetName, ...]:
    """Return the targets with these names, each once. Raises E0001 for an unknown name, E0002 for none."""
    if not isinstance(names, str):
        check_names("target", names)
    listed = (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))
    if not listed:
        raise error("E0002", "`target` is empty: pass at least one target", status=2)
    for name in listed:
        check_choice("target", name, TARGETS)
    return cast("tuple[TargetName, ...]", listed)


def target_of(path: str | os.PathLike[str] | None, target: TargetName | None = None) -> TargetName:
    """Return `target`, or by default the one with the suffix of `path`, else ONNX.

    Raises E0001 for a suffix that no target has, E0003 for that of another target.
    """
    endings = {name: (known.suffix,) for name, known in TARGETS.items()}
    return format_of(path, target, endings) or "onnx"


def stores_weights(targets: Sequence[TargetName]) -> bool:
    """Whether one of these targets stores weights."""
    return any(TARGETS[target].stores_weights for target in targets)

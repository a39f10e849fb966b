"""What the rules share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from archdsl.backends.onnx.records import Emitter
from archdsl.ops.base import Op
from archdsl.shapes import Dim, Pads, Shape

Lowering: TypeAlias = Callable[[Emitter, Any], None]


def pad_list(pads: Pads, front: int = 0, back: int = 0) -> tuple[int, ...]:
    """Return the pads of a batch, its channels and its axes in the order of ONNX's Pad: all begins, then all ends."""
    return (0, front, *pads.begins, 0, back, *pads.ends)


def plain(op_type: str) -> Lowering:
    """Return the lowering to one ONNX op without attributes."""
    return lambda e, op: e.last(op_type, e.x)


def pad_inputs(e: Emitter, x: str, what: str, pads: Sequence[int] | str, value: float | None) -> tuple[str, ...]:
    """Return the inputs of a Pad whose value other nodes may read: all axes, and their list. `pads` may be a value.

    ONNX Runtime's transpose optimiser permutes the pads, but not a list of axes: with fewer than all axes the model
    does not load (1.20 to 1.32). Without a list, 1.20 fuses a Pad into a following max pool, which pads with minus
    infinity.
    """
    listed = pads if isinstance(pads, str) else e.ints(what, pads)
    axes = e.ints("axes", range(len(e.node.shape) + 1))
    return x, listed, "" if value is None else e.floats("value", value), axes


def as_before(e: Emitter) -> str:
    """Return the target of a Reshape back to the input's shape: a constant, or with two free sizes a Shape node."""
    shape: Shape = e.node.in_shapes[0]
    free = [isinstance(size, Dim) for size in shape]
    if sum(free) > 1:
        return e.step("shape", "Shape", e.x, start=0)
    return e.ints("restoring", [0, *(-1 if isinstance(size, Dim) else size for size in shape)])


def nothing(e: Emitter, op: Op) -> None:
    e.skip()

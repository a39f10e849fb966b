"""Ops that move pixels into channels and back as ONNX nodes.

ONNX has ops for images: DepthToSpace in PyTorch's order, and SpaceToDepth, whose channels are in another order. For
signals and volumes, one axis after the other is split or joined. A Reshape keeps all sizes free if only its last axis
changes: 0 copies the size of the same axis, and -1 is the rest.
"""

from __future__ import annotations

from archdsl import ops
from archdsl.axes import IMAGE, kind_of
from archdsl.backends.onnx.records import Emitter
from archdsl.backends.onnx.rules.parts import Lowering
from archdsl.ops.base import Op
from archdsl.shapes import at


def pixelshuffle(e: Emitter, op: ops.PixelShuffle) -> None:
    if kind_of(e.node.shape) is IMAGE:
        e.last("DepthToSpace", e.x, blocksize=op.scale, mode="CRD")
        return
    channels, *sizes = e.node.shape
    axes = range(1, len(sizes) + 1)
    steps = _Axes(e, ["N", "parts", *(f"S{n}" for n in axes)])
    steps.transpose(["N", *(f"S{n}" for n in axes), "parts"])
    steps.reshape(1, ["C", *(f"r{n}" for n in axes)], [at(channels), *[op.scale] * len(sizes)])
    for n in axes:
        steps.transpose([*steps.without(f"S{n}", f"r{n}"), f"S{n}", f"r{n}"])
        steps.reshape(2, [f"T{n}"], [-1])
    steps.transpose(["N", "C", *(f"T{n}" for n in axes)])
    steps.end()


def pixelunshuffle(e: Emitter, op: ops.PixelUnshuffle) -> None:
    channels, *sizes = e.node.in_shapes[0]
    if kind_of(e.node.shape) is IMAGE:
        parts = op.scale ** len(sizes)
        if at(channels) == 1:
            e.last("SpaceToDepth", e.x, blocksize=op.scale)
            return
        order = [part * at(channels) + channel for channel in range(at(channels)) for part in range(parts)]
        apart = e.step("parts", "SpaceToDepth", e.x, blocksize=op.scale)
        e.last("Gather", apart, e.ints("order", order), axis=1)
        return
    axes = range(1, len(sizes) + 1)
    steps = _Axes(e, ["N", "C", *(f"S{n}" for n in axes)])
    for n in axes:
        steps.transpose([*steps.without(f"S{n}"), f"S{n}"])
        steps.reshape(1, [f"T{n}", f"r{n}"], [-1, op.scale])
    steps.transpose(["N", *(f"T{n}" for n in axes), "C", *(f"r{n}" for n in axes)])
    steps.reshape(1 + len(sizes), ["parts"], [-1])
    steps.transpose(["N", "parts", *(f"T{n}" for n in axes)])
    steps.end()


class _Axes:
    """Transposes and reshapes by the names of axes. The last step becomes the output of the op."""

    def __init__(self, e: Emitter, names: list[str]) -> None:
        self.e, self.names = e, names
        self._steps: list[tuple[str, tuple[str, ...], dict[str, tuple[int, ...] | int]]] = []

    def without(self, *names: str) -> list[str]:
        return [name for name in self.names if name not in names]

    def transpose(self, names: list[str]) -> None:
        """Put the axes in this order."""
        if names != self.names:
            self._steps.append(("Transpose", (), {"perm": tuple(map(self.names.index, names))}))
        self.names = names

    def reshape(self, replaced: int, names: list[str], sizes: list[int]) -> None:
        """Replace so many axes, the last ones, by others."""
        kept = len(self.names) - replaced
        target = self.e.ints(f"shape{len(self._steps)}", [*[0] * kept, *sizes])
        self._steps.append(("Reshape", (target,), {"allowzero": 0}))
        self.names = [*self.names[:kept], *names]

    def end(self) -> None:
        value = self.e.x
        for number, (op_type, inputs, attributes) in enumerate(self._steps):
            if number == len(self._steps) - 1:
                self.e.last(op_type, value, *inputs, **attributes)
            else:
                value = self.e.step(f"step{number}", op_type, value, *inputs, **attributes)


RULES: dict[type[Op], Lowering] = {
    ops.PixelShuffle: pixelshuffle,
    ops.PixelUnshuffle: pixelunshuffle,
}

"""What is known of a model while it is read: the ops made so far, the shapes of its values, and which lie channels
last."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from archdsl.frontends.onnx_model import Array, Model, Step
from archdsl.ops.base import Op, OpError
from archdsl.shapes import Shape


@dataclass(frozen=True, slots=True)
class Made:
    """An op with the values it reads and the one it makes. `module`: where it comes from; `tensors` by parameter
    name."""

    op: Op
    inputs: tuple[str, ...]
    output: str
    module: str | None
    tensors: Mapping[str, Array]
    shape: Shape


class Unknown(Exception):
    """A step that is not understood, and why."""


@dataclass
class Reading:
    """What is known so far. `shapes` are without the batch, channels first; `last` are values with channels last."""

    model: Model
    shapes: dict[str, Shape]
    constants: dict[str, Array]
    made: list[Made] = field(default_factory=list)
    same: dict[str, str] = field(default_factory=dict)
    last: set[str] = field(default_factory=set)
    done: set[int] = field(default_factory=set)
    readers: dict[str, list[int]] = field(default_factory=dict)
    room: int = 0
    """Bytes that constants which are still to be worked out may take."""

    def value(self, name: str) -> str:
        return self.same.get(name, name)

    def constant(self, step: Step, index: int) -> Array | None:
        return self.constants.get(step.inputs[index]) if index < len(step.inputs) and step.inputs[index] else None

    def numbers(self, step: Step, index: int, what: str) -> Array:
        found = self.constant(step, index)
        if found is None:
            raise Unknown(f"its {what} is not a constant")
        return found

    def shape(self, name: str) -> Shape:
        found = self.shapes.get(self.value(name))
        if found is None:
            raise Unknown("what it reads is not understood")
        return found

    def add(
        self,
        step: Step,
        op: Op,
        output: str,
        tensors: Mapping[str, Array] = {},
        inputs: Sequence[str] | None = None,
        module: str | None = None,
    ) -> None:
        """A new op, read from the step's first input unless told otherwise."""
        read = tuple(self.value(name) for name in (inputs if inputs is not None else step.inputs[:1]))
        shapes = [self.shape(name) for name in read]
        settled = op.settle(shapes)
        try:
            shape = settled.infer(shapes)
        except OpError as problem:
            raise Unknown(problem.message) from None
        for param in settled.params(shapes):
            if param.name in tensors and tuple(tensors[param.name].shape) != param.shape:
                raise Unknown(f"its `{param.name or 'factor'}` is {tensors[param.name].shape}, not {param.shape}")
        self.made.append(Made(settled, read, output, step.module if module is None else module, tensors, shape))
        self.shapes[output] = shape
        if any(name in self.last for name in (inputs if inputs is not None else step.inputs[:1])):
            self.last.add(output)

    def behind(self, value: str, op_type: str) -> tuple[int, Step] | None:
        """The only reader of a value, where it is of that type."""
        readers = self.readers.get(value, [])
        if len(readers) != 1 or value in self.model.outputs:
            return None
        step = self.model.steps[readers[0]]
        return (readers[0], step) if step.op_type == op_type else None


Recogniser: TypeAlias = Callable[[Reading, Step], None]
"""Says what a step is, by adding to what is known. Raises `Unknown`."""


def single(value: float) -> float:
    """The number meant by a single float: the shortest that is the same single."""
    return float(str(np.float32(value)))

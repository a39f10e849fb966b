"""Import rules of activations, and of constants that are added or multiply."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from archdsl import ops
from archdsl.frontends.constants import constant_before
from archdsl.frontends.layout import joined, same, standard, tidy
from archdsl.frontends.onnx_model import FLOATS, HALVES, Array, SourceNode
from archdsl.frontends.state import ImportRule, ImportState, Unsupported, View, single
from archdsl.ops.base import LARGEST, Op
from archdsl.shapes import concrete

_PREPROCESSED = 4
"""Channels up to which constants next to an input are a normalisation of images, and stay in the text."""


def unary(state: ImportState, node: SourceNode, op: Op, **options: str | dict[str, Array] | None) -> None:
    """Add an op that computes each number, or each channel, by itself: its output has the layout of its input."""
    view = state.view(node.inputs[0])
    axes = None if len(view.axes) == 1 and not is_gate(state, node) and _is_flat(state, view) else view.axes
    state.add(node, op, node.outputs[0], axes=axes, **options)  # type: ignore[arg-type]


def _is_flat(state: ImportState, view: View) -> bool:
    """Whether a tensor is the value as a vector, channel by channel."""
    return same(view.axes, (joined(standard(concrete(state.shapes[view.value]))),))


def act(make: Callable[[SourceNode], Op]) -> ImportRule:
    return lambda state, node: unary(state, node, make(node))


def attribute(node: SourceNode, name: str, default: float) -> float:
    return single(node.attributes.get(name, default))


def clip(state: ImportState, node: SourceNode) -> None:
    limits = [state.constant(node, number) for number in range(1, 3)]
    if any(limit is not None and (limit.size != 1 or np.isnan(limit).any()) for limit in limits):
        raise Unsupported("a limit of it is not one number")
    clipped(state, node, *(None if limit is None else single(float(limit.reshape(()))) for limit in limits))


def clipped(state: ImportState, node: SourceNode, low: float | None, high: float | None) -> None:
    least, most = (LARGEST * sign if limit is None else limit for limit, sign in ((low, -1), (high, 1)))
    if least > most:
        raise Unsupported("its smallest output is larger than its largest one")
    if (low, high) == (0.0, 6.0):
        op: Op = ops.Relu6()
    elif low == 0.0 and high is None:
        op = ops.Relu()
    else:
        op = ops.Clip(low=max(least, -LARGEST), high=min(most, LARGEST))
    unary(state, node, op)


def hardsigmoid(state: ImportState, node: SourceNode) -> None:
    alpha, beta = attribute(node, "alpha", 0.2), attribute(node, "beta", 0.5)
    default = abs(alpha - 1 / 6) <= 1e-6 and beta == 0.5
    unary(state, node, ops.HardSigmoid() if default else ops.HardSigmoid(alpha=alpha, beta=beta))


def selu(state: ImportState, node: SourceNode) -> None:
    alpha, gamma = node.attributes.get("alpha", 1.6732632), node.attributes.get("gamma", 1.0507010)
    if abs(alpha - 1.6732632) > 2e-5 or abs(gamma - 1.0507010) > 2e-5:
        raise Unsupported("its constants are not those of the paper")
    unary(state, node, ops.Selu())


def softmax(state: ImportState, node: SourceNode) -> None:
    """A softmax along any axis that is channels, a part of them, or all of space."""
    name, view, axis = node.inputs[0], state.view(node.inputs[0]), state.axis(node, -1)
    last = len(view.axes) if node.attributes.get("flattened") else axis + 1
    factors, channels = joined(view.axes[axis:last]), state.shape(name)[0]
    log, part = node.op_type == "LogSoftmax", [*factors]
    if state.is_channels(name, factors):
        unary(state, node, ops.LogSoftmax() if log else ops.Softmax())
    elif factors and not log and state.is_space(name, factors):
        unary(state, node, ops.Softmax(space=True))
    elif not log and len(part) == 1 and part[0][0] == 0:
        _, stride, size = part[0]
        unary(state, node, ops.Softmax(groups=channels // (stride * size), parts=None if stride == 1 else size))
    else:
        raise Unsupported("its axis is not the channel axis, nor a part of it, nor all of space")


def gelu(state: ImportState, node: SourceNode) -> None:
    approximate = node.attributes.get("approximate", "none")
    if approximate not in ("none", "tanh"):
        raise Unsupported(f"archdsl does not know the approximation `{approximate}`")
    unary(state, node, ops.Gelu(approximate=approximate == "tanh"))


def identity(state: ImportState, node: SourceNode) -> None:
    state.alias(node.outputs[0], node.inputs[0])


def dropout(state: ImportState, node: SourceNode) -> None:
    training = state.constant(node, 2)
    if training is not None and training.any():
        raise Unsupported("it was exported in training mode")
    ratio = state.constant(node, 1)
    if state.model.classes and ratio is not None:
        state.add(node, ops.Dropout(p=single(float(ratio))), node.outputs[0], axes=state.view(node.inputs[0]).axes)
    else:  # a file has it by chance: exporters leave it out, whatever its probability
        identity(state, node)


def cast(state: ImportState, node: SourceNode) -> None:
    if node.attributes["to"] not in FLOATS:
        raise Unsupported("it converts its input to another type than floating-point numbers")
    if node.attributes["to"] in HALVES - state.model.types and not state.model.classes:
        raise Unsupported("it rounds its input to half precision, and the rest of the file does not compute so")
    identity(state, node)


# --- constants ---------------------------------------------------------------------------------------------------


def operands(state: ImportState, node: SourceNode) -> tuple[str, str] | None:
    """The tensor and the constant of a node with two inputs; None if both are tensors."""
    names = [name for name in node.inputs if name in state.constants]
    if not names:
        return None
    (source,) = (name for name in node.inputs if name not in state.constants)
    return source, names[0]


def per_channel(state: ImportState, source: str, constant: Array, name: str = "its constant") -> Array:
    """The constant as one number, of shape (), or as one number for each channel of the tensor `source`.

    Raises `Unsupported` if NumPy's broadcasting repeats it otherwise.
    """
    axes = state.view(source).axes
    if constant.ndim > len(axes) + 1:
        raise Unsupported(f"{name} has more axes than its input")
    if constant.size == 1:
        return constant.reshape(())
    shape = (1,) * (len(axes) + 1 - constant.ndim) + constant.shape
    spread = [axis for axis, size in enumerate(shape) if size > 1]
    factors = axes[spread[0] - 1] if len(spread) == 1 and spread[0] else ()
    if tidy(factors) and state.is_channels(source, factors) and constant.size == state.shape(source)[0]:
        return constant.reshape(-1)
    raise Unsupported(f"{name} is neither one value nor one value per channel")


def affine(state: ImportState, node: SourceNode, source: str, constant: str, mul: bool, values: Array) -> None:
    """A constant that multiplies or is added: one number, or a learned tensor with one for each channel.

    `values` are those of the constant, or computed from them.
    """
    axes, path = state.view(source).axes, state.model.origins.get(constant, constant)
    name = f"the parameter `{path[:80]}`" if path in state.model.learned else "its constant"
    values = per_channel(state, source, values, name)
    numbers = [single(float(value)) for value in values.reshape(-1)]
    few = not values.ndim or (len(numbers) <= _PREPROCESSED and _is_input(state, source))
    if few and not (path in state.model.learned and len(numbers) == state.shape(source)[0]):
        field = numbers[0] if not values.ndim else tuple(numbers)
        op: Op = ops.Affine(mul=field) if mul else ops.Affine(add=field)
        state.add(node, op, node.outputs[0], inputs=[source], axes=axes)
        return
    original, sizes = state.constants.get(path, state.constants[constant]), state.shape(source)[1:]
    flat, batched = original.shape == (original.size,) and bool(sizes), original.ndim == len(sizes) + 2
    tensor = values.reshape((1,) * batched + (len(numbers),) + (1,) * len(sizes) * (not flat))
    learned = (ops.Scale if mul else ops.Offset)(flat=flat, batched=batched)
    module = path if "." in path and "/" not in path else None
    state.add(node, learned, node.outputs[0], {"": tensor}, inputs=[source], module=module, axes=axes)


def _is_input(state: ImportState, source: str) -> bool:
    """Whether a tensor is an input of the network, or one that was normalised."""
    made = {one.output: one for one in state.ops}
    value = state.value(source)
    while (one := made.get(value)) is not None and isinstance(one.op, ops.Affine):
        value = one.inputs[0]
    return value in state.model.shapes


def added_bias(state: ImportState, node: SourceNode, channels: int, axis: int) -> tuple[str, Array] | None:
    """The constant that an Add after a layer without bias adds to its channels, and the output of that Add.

    `axis` is that of the channels in the layer's output, counted from the end. The Add is consumed. The layers of a
    module have their biases already.
    """
    reader = None if state.model.classes else state.only_reader(node.outputs[0], "Add")
    if reader is None:
        return None
    index, add = reader
    name = next((name for name in add.inputs if name != node.outputs[0]), "")
    constant = constant_before(state, index, name)
    wanted = (channels, *[1] * (axis - 1))
    if constant is None or constant.shape not in (wanted, (1, *wanted)) or (channels == 1 and constant.ndim < axis):
        return None
    if name not in state.constants or len(constant.shape) > _rank(state, node):
        return None
    state.consumed.add(index)
    return add.outputs[0], constant.reshape(-1)


def _rank(state: ImportState, node: SourceNode) -> int:
    return len(state.view(node.inputs[0]).axes) + 1


_ON_VECTORS = frozenset(
    "Add BatchNormalization Clip Cast Dropout Elu Gemm HardSigmoid HardSwish Identity LeakyRelu MatMul Mul PRelu Relu "
    "Sigmoid Softplus Tanh".split()
)


def is_gate(state: ImportState, node: SourceNode) -> bool:
    """Whether the vector that a node makes of an image of one pixel becomes such an image again."""
    shape = state.shape(node.inputs[0])
    if prod(shape[1:]) != 1 or not shape[1:]:
        return False
    pending, seen = [node.outputs[0]], {node.outputs[0]}
    while pending:
        for index in state.readers.get(pending.pop(), ()):
            reader = state.model.nodes[index]
            target = constant_before(state, index, reader.inputs[1]) if reader.op_type == "Reshape" else None
            if reader.op_type == "Unsqueeze" or (target is not None and target.size == len(shape) + 1):
                return True
            if reader.op_type in _ON_VECTORS and not seen.issuperset(reader.outputs):
                seen.update(reader.outputs)
                pending += reader.outputs
    return False

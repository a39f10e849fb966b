"""Import rules of ops with weights."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from archdsl import ops
from archdsl.axes import uniform
from archdsl.frontends.onnx_model import Array, SourceNode
from archdsl.frontends.onnx_ops.values import per_channel
from archdsl.frontends.state import ImportState, Unsupported, single
from archdsl.shapes import Pads


def module_of(state: ImportState, node: SourceNode, index: int = 1) -> str | None:
    """The module that owns a weight, from the weight's name: `layer1.0.conv1.weight`."""
    name = node.inputs[index]
    module, _, last = state.model.origins.get(name, name).rpartition(".")
    return module if last in ("weight", "bias", "running_mean") else node.module


def bias_of(state: ImportState, node: SourceNode, index: int) -> dict[str, Array]:
    if len(node.inputs) <= index or not node.inputs[index]:
        return {}
    return {"bias": state.require_constant(node, index, "bias")}


def pads_of(node: SourceNode, axes: int) -> Pads:
    if node.attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise Unsupported("its padding depends on the runtime (auto_pad)")
    return Pads(per_axis(node, "pads", 2 * axes, 0))


def pad_field(node: SourceNode, axes: int) -> Any:
    """The field `pad` of a convolution or pool; ONNX's `SAME_UPPER` is TensorFlow's padding."""
    if node.attributes.get("auto_pad") == "SAME_UPPER":
        return "same"
    pads = pads_of(node, axes)
    return uniform(tuple(pads))


def per_axis(node: SourceNode, name: str, count: int, default: int = 1) -> tuple[int, ...]:
    """The attribute `name`, a number for each axis (or for each side). Raises `Unsupported` for another count."""
    value = tuple(node.attributes.get(name, (default,) * count))
    if len(value) != count:
        raise Unsupported(f"its `{name}` has {len(value)} numbers; its input needs {count}")
    return value


def window_of(state: ImportState, node: SourceNode, weight: Array) -> tuple[int, ...]:
    """The kernel of a convolution, from its weight."""
    kernel = weight.shape[2:]
    if len(kernel) != state.axes(node.inputs[0]) or not kernel:
        raise Unsupported(f"its window has {len(kernel)} axes, its input {state.axes(node.inputs[0])}")
    return per_axis(node, "kernel_shape", len(kernel)) if "kernel_shape" in node.attributes else kernel


def resolved(shape: tuple[int, ...], target: Array) -> tuple[int, ...]:
    """The shape that a Reshape makes of another one: 0 copies a size, -1 is the rest."""
    sizes = [shape[axis] if size == 0 and axis < len(shape) else int(size) for axis, size in enumerate(target)]
    known = prod(size for size in sizes if size != -1)
    return tuple(prod(shape) // known if size == -1 and known else size for size in sizes)


def conv(state: ImportState, node: SourceNode) -> None:
    weight = state.require_constant(node, 1, "weight")
    bias = bias_of(state, node, 2)
    kernel = window_of(state, node, weight)
    op = ops.Conv(
        out=weight.shape[0],
        kernel=kernel,
        stride=per_axis(node, "strides", len(kernel)),
        dilation=per_axis(node, "dilations", len(kernel)),
        groups=node.attributes.get("group", 1),
        bias=bool(bias),
    )
    shape, padded = state.shape(node.inputs[0]), op.model_copy(update={"pad": pad_field(node, len(kernel))})
    if padded.pads(shape) != op.pads(shape):
        op = padded
    state.add(node, op, node.outputs[0], {"weight": weight, **bias}, module=module_of(state, node))


def deconv(state: ImportState, node: SourceNode) -> None:
    weight = state.require_constant(node, 1, "weight")
    kernel = window_of(state, node, weight)
    pads, extra = pads_of(node, len(kernel)), per_axis(node, "output_padding", len(kernel), 0)
    if len(set(pads)) != 1 or len(set(extra)) != 1 or "output_shape" in node.attributes:
        raise Unsupported("its padding is not the same on all edges")
    groups = node.attributes.get("group", 1)
    bias = bias_of(state, node, 2)
    op = ops.Deconv(
        out=weight.shape[1] * groups,
        kernel=kernel,
        stride=per_axis(node, "strides", len(kernel)),
        groups=groups,
        dilation=per_axis(node, "dilations", len(kernel)),
        pad=pads[0],
        extra=extra[0],
        bias=bool(bias),
    )
    state.add(node, op, node.outputs[0], {"weight": weight, **bias}, module=module_of(state, node))


def gemm(state: ImportState, node: SourceNode) -> None:
    attributes = node.attributes
    if attributes.get("transA", 0) or attributes.get("alpha", 1.0) != 1.0 or attributes.get("beta", 1.0) != 1.0:
        raise Unsupported("it is not a plain fully connected layer (alpha, beta, transA)")
    weight = state.require_constant(node, 1, "weight")
    fully_connected(
        state, node, weight if attributes.get("transB", 0) else weight.T, bias_of(state, node, 2), node.outputs[0]
    )


def matmul(state: ImportState, node: SourceNode) -> None:
    """A product with a matrix, and the Add of a bias after it."""
    weight = state.require_constant(node, 1, "matrix")
    if weight.ndim != 2:
        raise Unsupported("its matrix has more than two axes")
    output, bias = node.outputs[0], {}
    reader = state.only_reader(output, "Add")
    if reader is not None:
        index, add = reader
        constant = next((state.constants[i] for i in add.inputs if i in state.constants), None)
        if constant is not None and constant.shape in ((weight.shape[1],), (1, weight.shape[1])):
            state.consumed.add(index)
            output, bias = add.outputs[0], {"bias": constant.reshape(-1)}
    fully_connected(state, node, weight.T, bias, output)


def fully_connected(state: ImportState, node: SourceNode, weight: Array, bias: dict[str, Array], output: str) -> None:
    channels_last = node.inputs[0] in state.channels_last
    axes = state.axes(node.inputs[0])
    kernel = (1,) * axes if channels_last and axes else None
    if not channels_last and axes:
        raise Unsupported("it multiplies the last axis of an image with channels first")
    op = ops.Fc(out=weight.shape[0], kernel=kernel, bias=bool(bias))
    bias = {name: array.reshape(-1) for name, array in bias.items()}
    state.add(node, op, output, {"weight": weight, **bias}, module=module_of(state, node))


def bn(state: ImportState, node: SourceNode) -> None:
    if node.attributes.get("training_mode", 0):
        raise Unsupported("it was exported in training mode")
    statistics = {name: state.require_constant(node, n + 3, name) for n, name in enumerate(_STATISTICS)}
    learned = learned_scale_and_shift(state, node)
    module = module_of(state, node, 1 if learned else 3)
    batches = state.constants.get(f"{module}.num_batches_tracked", np.zeros((), np.int64))
    tensors = {**learned, **statistics, "num_batches_tracked": batches}
    eps, kept = (single(node.attributes.get(name, default)) for name, default in _BN_NUMBERS)
    op = ops.Bn(eps=eps, momentum=single(1 - kept), affine=bool(learned))
    state.add(node, op, node.outputs[0], tensors, module=module)


_BN_NUMBERS = (("epsilon", 1e-5), ("momentum", 0.9))
_STATISTICS = ("running_mean", "running_var")


def learned_scale_and_shift(state: ImportState, node: SourceNode) -> dict[str, Array]:
    """The learned tensors of a norm; none if the scale is 1 and the shift 0, and no module owns them."""
    weight, shift = state.require_constant(node, 1, "scale"), state.constant(node, 2)
    tensors = {"weight": weight, "bias": shift if shift is not None else np.zeros_like(weight)}
    owned = node.inputs[1].rpartition(".")[2] == "weight"
    return tensors if owned or (tensors["weight"] != 1).any() or tensors["bias"].any() else {}


def groupnorm(state: ImportState, node: SourceNode) -> None:
    learned = learned_scale_and_shift(state, node)
    eps, groups = single(node.attributes.get("epsilon", 1e-5)), node.attributes["num_groups"]
    op = ops.Gn(groups=groups, eps=eps, affine=bool(learned))
    state.add(node, op, node.outputs[0], learned, module=module_of(state, node))


def instancenorm(state: ImportState, node: SourceNode) -> None:
    learned = learned_scale_and_shift(state, node)
    op = ops.InstanceNorm(eps=single(node.attributes.get("epsilon", 1e-5)), affine=bool(learned))
    state.add(node, op, node.outputs[0], learned, module=module_of(state, node))


def ln(state: ImportState, node: SourceNode) -> None:
    value, rank = node.inputs[0], state.axes(node.inputs[0]) + 2
    if node.attributes.get("axis", -1) % rank != rank - 1 or not state.is_channels(value, -1):
        raise Unsupported("it does not normalise the channel axis alone")
    learned = learned_scale_and_shift(state, node)
    op = ops.Ln(eps=single(node.attributes.get("epsilon", 1e-5)), affine=bool(learned))
    state.add(node, op, node.outputs[0], learned, module=module_of(state, node))


def lrn(state: ImportState, node: SourceNode) -> None:
    attributes = {"alpha": 1e-4, "beta": 0.75, "bias": 1.0, **node.attributes}
    state.add(
        node,
        ops.Lrn(
            size=attributes["size"],
            alpha=single(attributes["alpha"]),
            beta=single(attributes["beta"]),
            k=single(attributes["bias"]),
        ),
        node.outputs[0],
    )


def lrn_by_pool(state: ImportState, node: SourceNode) -> bool:
    """The nodes that archdsl writes for an LRN: x*x, a mean over channels by an average pool, the division of x."""
    chain = [node]
    indices: list[int] = []
    for op_type in ("Reshape", "Pad", "AveragePool", "Reshape", "Mul", "Add", "Pow", "Div"):
        reader = state.only_reader(chain[-1].outputs[0], op_type)
        if reader is None:
            return False
        indices.append(reader[0])
        chain.append(reader[1])
    _, _, pad, pool, _, mul, add, power, div = chain
    (size, width), pads = pool.attributes["kernel_shape"], state.require_constant(pad, 1, "padding")
    if width != 1 or div.inputs[0] != node.inputs[0] or [*pads] != [0, 0, size // 2, 0, 0, 0, (size - 1) // 2, 0]:
        return False
    alpha, k, beta = (single(float(state.require_constant(s, 1, "constant").reshape(()))) for s in (mul, add, power))
    state.consumed.update(indices)
    state.add(node, ops.Lrn(size=size, alpha=alpha, beta=beta, k=k), div.outputs[0])
    return True


def prelu(state: ImportState, node: SourceNode) -> None:
    slopes = state.require_constant(node, 1, "slope")
    per_channel(state, node.inputs[0], slopes)
    slopes = slopes.reshape(-1)
    state.add(
        node, ops.PRelu(shared=slopes.size == 1), node.outputs[0], {"weight": slopes}, module=module_of(state, node)
    )

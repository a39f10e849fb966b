"""Import rules of ops with weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from archdsl import ops
from archdsl.frontends.onnx_model import Array, SourceNode
from archdsl.frontends.state import ImportState, Unsupported, single


def module_of(node: SourceNode, index: int = 1) -> str | None:
    """The module that owns a weight, from the weight's name: `layer1.0.conv1.weight`."""
    module, _, last = node.inputs[index].rpartition(".")
    return module if last in ("weight", "bias", "running_mean") else node.module


def bias_of(state: ImportState, node: SourceNode, index: int) -> dict[str, Array]:
    if len(node.inputs) <= index or not node.inputs[index]:
        return {}
    return {"bias": state.require_constant(node, index, "bias")}


def pads_of(node: SourceNode) -> tuple[int, int, int, int]:
    if node.attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise Unsupported("its padding depends on the runtime (auto_pad)")
    top, left, bottom, right = node.attributes.get("pads", (0, 0, 0, 0))
    return top, left, bottom, right


def pair_of(node: SourceNode, name: str, default: tuple[int, int] = (1, 1)) -> tuple[int, int]:
    value = tuple(node.attributes.get(name, default))
    if len(value) != 2:
        raise Unsupported("it is not 2-D")
    return value[0], value[1]


def pad_field(pads: tuple[int, int, int, int]) -> Any:
    return pads[0] if len(set(pads)) == 1 else pads


def conv(state: ImportState, node: SourceNode) -> None:
    weight = state.require_constant(node, 1, "weight")
    if weight.ndim != 4:
        raise Unsupported("it is not 2-D")
    bias = bias_of(state, node, 2)
    op = ops.Conv(
        out=weight.shape[0],
        kernel=weight.shape[2:],
        stride=pair_of(node, "strides"),
        dilation=pair_of(node, "dilations"),
        groups=node.attributes.get("group", 1),
        bias=bool(bias),
    )
    pads = pads_of(node)
    if pads != op.pads(state.shape(node.inputs[0])):
        op = op.model_copy(update={"pad": pad_field(pads)})
    state.add(node, op, node.outputs[0], {"weight": weight, **bias}, module=module_of(node))


def deconv(state: ImportState, node: SourceNode) -> None:
    weight = state.require_constant(node, 1, "weight")
    pads, extra = pads_of(node), pair_of(node, "output_padding", (0, 0))
    if len(set(pads)) != 1 or extra[0] != extra[1] or "output_shape" in node.attributes:
        raise Unsupported("its padding is not the same on all edges")
    groups = node.attributes.get("group", 1)
    bias = bias_of(state, node, 2)
    op = ops.Deconv(
        out=weight.shape[1] * groups,
        kernel=weight.shape[2:],
        stride=pair_of(node, "strides"),
        groups=groups,
        dilation=pair_of(node, "dilations"),
        pad=pads[0],
        extra=extra[0],
        bias=bool(bias),
    )
    state.add(node, op, node.outputs[0], {"weight": weight, **bias}, module=module_of(node))


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
    kernel = (1, 1) if channels_last else None
    if not channels_last and len(state.shape(node.inputs[0])) != 1:
        raise Unsupported("it multiplies the last axis of an image with channels first")
    op = ops.Fc(out=weight.shape[0], kernel=kernel, bias=bool(bias))
    bias = {name: array.reshape(-1) for name, array in bias.items()}
    state.add(node, op, output, {"weight": weight, **bias}, module=module_of(node))


def bn(state: ImportState, node: SourceNode) -> None:
    if node.attributes.get("training_mode", 0):
        raise Unsupported("it was exported in training mode")
    statistics = {name: state.require_constant(node, n + 3, name) for n, name in enumerate(_STATISTICS)}
    learned = learned_scale_and_shift(state, node)
    tensors = {**learned, **statistics, "num_batches_tracked": np.zeros((), np.int64)}
    op = ops.Bn(eps=single(node.attributes.get("epsilon", 1e-5)), affine=bool(learned))
    state.add(node, op, node.outputs[0], tensors, module=module_of(node, 1 if learned else 3))


_STATISTICS = ("running_mean", "running_var")


def learned_scale_and_shift(state: ImportState, node: SourceNode) -> dict[str, Array]:
    """The learned tensors of a norm; none if the scale is 1 and the shift 0, and no module owns them."""
    weight, shift = state.require_constant(node, 1, "scale"), state.constant(node, 2)
    tensors = {"weight": weight, "bias": shift if shift is not None else np.zeros_like(weight)}
    owned = node.inputs[1].endswith(".weight")
    return tensors if owned or (tensors["weight"] != 1).any() or tensors["bias"].any() else {}


def instancenorm(state: ImportState, node: SourceNode) -> None:
    learned = learned_scale_and_shift(state, node)
    op = ops.InstanceNorm(eps=single(node.attributes.get("epsilon", 1e-5)), affine=bool(learned))
    state.add(node, op, node.outputs[0], learned, module=module_of(node))


def ln(state: ImportState, node: SourceNode) -> None:
    value, axis = node.inputs[0], node.attributes.get("axis", -1)
    if axis not in ((-1, 3) if value in state.channels_last else (-1, 1)) or (
        value not in state.channels_last and len(state.shape(value)) != 1
    ):
        raise Unsupported("it does not normalise the channel axis alone")
    learned = learned_scale_and_shift(state, node)
    op = ops.Ln(eps=single(node.attributes.get("epsilon", 1e-5)), affine=bool(learned))
    state.add(node, op, node.outputs[0], learned, module=module_of(node))


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
    slopes = state.require_constant(node, 1, "slope").reshape(-1)
    state.add(node, ops.PRelu(shared=slopes.size == 1), node.outputs[0], {"weight": slopes}, module=module_of(node))
